"""Each compression writes the standard format: the standard tool reads it, and its levels are bounded."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engine.errors import ConfigError
from engine.streams.compression import ALGORITHMS, Compression, compressor, parse_compression
from tests.engine.streams.samples import mixed, pieces
from tests.parts.programs import required_program

TOOLS = {"zstd": ("zstd", "-dc"), "gzip": ("gzip", "-dc"), "brotli": ("brotli", "-dc")}
DUMP = mixed(3_000_000)


def compressed(text: str, data: bytes, chunk: int = 1 << 20) -> bytes:
    stage = compressor(parse_compression(text))
    return b"".join([*map(stage.feed, pieces(data, chunk)), stage.finish()])


@pytest.mark.parametrize(
    ("text", "expected", "suffix", "words"),
    [
        ("zstd", Compression("zstd", 3), ".zst", "zstd, level 3"),
        ("zstd:9", Compression("zstd", 9), ".zst", "zstd, level 9"),
        (" GZIP:1 ", Compression("gzip", 1), ".gz", "gzip, level 1"),
        ("brotli:0", Compression("brotli", 0), ".br", "brotli, level 0"),
        ("none", Compression("none", 0), "", "not compressed"),
    ],
)
def test_a_compression_is_read_from_its_word(
    text: str, expected: Compression, suffix: str, words: str
) -> None:
    found = parse_compression(text)
    assert found == expected
    assert found.suffix == suffix
    assert found.describe() == words
    assert parse_compression(str(found)) == found


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("lzma", "zstd, gzip, brotli, none"),
        ("", "zstd, gzip, brotli, none"),
        ("zstd:0", "zstd:1 to zstd:19"),
        ("zstd:22", "zstd:1 to zstd:19"),
        ("zstd:best", "zstd:1 to zstd:19"),
        ("zstd:", "zstd:1 to zstd:19"),
        ("gzip:10", "gzip:1 to gzip:9"),
        ("brotli:-1", "brotli:0 to brotli:11"),
        ("none:1", "none"),
    ],
)
def test_a_wrong_compression_is_refused_with_what_is_allowed(text: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_compression(text)
    assert remedy in raised.value.remedy


@pytest.mark.parametrize("algorithm", list(TOOLS))
@pytest.mark.parametrize("chunk", [1 << 20, 10_007])
def test_the_standard_tool_reads_what_is_written(algorithm: str, chunk: int, tmp_path: Path) -> None:
    tool, *arguments = TOOLS[algorithm]
    program = required_program(tool, package=tool)
    file = tmp_path / "artifact"
    file.write_bytes(compressed(algorithm, DUMP, chunk))
    assert file.stat().st_size < len(DUMP)
    with file.open("rb") as stream:
        assert (
            subprocess.run([program, *arguments], stdin=stream, capture_output=True, check=True).stdout
            == DUMP
        )


@pytest.mark.parametrize("algorithm", list(TOOLS))
def test_every_level_is_written_and_the_highest_is_smaller_than_the_lowest(
    algorithm: str, tmp_path: Path
) -> None:
    program, *arguments = TOOLS[algorithm]
    required_program(program, package=program)
    data = mixed(60_000)
    sizes = []
    for level in range(ALGORITHMS[algorithm].lowest, ALGORITHMS[algorithm].highest + 1):
        written = compressed(f"{algorithm}:{level}", data)
        ended = subprocess.run([program, *arguments], input=written, capture_output=True, check=True)
        assert ended.stdout == data
        sizes.append(len(written))
    assert sizes[-1] < sizes[0]


@pytest.mark.parametrize("algorithm", list(TOOLS))
def test_an_empty_dump_is_still_a_stream_with_an_end(algorithm: str) -> None:
    program, *arguments = TOOLS[algorithm]
    required_program(program, package=program)
    written = compressed(algorithm, b"")
    assert written
    assert subprocess.run([program, *arguments], input=written, capture_output=True, check=True).stdout == b""


def test_zstd_says_in_its_frame_that_a_checksum_follows() -> None:
    assert compressed("zstd", DUMP)[4] & 0b100  # RFC 8878, section 3.1.1.1.1: Content_Checksum_Flag


def test_no_compression_changes_nothing() -> None:
    assert compressed("none", DUMP) == DUMP
