"""Drills: passed only when the rows of the dump's own snapshot were found again, and nothing is left."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import pytest

from engine.archive.backups import Backup
from engine.cancellation import CancelToken
from engine.contract.adapters import no_log
from engine.errors import Cancelled, ConnectionFailed, DumpIncomplete, SourceError, ToolFailed
from engine.events import LogLevel, LogType
from engine.records import JobOptions
from engine.recovery.drill import drill_backup
from engine.recovery.integrity import Verification
from engine.services import Services
from engine.workspace import Workspace
from plugins.sources.sqlite import Sqlite
from tests.conftest import Bench, rows_of

Drill = Callable[[], Verification]


@pytest.fixture
def services(workspace: Workspace) -> Services:
    return workspace._services()


@pytest.fixture
def backup(bench: Bench) -> Backup:
    bench.run(bench.job())
    return bench.workspace.catalogue.list()[0]


@pytest.fixture
def artifact(tmp_path: Path, backup: Backup) -> Path:
    return tmp_path / "vault" / backup.artifact


@pytest.fixture
def drill(services: Services, backup: Backup) -> Drill:
    return lambda: drill_backup(services, backup.id, cancel=CancelToken(), log=no_log)


@pytest.fixture(autouse=True)
def nothing_is_left(workspace: Workspace, tmp_path: Path) -> Iterable[None]:
    """After every drill, whatever its outcome."""
    yield
    assert [path.name for path in tmp_path.glob("*.sqlite*")] in ([], ["shop.sqlite"])
    assert list(workspace.home.scratch.iterdir()) == []
    assert list(workspace.home.spool.iterdir()) == []


def test_a_good_backup_passes_and_the_live_database_is_not_touched(
    workspace: Workspace, drill: Drill, artifact: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as database, database:
        database.execute("DELETE FROM orders")
    live = rows_of(tmp_path / "shop.sqlite")
    found = drill()
    assert (found.level, found.outcome, found.reason) == ("drill", "passed", "")
    assert "2 tables with 800 rows" in found.how
    assert rows_of(tmp_path / "shop.sqlite") == live
    proof = json.loads(artifact.with_name(f"{artifact.name}.proof.json").read_text())
    assert proof["drill"]["outcome"] == "passed"
    [backup] = workspace.catalogue.list()
    assert backup.drill is not None
    assert backup.verification is None


def test_a_drill_needs_no_live_database(drill: Drill, tmp_path: Path) -> None:
    (tmp_path / "shop.sqlite").unlink()
    assert drill().outcome == "passed"


def test_a_restore_that_lost_a_row_fails(drill: Drill, monkeypatch: pytest.MonkeyPatch) -> None:
    put_back = Sqlite.restore

    def lossy(self: Sqlite, database: str, chunks: Iterable[bytes]) -> None:
        put_back(self, database, chunks)
        with closing(sqlite3.connect(self.file_of(database))) as connection, connection:
            connection.execute("DELETE FROM orders WHERE id = 7")

    monkeypatch.setattr(Sqlite, "restore", lossy)
    found = drill()
    assert found.outcome == "failed"
    assert "orders has 599 rows instead of 600" in found.reason


@pytest.mark.parametrize("error", [ToolFailed("pg_restore ended with exit status 1"), DumpIncomplete("cut")])
def test_a_restore_that_fails_fails(
    drill: Drill, monkeypatch: pytest.MonkeyPatch, error: SourceError
) -> None:
    def fails(self: Sqlite, database: str, chunks: Iterable[bytes]) -> None:
        self.file_of(database).write_bytes(next(iter(chunks)))
        raise error

    monkeypatch.setattr(Sqlite, "restore", fails)
    found = drill()
    assert found.outcome == "failed"
    assert error.message in found.reason


def test_a_damaged_artifact_fails_before_anything_is_restored(
    drill: Drill, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def touched(*args: object) -> None:
        raise AssertionError("something was restored that was not proven")

    monkeypatch.setattr(Sqlite, "restore", touched)
    data = bytearray(artifact.read_bytes())
    data[-1] ^= 1
    artifact.write_bytes(data)
    assert drill().outcome == "failed"


@pytest.mark.parametrize(("change", "outcome"), [("edit", "failed"), ("unsign", "could-not-verify")])
def test_what_is_not_proven_is_not_drilled(
    workspace: Workspace,
    drill: Drill,
    artifact: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
    outcome: str,
) -> None:
    path = artifact.with_name(f"{artifact.name}.meta.json")
    document = json.loads(path.read_text())
    if change == "edit":
        document["source"] = "another"
    else:
        del document["signature"]
    path.write_text(json.dumps(document))
    workspace.catalogue.refresh()

    def touched(*args: object) -> None:
        raise AssertionError("something was restored that was not proven")

    monkeypatch.setattr(Sqlite, "restore", touched)
    assert drill().outcome == outcome


def test_without_a_fingerprint_nothing_is_proven(services: Services, bench: Bench) -> None:
    bench.run(bench.job(options=JobOptions(fingerprint=False)))
    [backup] = bench.workspace.catalogue.list()
    found = drill_backup(services, backup.id, cancel=CancelToken(), log=no_log)
    assert found.outcome == "could-not-verify"
    assert "Nothing to compare with" in found.reason


def test_a_fingerprint_from_outside_the_snapshot_proves_nothing(
    services: Services, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.contract.values import Fingerprint

    count = Sqlite._count

    def careless(self: Sqlite, path: Path, connection: sqlite3.Connection) -> Fingerprint:
        return Fingerprint(count(self, path, connection).tables, consistent=False)

    with monkeypatch.context() as patch:
        patch.setattr(Sqlite, "_count", careless)
        bench.run(bench.job())
    [backup] = bench.workspace.catalogue.list()
    found = drill_backup(services, backup.id, cancel=CancelToken(), log=no_log)
    assert found.outcome == "could-not-verify"
    assert "own snapshot" in found.reason


def test_without_the_key_it_could_not_be_verified(workspace: Workspace, drill: Drill) -> None:
    [key] = workspace.keys.list()
    workspace.secrets.delete(f"key/{key.recipient}")
    found = drill()
    assert found.outcome == "could-not-verify"
    assert "key" in found.reason


def test_a_server_that_does_not_answer_says_nothing_about_the_backup(
    drill: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(self: Sqlite, database: str) -> None:
        raise ConnectionFailed("The server cannot be reached.")

    monkeypatch.setattr(Sqlite, "target_state", down)
    assert drill().outcome == "could-not-verify"


def test_a_destination_that_does_not_answer_says_nothing_about_the_backup(
    drill: Drill, tmp_path: Path
) -> None:
    (tmp_path / "vault").rename(tmp_path / "unplugged")
    assert drill().outcome == "could-not-verify"


def test_a_backup_of_a_deleted_job_is_drilled_on_a_source_that_is_named(
    services: Services, bench: Bench, backup: Backup, drill: Drill
) -> None:
    bench.workspace.store.jobs.delete(backup.sidecar.job_id)
    found = drill()
    assert found.outcome == "could-not-verify"
    assert "no source" in found.reason
    named = drill_backup(services, backup.id, cancel=CancelToken(), log=no_log, source="shop-nightly source")
    assert named.outcome == "passed"


def test_a_scratch_database_that_cannot_be_dropped_is_named_and_the_outcome_stands(
    services: Services, backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(self: Sqlite, database: str) -> None:
        raise SourceError("the server went away")

    lines: list[str] = []

    def log(message: str, level: LogLevel, type: LogType, details: str) -> None:
        lines.append(message)

    monkeypatch.setattr(Sqlite, "drop", stuck)
    found = drill_backup(services, backup.id, cancel=CancelToken(), log=log)
    assert found.outcome == "passed"
    assert any("still there" in line for line in lines)


def test_a_cancel_drops_what_was_built(
    services: Services, backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel = CancelToken()
    dropped: list[str] = []
    put_back, drop = Sqlite.restore, Sqlite.drop

    def cancelled_late(self: Sqlite, database: str, chunks: Iterable[bytes]) -> None:
        put_back(self, database, chunks)
        cancel.cancel("enough")
        self.context.cancel.raise_if_cancelled()

    def watched(self: Sqlite, database: str) -> None:
        self.context.cancel.raise_if_cancelled()
        dropped.append(database)
        drop(self, database)

    monkeypatch.setattr(Sqlite, "restore", cancelled_late)
    monkeypatch.setattr(Sqlite, "drop", watched)
    with pytest.raises(Cancelled):
        drill_backup(services, backup.id, cancel=cancel, log=no_log)
    assert len(dropped) == 1
    assert services.catalogue.get(backup.id).drill is None
