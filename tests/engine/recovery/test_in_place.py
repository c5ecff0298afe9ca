"""Restores by sources that cannot swap by renaming: what goes when, and how the target is left."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.archive.backups import Backup
from engine.contract.values import Fingerprint
from engine.errors import (
    ChecksumMismatch,
    StrongroomError,
    TargetNotEmpty,
    ToolFailed,
)
from plugins.sources.sqlite import Sqlite
from tests.conftest import make_shop, rows_of
from tests.engine.recovery.conftest import Restoring, assert_untouched, files, resign, spoil


@pytest.fixture
def no_renaming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sqlite, "can_replace", False)

    def touched(*args: object) -> None:
        raise AssertionError("this source cannot swap")

    monkeypatch.setattr(Sqlite, "replace", touched)


@pytest.mark.usefixtures("no_renaming")
def test_without_renaming_the_old_one_goes_only_after_the_new_one_was_decoded(
    restore: Restoring, backup: Backup, sidecar: Path, shop: Path
) -> None:
    before, spoiled = rows_of(shop), spoil(shop)
    resign(sidecar, restore.services, dump_size=backup.sidecar.dump_size + 1)
    assert_untouched(restore, lambda: restore(backup, overwrite=True), ChecksumMismatch)
    assert rows_of(shop) == spoiled
    resign(sidecar, restore.services, dump_size=backup.sidecar.dump_size)
    restore(backup, overwrite=True)
    assert rows_of(shop) == before


@pytest.mark.usefixtures("no_renaming")
@pytest.mark.parametrize("before", ["missing", "empty", "filled"])
def test_without_renaming_a_failure_says_what_is_left(
    restore: Restoring, backup: Backup, shop: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    def half(self: Sqlite, database: str, chunks: Iterable[bytes]) -> None:
        with closing(sqlite3.connect(self.file_of(database))) as connection, connection:
            connection.execute("CREATE TABLE half (a)")
        raise ToolFailed("it broke", exit_status=1)

    if before != "filled":
        shop.unlink()
    if before == "empty":
        shop.touch()
    monkeypatch.setattr(Sqlite, "restore", half)
    words = {
        "missing": "shop is missing, as before",
        "empty": "holds what was restored so far",
        "filled": "The old shop is gone",
    }
    with pytest.raises(ToolFailed, match=words[before]):
        restore(backup, overwrite=True)
    assert files(shop.parent) == (["shop.sqlite"] if before == "empty" else [])


@pytest.mark.usefixtures("no_renaming")
def test_what_somebody_put_there_meanwhile_is_never_dropped(
    restore: Restoring, backup: Backup, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = shop.with_name("copy.sqlite")
    put_back = Sqlite.restore

    def late(self: Sqlite, database: str, chunks: Iterable[bytes]) -> None:
        make_shop(theirs, rows=3)
        put_back(self, database, chunks)

    monkeypatch.setattr(Sqlite, "restore", late)
    assert_untouched(restore, lambda: restore(backup, as_name="copy"), TargetNotEmpty)
    assert len(rows_of(theirs)["customers"]) == 3


def test_the_stream_is_read_to_its_end_even_if_the_tool_stops_before(
    restore: Restoring, backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.recovery.retrieve import Fetched

    plain, ended = Fetched.plain, []

    def watched(self: Fetched) -> Iterator[bytes]:
        yield from plain(self)
        ended.append(True)

    put_back = Sqlite.restore

    def content_early(self: Sqlite, database: str, chunks: Iterable[bytes]) -> None:
        put_back(self, database, [b"".join([next(iter(chunks))])])

    monkeypatch.setattr(Fetched, "plain", watched)
    monkeypatch.setattr(Sqlite, "restore", content_early)
    restore(backup, as_name="copy")
    assert ended


class Over(Sqlite):
    """A source that takes a filled database itself, all or nothing, as its flag says."""

    restores_over = True
    undoes = True

    def restore(self, database: str, chunks: Iterable[bytes]) -> None:
        path = Path(self.config.path).with_name(f"{database}.sqlite")
        whole = b"".join(chunks)
        if self.undoes:
            raise ToolFailed("the transaction was rolled back.", exit_status=1)
        path.write_bytes(whole)


@pytest.mark.parametrize(
    ("undoes", "different", "state"),
    [
        (True, False, "shop is as it was."),
        (False, True, "shop holds the backup now, and not what it held before."),
    ],
)
def test_a_restore_within_a_filled_database_says_how_it_left_it(
    restore: Restoring,
    backup: Backup,
    shop: Path,
    monkeypatch: pytest.MonkeyPatch,
    undoes: bool,
    different: bool,
    state: str,
) -> None:
    monkeypatch.setattr(Sqlite, "restores_over", True)
    monkeypatch.setattr(Sqlite, "undoes", undoes)
    monkeypatch.setattr(Sqlite, "restore", Over.restore)
    if different:
        other = Fingerprint({"customers": 1}, consistent=True)
        monkeypatch.setattr(Sqlite, "fingerprint", lambda self, database: other)
    before = spoil(shop)
    with pytest.raises(StrongroomError) as caught:
        restore(backup, overwrite=True)
    assert str(caught.value).endswith(state)
    assert (rows_of(shop) == before) is undoes
