"""A restore on a workspace with one backup of one database, and what to look at afterwards."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engine.archive.backups import Backup
from engine.cancellation import CancelToken
from engine.errors import StrongroomError
from engine.events import Event
from engine.recorder import Recorder
from engine.recovery.requests import RestoreRequest
from engine.recovery.restore import Restored, perform_restore
from engine.services import Services
from engine.store.ids import new_id
from engine.workspace import Workspace
from tests.conftest import Bench, rows_of

SOURCE = "shop-nightly source"


@pytest.fixture
def services(workspace: Workspace) -> Services:
    return workspace._services()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return tmp_path / "shop.sqlite"


@pytest.fixture
def backup(bench: Bench) -> Backup:
    bench.run(bench.job())
    return bench.workspace.catalogue.list()[0]


@pytest.fixture
def artifact(tmp_path: Path, backup: Backup) -> Path:
    return tmp_path / "vault" / backup.artifact


class Restoring:
    """Restores on a workspace; keeps the log's lines and the events."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.cancel = CancelToken()
        self.events: list[Event] = []
        self.execution_id = ""

    def __call__(self, backup: Backup, **options: object) -> Restored:
        options.setdefault("to_source", SOURCE)
        request = RestoreRequest(backup_id=backup.id, **options)  # type: ignore[arg-type]
        assert RestoreRequest.from_labels({**request.to_labels(), "other": 1}) == request
        self.execution_id = self.services.store.executions.add(new_id(), kind="restore").id
        recorder = Recorder(self.execution_id, self.services.store, self.events.append)
        return perform_restore(self.services, request, recorder, self.cancel, owner=self.execution_id)

    @property
    def log(self) -> list[str]:
        return [line.entry.message for line in self.services.store.logs.list(self.execution_id)]


@pytest.fixture
def restore(services: Services) -> Restoring:
    return Restoring(services)


def spoil(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Change the live database after its backup; return what it holds now."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM orders")
        database.execute("INSERT INTO customers VALUES (99999, 'new since the backup')")
    return rows_of(path)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.sqlite*"))


def assert_untouched(restore: Restoring, act: Callable[[], object], kind: type[StrongroomError]) -> str:
    with pytest.raises(kind) as raised:
        act()
    assert "The target was not touched." in raised.value.message
    return raised.value.message


def resign(path: Path, services: Services, **changes: object) -> None:
    document = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps(services.keys.signer().sign(document)))


@pytest.fixture
def sidecar(artifact: Path) -> Path:
    return artifact.with_name(f"{artifact.name}.meta.json")
