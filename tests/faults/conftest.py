"""An installation with a job to break, and ways to hold its tools at a point."""

from __future__ import annotations

import os
import random
import select
import shlex
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import make_shop
from tests.parts.commands import PATIENCE, Installation
from tests.parts.disks import Machine, machine
from tests.parts.postgres import postgres  # noqa: F401 - a fixture
from tests.parts.s3 import S3Server, bucket, s3  # noqa: F401 - fixtures
from tests.parts.sshd import SshServer, sshd  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from tests.faults.three import Three

FULL = os.environ.get("STRONGROOM_FAULTS") == "full"
"""Whether the campaigns run with their big counts (`./dev bench faults`), not with those of every change."""
SEED = 20261124
"""What every campaign draws its moments and places from, so that a failure can be repeated."""
JOB = "shop-nightly"

SQLITE = """
[[key]]
name = "default"

[[source]]
name = "shop"
adapter = "sqlite"
config = { path = "shop.sqlite" }

[[destination]]
name = "disk"
adapter = "local"
config = { path = "disk" }

[[job]]
name = "shop-nightly"
source = "shop"
destinations = ["disk"]
options = { upload_attempts = 1 }
"""


def make_bulk(path: Path, megabytes: int, seed: int = 1) -> Path:
    """Make an SQLite database of that size which does not compress."""
    chance = random.Random(seed)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE bulk (id INTEGER PRIMARY KEY, data BLOB)")
        database.executemany(
            "INSERT INTO bulk (data) VALUES (?)",
            ((chance.randbytes(1 << 14),) for _ in range(megabytes * 64)),
        )
    return path


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """A fresh installation, with nothing in it."""
    its = Installation(tmp_path)
    yield its
    its.close()


@pytest.fixture
def shop(installation: Installation) -> Installation:
    """An installation whose job backs a small SQLite file up, encrypted, to the folder `disk`."""
    make_shop(installation.folder / "shop.sqlite")
    installation.apply(SQLITE)
    return installation


@pytest.fixture
def three(installation: Installation, s3: S3Server, bucket: str, sshd: SshServer) -> Iterator[Three]:  # noqa: F811
    """A job to a folder, a bucket and an SSH server at once."""
    from tests.faults.three import three_destinations

    with three_destinations(installation, s3, bucket, sshd) as its:
        yield its


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in this process wait a moment only before they try an upload again."""
    monkeypatch.setattr("engine.pipeline.upload.FIRST_WAIT", 0.05)


@pytest.fixture
def apart() -> Iterator[Machine]:
    """A machine whose mounts are its own."""
    with machine() as its:
        yield its


class Gate:
    """A point at which a tool of a source is held: it says that it is there, and waits to be let on.

    `held` is the end of a pipeline for `sh` that passes so many bytes on, and holds there.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._told, self._release = folder / "told", folder / "release"
        self._fds = []
        for fifo in (self._told, self._release):
            os.mkfifo(fifo)
            # Open for both, so that neither side ever waits for the other to open it.
            self._fds.append(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))

    @property
    def hold(self) -> str:
        """Commands for `sh` that hold there."""
        return f"echo here > {shlex.quote(str(self._told))}; read word < {shlex.quote(str(self._release))}"

    def held(self, after: int) -> str:
        return f"{{ head -c {after}; {self.hold}; cat; }}"

    def reached(self) -> None:
        """Wait until the tool is there."""
        ready, _, _ = select.select([self._fds[0]], [], [], PATIENCE)
        assert ready, "the tool never came to the gate"
        os.read(self._fds[0], 100)

    def open(self) -> None:
        """Let it go on."""
        os.write(self._fds[1], b"on\n")

    def close(self) -> None:
        for fd in self._fds:
            os.close(fd)


@pytest.fixture
def make_gate(tmp_path: Path) -> Iterator[Callable[[], Gate]]:
    """Makes gates, which are closed with the test."""
    gates: list[Gate] = []

    def make() -> Gate:
        gates.append(Gate(tmp_path / f"gate-{len(gates)}"))
        return gates[-1]

    yield make
    for gate in gates:
        gate.close()


@pytest.fixture
def gate(make_gate: Callable[[], Gate]) -> Gate:
    """One gate."""
    return make_gate()
