"""Restore: the target is replaced only when told, only by what was proven, and its state is always said."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from engine.archive.backups import Backup
from engine.contract.values import Fingerprint
from engine.errors import (
    Cancelled,
    ChecksumMismatch,
    IntegrityError,
    KeyMissing,
    NotPutBack,
    SourceError,
    StrongroomError,
    TargetNotEmpty,
    ToolFailed,
    Unproven,
    UsageError,
)
from engine.events import Progress
from engine.recovery.comparing import Equality
from engine.services import Services
from engine.workspace import Workspace
from plugins.sources.sqlite import Sqlite
from tests.conftest import Bench, make_shop, rows_of
from tests.engine.recovery.conftest import Restoring, assert_untouched, files, spoil

# ------------------------------------------------------------------------------------------ success


def test_into_a_database_that_is_missing(restore: Restoring, backup: Backup, shop: Path) -> None:
    before = rows_of(shop)
    restored = restore(backup, as_name="copy")
    assert rows_of(shop.with_name("copy.sqlite")) == before
    assert (restored.database, restored.kept) == ("copy", None)
    assert restored.comparison.result is Equality.EQUAL
    assert files(shop.parent) == ["copy.sqlite", "shop.sqlite"]
    assert list(restore.services.home.spool.iterdir()) == []
    assert list(restore.services.home.scratch.iterdir()) == []


def test_into_the_place_of_a_database_that_was_lost(restore: Restoring, backup: Backup, shop: Path) -> None:
    before = rows_of(shop)
    shop.unlink()
    restore(backup)
    assert rows_of(shop) == before


def test_into_an_empty_database(restore: Restoring, backup: Backup, shop: Path) -> None:
    before = rows_of(shop)
    shop.with_name("empty.sqlite").touch()
    restore(backup, as_name="empty")
    assert rows_of(shop.with_name("empty.sqlite")) == before


def test_into_another_source(restore: Restoring, backup: Backup, shop: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "test.db"
    other.parent.mkdir()
    restore.services.endpoints.save("source", "test copy", "sqlite", {"path": str(other)})
    restore(backup, to_source="test copy")
    assert rows_of(other) == rows_of(shop)


def test_in_the_place_of_what_is_there_when_told(restore: Restoring, backup: Backup, shop: Path) -> None:
    before = rows_of(shop)
    spoil(shop)
    restored = restore(backup, overwrite=True)
    assert rows_of(shop) == before
    assert restored.kept is None, "proven equal, so that the old one may go"
    assert files(shop.parent) == ["shop.sqlite"]


def test_the_progress_grows_to_the_end(restore: Restoring, backup: Backup) -> None:
    restore(backup, as_name="copy")
    percents = [event.percent for event in restore.events if isinstance(event, Progress)]
    assert percents == sorted(percents, key=lambda percent: percent or 0)
    assert percents[-1] == 100.0


def test_without_a_fingerprint_the_old_one_is_kept_and_named(bench: Bench, services: Services) -> None:
    from engine.records import JobOptions

    bench.run(bench.job(options=JobOptions(fingerprint=False)))
    [backup] = bench.workspace.catalogue.list()
    restore, shop = Restoring(services), bench.folder / "shop.sqlite"
    before, spoiled = rows_of(shop), spoil(shop)
    restored = restore(backup, overwrite=True)
    assert restored.comparison.result is Equality.UNKNOWN
    assert rows_of(shop) == before
    assert restored.kept is not None
    assert rows_of(shop.parent / restored.kept) == spoiled
    assert any(restored.kept in line and "kept" in line for line in restore.log)


# --------------------------------------------------------------------------------- refused beforehand


def test_what_is_there_is_not_replaced_unasked(restore: Restoring, backup: Backup, shop: Path) -> None:
    spoiled = spoil(shop)
    assert_untouched(restore, lambda: restore(backup), TargetNotEmpty)
    assert rows_of(shop) == spoiled
    assert files(shop.parent) == ["shop.sqlite"]


def test_a_source_of_another_family_is_refused(
    restore: Restoring, backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sqlite, "engine", "other")
    assert_untouched(restore, lambda: restore(backup, as_name="copy"), UsageError)


def test_a_damaged_artifact_touches_nothing(
    restore: Restoring, backup: Backup, artifact: Path, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled = spoil(shop)
    data = artifact.read_bytes()
    artifact.write_bytes(
        data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 4]) + data[len(data) // 2 + 1 :]
    )
    never(monkeypatch)
    assert_untouched(restore, lambda: restore(backup, overwrite=True), ChecksumMismatch)
    assert rows_of(shop) == spoiled


def never(monkeypatch: pytest.MonkeyPatch) -> None:
    def touched(*args: object) -> None:
        raise AssertionError("the target was touched")

    for method in ("restore", "drop", "replace"):
        monkeypatch.setattr(Sqlite, method, touched)


def unsign(path: Path) -> None:
    document = json.loads(path.read_text())
    del document["signature"]
    path.write_text(json.dumps(document))


def test_an_unsigned_backup_needs_the_flag_and_is_called_unproven(
    restore: Restoring, backup: Backup, sidecar: Path, shop: Path
) -> None:
    unsign(sidecar)
    restore.services.catalogue.refresh()
    with pytest.MonkeyPatch.context() as patch:
        never(patch)
        assert_untouched(restore, lambda: restore(backup, as_name="copy"), Unproven)
    restore(backup, as_name="copy", unproven=True)
    assert rows_of(shop.with_name("copy.sqlite")) == rows_of(shop)
    assert any("UNPROVEN" in line for line in restore.log)


def test_a_backup_that_was_tampered_with_is_refused_with_the_flag_too(
    restore: Restoring, backup: Backup, sidecar: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({**document, "job": "another"}))
    never(monkeypatch)
    assert_untouched(restore, lambda: restore(backup, as_name="copy", unproven=True), Unproven)


def test_without_the_key_nothing_is_left_behind(
    restore: Restoring, backup: Backup, shop: Path, workspace: Workspace
) -> None:
    [key] = workspace.keys.list()
    workspace.secrets.delete(f"key/{key.recipient}")
    spoiled = spoil(shop)
    with pytest.raises(KeyMissing) as raised:
        restore(backup, overwrite=True)
    assert "shop was not touched" in raised.value.message
    assert rows_of(shop) == spoiled
    assert files(shop.parent) == ["shop.sqlite"]


# --------------------------------------------------------------------------------- failed on the way


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_tool_that_fails_half_way_leaves_the_old_one_and_nothing_else(
    restore: Restoring, backup: Backup, shop: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    def half(self: Sqlite, database: str, chunks: Iterable[bytes]) -> None:
        self.file_of(database).write_bytes(next(iter(chunks))[:1000])
        raise ToolFailed("pg_restore: error: out of disk", exit_status=1)

    monkeypatch.setattr(Sqlite, "restore", half)
    if overwrite:
        spoiled = spoil(shop)
    else:
        shop.unlink()
    with pytest.raises(ToolFailed, match="out of disk") as raised:
        restore(backup, overwrite=overwrite)
    assert ("shop was not touched" if overwrite else "shop was not made") in raised.value.message
    assert "was removed" in raised.value.message
    if overwrite:
        assert rows_of(shop) == spoiled
    assert files(shop.parent) == (["shop.sqlite"] if overwrite else [])


@pytest.mark.parametrize("untouched", [True, False])
def test_a_source_that_replaces_in_place_tells_whether_it_had_begun_to(
    restore: Restoring, backup: Backup, shop: Path, monkeypatch: pytest.MonkeyPatch, untouched: bool
) -> None:
    def refused(self: Sqlite, database: str, chunks: Iterable[bytes]) -> None:
        self.untouched = untouched
        raise ToolFailed("the scratch server did not start")

    monkeypatch.setattr(Sqlite, "restores_over", True)
    monkeypatch.setattr(Sqlite, "restore", refused)
    with pytest.raises(ToolFailed, match="did not start") as raised:
        restore(backup, overwrite=True)
    assert ("The target was not touched" in raised.value.message) is untouched
    assert ("may hold some of the backup" in raised.value.message) is not untouched


def test_what_differs_from_the_fingerprint_does_not_take_the_place_of_the_old_one(
    restore: Restoring, backup: Backup, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled = spoil(shop)
    put_back = Sqlite.restore

    def lossy(self: Sqlite, database: str, chunks: Iterable[bytes]) -> None:
        put_back(self, database, chunks)
        with closing(sqlite3.connect(self.file_of(database))) as connection, connection:
            connection.execute("DELETE FROM orders WHERE id = 7")

    monkeypatch.setattr(Sqlite, "restore", lossy)
    with pytest.raises(IntegrityError, match="orders") as raised:
        restore(backup, overwrite=True)
    assert "shop was not touched" in raised.value.message
    assert rows_of(shop) == spoiled
    assert files(shop.parent) == ["shop.sqlite"]


def test_a_swap_that_fails_leaves_the_old_one(
    restore: Restoring, backup: Backup, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled = spoil(shop)

    def refused(self: Sqlite, beside: str, database: str) -> None:
        raise SourceError("The database is in use.")

    monkeypatch.setattr(Sqlite, "replace", refused)
    with pytest.raises(SourceError, match=r"in use.*not touched.*was removed"):
        restore(backup, overwrite=True)
    assert rows_of(shop) == spoiled
    assert files(shop.parent) == ["shop.sqlite"]


def test_a_cancel_leaves_the_old_one_and_nothing_else(
    restore: Restoring, backup: Backup, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled = spoil(shop)
    put_back = Sqlite.restore

    def cancelled_late(self: Sqlite, database: str, chunks: Iterable[bytes]) -> None:
        put_back(self, database, chunks)
        restore.cancel.cancel("enough")
        self.context.cancel.raise_if_cancelled()

    drop = Sqlite.drop

    def not_after_a_cancel(self: Sqlite, database: str) -> None:
        self.context.cancel.raise_if_cancelled()  # as every tool of a server's does
        drop(self, database)

    monkeypatch.setattr(Sqlite, "restore", cancelled_late)
    monkeypatch.setattr(Sqlite, "drop", not_after_a_cancel)
    with pytest.raises(Cancelled, match=r"enough.*not touched.*was removed"):
        restore(backup, overwrite=True)
    assert rows_of(shop) == spoiled
    assert files(shop.parent) == ["shop.sqlite"]
    assert list(restore.services.home.spool.iterdir()) == []


def test_a_cancel_before_the_swap_keeps_the_old_one(
    restore: Restoring, backup: Backup, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled = spoil(shop)
    count = Sqlite.fingerprint

    def cancelled_meanwhile(self: Sqlite, database: str) -> Fingerprint:
        found = count(self, database)
        restore.cancel.cancel("enough")
        return found

    def swapped(self: Sqlite, beside: str, database: str) -> None:
        raise AssertionError("it was swapped after the cancel")

    monkeypatch.setattr(Sqlite, "fingerprint", cancelled_meanwhile)
    monkeypatch.setattr(Sqlite, "replace", swapped)
    with pytest.raises(Cancelled, match="not touched"):
        restore(backup, overwrite=True)
    assert rows_of(shop) == spoiled
    assert files(shop.parent) == ["shop.sqlite"]


def test_a_database_that_appears_meanwhile_stays(
    restore: Restoring, backup: Backup, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody said that it may be replaced, for it was not there."""
    count = Sqlite.fingerprint
    copy = shop.parent / "copy.sqlite"

    def meanwhile(self: Sqlite, database: str) -> Fingerprint:
        found = count(self, database)
        make_shop(copy, rows=1)
        return found

    monkeypatch.setattr(Sqlite, "fingerprint", meanwhile)
    with pytest.raises(TargetNotEmpty, match=r"Somebody has made copy .* while the restore ran.*was removed"):
        restore(backup, as_name="copy")
    assert len(rows_of(copy)["customers"]) == 1
    assert files(shop.parent) == ["copy.sqlite", "shop.sqlite"]


def test_one_that_appears_at_the_last_moment_is_kept(
    restore: Restoring, backup: Backup, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap = Sqlite.replace

    def meanwhile(self: Sqlite, beside: str, database: str) -> str | None:
        make_shop(shop.parent / "copy.sqlite", rows=1)
        return swap(self, beside, database)

    monkeypatch.setattr(Sqlite, "replace", meanwhile)
    restored = restore(backup, as_name="copy")
    assert restored.kept is not None
    assert len(rows_of(shop.parent / restored.kept)["customers"]) == 1
    assert any(f"is kept as {restored.kept}" in line for line in restore.log)


def test_a_swap_is_not_ended_half_way_by_a_cancel(
    restore: Restoring, backup: Backup, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows_of(shop)
    spoil(shop)
    swap = Sqlite.replace

    def cancelled(self: Sqlite, beside: str, database: str) -> str | None:
        restore.cancel.cancel("enough")
        self.context.cancel.raise_if_cancelled()
        return swap(self, beside, database)

    monkeypatch.setattr(Sqlite, "replace", cancelled)
    restore(backup, overwrite=True)
    assert rows_of(shop) == before


def test_after_a_swap_that_was_left_half_way_nothing_is_dropped(
    restore: Restoring, backup: Backup, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(shop)

    def broken(self: Sqlite, beside: str, database: str) -> None:
        raise NotPutBack("The tables are in both.")

    monkeypatch.setattr(Sqlite, "replace", broken)
    with pytest.raises(NotPutBack, match=r"in both\. Nothing is dropped: look at shop_restore_"):
        restore(backup, overwrite=True)
    assert any("_restore_" in name for name in files(shop.parent))


def test_what_could_not_be_removed_is_named(
    restore: Restoring, backup: Backup, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Sqlite, database: str, chunks: Iterable[bytes]) -> None:
        raise ToolFailed("no", exit_status=1)

    def stuck(self: Sqlite, database: str) -> None:
        raise SourceError("the server is gone")

    monkeypatch.setattr(Sqlite, "restore", fails)
    monkeypatch.setattr(Sqlite, "drop", stuck)
    with pytest.raises(ToolFailed, match=r"still there \(the server is gone\): drop it yourself"):
        restore(backup, as_name="copy")


def test_an_old_one_that_cannot_be_dropped_does_not_fail_the_restore(
    restore: Restoring, backup: Backup, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows_of(shop)
    spoil(shop)

    def stuck(self: Sqlite, database: str) -> None:
        raise SourceError("it is in use")

    monkeypatch.setattr(Sqlite, "drop", stuck)
    restored = restore(backup, overwrite=True)
    assert rows_of(shop) == before
    assert restored.kept is not None
    assert (shop.parent / restored.kept).exists()
    assert any(restored.kept in line for line in restore.log)


def test_a_bug_of_an_adapter_still_says_the_state(
    restore: Restoring, backup: Backup, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(self: Sqlite, database: str, chunks: Iterable[bytes]) -> None:
        raise ValueError("oops")

    monkeypatch.setattr(Sqlite, "restore", bug)
    with pytest.raises(StrongroomError, match=r"ValueError: oops.*copy was not made"):
        restore(backup, as_name="copy")
