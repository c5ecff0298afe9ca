"""The checksum utilities: calculate a SHA-256, and verify one with valid, expected and actual."""

from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path

import pytest

from engine.streams.checksum import Checked, calculate, verify

DATA = b"strongroom" * 300_000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "artifact"
    path.write_bytes(DATA)
    return path


def test_a_file_its_path_and_its_chunks_have_the_same_checksum(file: Path) -> None:
    assert calculate(file) == calculate(str(file)) == calculate([DATA[:7], DATA[7:]]) == DIGEST


def test_the_right_checksum_is_valid_in_either_case(file: Path) -> None:
    assert verify(file, DIGEST) == Checked(True, DIGEST, DIGEST)
    assert verify(file, DIGEST.upper()).valid is True


def test_a_wrong_checksum_says_what_was_expected_and_what_is(file: Path) -> None:
    wrong = "0" * 64

    assert verify(file, wrong) == Checked(False, wrong, DIGEST)


@pytest.mark.parametrize("missing", [None, ""])
def test_a_missing_checksum_proves_nothing(file: Path, missing: str | None) -> None:
    assert verify(file, missing) == Checked(None, None, DIGEST)


def test_a_file_that_is_not_there_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        calculate(tmp_path / "gone")


def test_a_known_answer_so_that_it_is_sha256() -> None:
    assert (
        calculate([b"hel", b"", b"lo"]) == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    )


def test_a_large_file_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(48 << 20)
    tracemalloc.start()
    try:
        assert calculate(path) == hashlib.sha256(bytes(48 << 20)).hexdigest()
        tracemalloc.reset_peak()
        calculate(path)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
