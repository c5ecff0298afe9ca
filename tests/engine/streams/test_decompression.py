"""What is read back: several frames, bounded pieces; and a cut, a flip and garbage are refused."""

from __future__ import annotations

import gzip
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract.readers import CHUNK
from engine.errors import StreamError
from engine.streams.compression import compressor, parse_compression
from engine.streams.decompression import decompressor
from tests.engine.streams.samples import mixed, pieces
from tests.parts.programs import required_program

DUMP = mixed(300_000)


def compressed(algorithm: str, data: bytes) -> bytes:
    stage = compressor(parse_compression(algorithm))
    return stage.feed(data) + stage.finish()


def decompressed(algorithm: str, data: bytes, chunk: int = 1 << 20) -> bytes:
    stage = decompressor(algorithm)
    out = bytearray()
    for piece in pieces(data, chunk):
        for part in stage.feed(piece):
            assert 0 < len(part) <= 2 * CHUNK  # brotli rounds up to blocks of its own
            out += part
    stage.finish()
    return bytes(out)


WRITTEN = {name: compressed(name, DUMP) for name in ("zstd", "gzip", "gzip:9", "brotli")}
everything = pytest.mark.parametrize("kind", list(WRITTEN))


@everything
@pytest.mark.parametrize("chunk", [1, 4096, 1 << 20])
def test_what_was_written_comes_back_whatever_the_chunks(kind: str, chunk: int) -> None:
    data = DUMP[: 20_000 if chunk == 1 else None]
    assert decompressed(kind.partition(":")[0], compressed(kind, data), chunk) == data


@pytest.mark.parametrize("algorithm", ["zstd", "gzip", "brotli"])
def test_a_small_chunk_that_grows_a_thousandfold_comes_out_in_bounded_pieces(algorithm: str) -> None:
    zeros = bytes(48 << 20)
    data = compressed(algorithm, zeros)
    assert len(data) < 200_000
    assert decompressed(algorithm, data) == zeros


@everything
def test_a_stream_that_is_cut_anywhere_is_refused(kind: str) -> None:
    data = WRITTEN[kind]
    for cut in {*range(0, len(data), 997), 1, len(data) - 1, len(data) - 4, len(data) - 8}:
        with pytest.raises(StreamError):
            decompressed(kind.partition(":")[0], data[:cut])


@everything
@pytest.mark.parametrize("garbage", [b"\x00", b"garbage", b"\x1f\x8b", b"(\xb5/\xfd"])
@pytest.mark.parametrize("apart", [False, True])
def test_garbage_after_the_end_is_refused(kind: str, garbage: bytes, apart: bool) -> None:
    stage = decompressor(kind.partition(":")[0])
    data = WRITTEN[kind]
    # In one piece, brotli's library does not say more than that it failed.
    said = "is damaged" if kind == "brotli" and not apart else "Something follows the end of the"
    with pytest.raises(StreamError, match=said):
        for chunk in [data, garbage] if apart else [data + garbage]:
            list(stage.feed(chunk))
        stage.finish()


@pytest.mark.parametrize("algorithm", ["zstd", "gzip"])
@given(place=st.integers(0, len(WRITTEN["zstd"]) * 8 - 1))
def test_a_flipped_bit_is_refused_or_changes_nothing(algorithm: str, place: int) -> None:
    """The headers hold a few bits that mean nothing to the content, such as gzip's time of day."""
    data = bytearray(WRITTEN[algorithm])
    place %= len(data) * 8
    data[place // 8] ^= 1 << place % 8
    try:
        assert decompressed(algorithm, bytes(data)) == DUMP
    except StreamError:
        return


@pytest.mark.parametrize("chunk", [5, 1 << 20])
def test_the_frames_of_pzstd_and_a_skippable_one_are_read_in_a_row(chunk: int) -> None:
    zstd = required_program("zstd", package="zstd")
    first, second = (
        subprocess.run([zstd, "-c"], input=part, capture_output=True, check=True).stdout
        for part in (b"one ", b"two")
    )
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip"  # RFC 8878, section 3.1.2
    assert decompressed("zstd", first + skippable + second, chunk) == b"one two"


@pytest.mark.parametrize("chunk", [5, 1 << 20])
def test_the_members_of_a_gzip_file_are_read_in_a_row(chunk: int) -> None:
    assert decompressed("gzip", gzip.compress(b"one ") + gzip.compress(b"two"), chunk) == b"one two"


@pytest.mark.parametrize("algorithm", ["zstd", "gzip"])
def test_a_second_frame_that_is_cut_is_said_to_be_cut(algorithm: str) -> None:
    data = WRITTEN[algorithm]
    with pytest.raises(StreamError, match="its end is missing"):
        decompressed(algorithm, data + data[:-3])


@pytest.mark.parametrize("algorithm", ["zstd", "gzip", "brotli"])
def test_an_empty_artifact_is_no_compressed_stream(algorithm: str) -> None:
    with pytest.raises(StreamError, match="end is missing"):
        decompressed(algorithm, b"")


@pytest.mark.parametrize("apart", [False, True])
def test_a_second_brotli_stream_is_garbage_as_it_is_to_brotli_itself(apart: bool) -> None:
    stage, data = decompressor("brotli"), WRITTEN["brotli"]
    with pytest.raises(StreamError):
        for chunk in [data, data] if apart else [data + data]:
            list(stage.feed(chunk))


def test_a_plain_stream_passes_unchanged() -> None:
    assert decompressed("none", DUMP) == DUMP


def test_an_unknown_compression_says_what_to_do() -> None:
    with pytest.raises(StreamError, match="lzma") as raised:
        decompressor("lzma")
    assert "update" in raised.value.remedy
