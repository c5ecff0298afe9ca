"""What most tests share: a fresh installation, real files to back up, and a way to run a job to its end."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.contract.registry import Registry
from engine.home import Home
from engine.records import Execution, Job, JobDestination
from engine.secrets import VaultSecrets
from engine.workspace import Workspace
from tests.parts.faulty import faulty_registry

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Whoever started the tests in the background: what they start would ignore Ctrl-C as well, as it should.
    signal.signal(signal.SIGINT, signal.default_int_handler)

WAIT = 60.0
"""Seconds that a test waits for an execution before it says that it hangs."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """The folders of a fresh installation."""
    return Home(tmp_path / "home").make()


@pytest.fixture
def registry() -> Registry:
    """The built-in adapters, and the ones that fail on demand."""
    return faulty_registry()


@pytest.fixture
def open_workspace(home: Home, registry: Registry) -> Callable[[], Workspace]:
    """Opens the installation at `home`, as a second process or a restart would."""

    def opened() -> Workspace:
        vault = VaultSecrets(home.vault, "a passphrase of the tests")
        return Workspace.open(home, secrets=vault, registry=lambda: registry)

    return opened


@pytest.fixture
def workspace(open_workspace: Callable[[], Workspace]) -> Iterator[Workspace]:
    """A fresh installation with a key named default; what still runs at the end is cancelled."""
    opened = open_workspace()
    try:
        opened.keys.new("default")
        yield opened
    finally:
        opened.close(cancel=True)


def make_shop(path: Path, rows: int = 200) -> Path:
    """Make an SQLite database with a table of customers and a table of orders."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, total REAL)")
        database.executemany(
            "INSERT INTO customers VALUES (?, ?)",
            [(number, f"Zoë {number} Ünïcode") for number in range(rows)],
        )
        database.executemany(
            "INSERT INTO orders VALUES (?, ?, ?)",
            [(number, number % rows, number * 1.25) for number in range(rows * 3)],
        )
    return path


def rows_of(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table of an SQLite file, for comparing by content."""
    with closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: sorted(database.execute(f'SELECT * FROM "{table}"'), key=repr)  # noqa: S608 - its own name
            for table in sorted(tables)
        }


class Bench:
    """A job on a workspace, made in one line and run in another."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self.workspace = workspace
        self.folder = folder

    def job(
        self,
        name: str = "shop-nightly",
        *,
        source: str = "sqlite",
        source_values: dict[str, object] | None = None,
        destinations: dict[str, tuple[str, dict[str, object]]] | None = None,
        retention: dict[str, object] | None = None,
        **values: object,
    ) -> Job:
        """Make a source, its destinations (`{name: (adapter, values)}`, else one local folder) and a job."""
        endpoints = self.workspace.endpoints
        if source_values is None:
            path = self.folder / "shop.sqlite"
            source_values = {"path": str(path if path.exists() else make_shop(path))}
        saved = endpoints.save("source", f"{name} source", source, source_values)
        chosen = destinations or {"vault": ("local", {"path": str(self.folder / "vault")})}
        targets = [
            endpoints.save("destination", label, adapter, config)
            for label, (adapter, config) in chosen.items()
        ]
        return self.workspace.jobs.save(
            Job(
                id="",
                name=name,
                source_id=saved.id,
                source_name=saved.name,
                destinations=tuple(
                    JobDestination(target.id, target.name, number, retention or {"mode": "none"})
                    for number, target in enumerate(targets)
                ),
                **values,  # type: ignore[arg-type]
            )
        )

    def run(self, job: Job | str) -> Execution:
        """Run a job to its end."""
        name = job if isinstance(job, str) else job.id
        return self.workspace.wait(self.workspace.run_job(name), WAIT)

    def log_of(self, execution: Execution) -> list[str]:
        """The lines of an execution's stored log."""
        return [line.entry.message for line in self.workspace.store.logs.list(execution.id)]

    def stored(self, folder: str = "vault") -> list[str]:
        """What lies in a local destination, temporary files included."""
        root = self.folder / folder
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.fixture
def bench(workspace: Workspace, tmp_path: Path) -> Bench:
    """Makes jobs on the workspace and runs them."""
    return Bench(workspace, tmp_path)
