"""The schedule of part sizes, and sections of a file as the bodies of requests."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import strongroom
from plugins.storage.aws.parts import BLOCK, MOST, Section, open_file, part_size

MIB, GIB = 1 << 20, 1 << 30


def test_the_first_parts_are_small_and_the_last_ones_large() -> None:
    assert [part_size(number) for number in (1, 1000, 1001, 2001, 6001)] == [
        8 * MIB,
        8 * MIB,
        16 * MIB,
        32 * MIB,
        512 * MIB,
    ]


def test_every_part_is_of_a_size_that_s3_allows() -> None:
    sizes = [part_size(number) for number in range(1, MOST + 1)]
    assert min(sizes) >= 5 * MIB
    assert max(sizes) <= 5 * GIB
    assert sizes == sorted(sizes)


def test_the_parts_hold_five_terabytes() -> None:
    assert sum(part_size(number) for number in range(1, MOST + 1)) > 5 * 10**12


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "spool"
    path.write_bytes(bytes(range(256)) * (4 * BLOCK // 256))
    return path


def section(path: Path, start: int, length: int, told: list[int] | None = None) -> Section:
    note = told.append if told is not None else lambda position: None
    return Section(open_file(path), memoryview(bytearray(BLOCK)), start, length, note)


@pytest.mark.parametrize(
    ("start", "length"), [(0, 4 * BLOCK), (3, BLOCK), (BLOCK + 1, 2 * BLOCK + 5), (7, 1), (4 * BLOCK, 0)]
)
def test_a_section_gives_its_stretch_of_the_file(path: Path, start: int, length: int) -> None:
    wanted = path.read_bytes()[start : start + length]
    its = section(path, start, length)

    assert its.hash() == hashlib.sha256(wanted).digest()
    assert b"".join(bytes(block) for block in iter(its.read, b"")) == wanted
    its._file.close()


def test_a_section_can_be_sent_again(path: Path) -> None:
    its = section(path, 5, 2 * BLOCK)
    first = b"".join(bytes(block) for block in iter(its.read, b""))
    assert its.tell() == 2 * BLOCK
    its.seek(0)
    assert b"".join(bytes(block) for block in iter(its.read, b"")) == first
    assert (its.seek(-1, 2), its.seek(1, 1)) == (2 * BLOCK - 1, 2 * BLOCK)
    its._file.close()


def test_a_section_tells_what_has_gone_out_but_not_what_was_hashed(path: Path) -> None:
    told: list[int] = []
    its = section(path, 0, 2 * BLOCK + 1, told)
    its.hash()
    assert told == []
    while its.read():
        pass
    assert told == [0, BLOCK, 2 * BLOCK, 2 * BLOCK + 1]
    its._file.close()


def test_a_file_that_was_cut_short_is_no_end_of_file(path: Path) -> None:
    its = section(path, 0, 5 * BLOCK)
    with pytest.raises(strongroom.StorageError, match="cut short"):
        its.hash()
    its._file.close()


def test_what_a_section_raises_is_kept_for_whoever_sends_it(path: Path) -> None:
    def stop(position: int) -> None:
        raise strongroom.Cancelled("enough")

    its = Section(open_file(path), memoryview(bytearray(BLOCK)), 0, BLOCK, stop)
    with pytest.raises(strongroom.Cancelled):
        its.read()
    assert isinstance(its.error, strongroom.Cancelled)
    its._file.close()
