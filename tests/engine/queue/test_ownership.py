"""An execution's lock: held by one, seen by all, freed by the kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import StoreError
from engine.queue.ownership import Ownership
from tests.parts.queues import OtherProcess


def test_a_lock_is_taken_once(tmp_path: Path) -> None:
    ownership = Ownership(tmp_path)
    lock = ownership.take("one")
    assert lock is not None
    assert ownership.take("one") is None
    assert not ownership.is_free("one")
    assert ownership.is_free("two")
    lock.release()
    lock.release()
    assert ownership.is_free("one")


def test_a_released_lock_leaves_no_file(tmp_path: Path) -> None:
    ownership = Ownership(tmp_path)
    lock = ownership.take("one")
    assert lock is not None
    assert [its.name for its in tmp_path.iterdir()] == ["one.lock"]
    lock.release()
    assert ownership.is_free("one")
    assert list(tmp_path.iterdir()) == []


def test_the_kernel_frees_the_lock_of_a_killed_process(tmp_path: Path) -> None:
    ownership = Ownership(tmp_path / "locks")
    with OtherProcess(tmp_path) as other:
        assert other.ask("take", "one")
        assert ownership.take("one") is None
        other.kill()
    lock = ownership.take("one")
    assert lock is not None
    lock.release()


@pytest.mark.skipif(os.name != "posix", reason="Windows removes no open file")
def test_a_file_that_lost_its_name_is_no_lock(tmp_path: Path) -> None:
    ownership = Ownership(tmp_path)
    path = tmp_path / "one.lock"
    path.touch()
    path.unlink()
    with ownership.take("one") or pytest.fail("not free"):
        assert path.exists()
        assert ownership.take("one") is None


def test_a_sweep_removes_only_what_nobody_holds_or_needs(tmp_path: Path) -> None:
    ownership = Ownership(tmp_path)
    held = ownership.take("held")
    assert held is not None
    for name in ("dead.lock", "active.lock", "somebody-elses.txt"):
        (tmp_path / name).touch()
    assert ownership.sweep({"active"}) == 1
    assert sorted(its.name for its in tmp_path.iterdir()) == [
        "active.lock",
        "held.lock",
        "somebody-elses.txt",
    ]
    held.release()


def test_a_folder_that_cannot_hold_locks_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="lock file") as caught:
        Ownership(tmp_path / "file").take("one")
    assert "STRONGROOM_HOME" in caught.value.remedy
