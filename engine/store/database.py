"""The store: settings, endpoints, jobs, executions and logs, in one SQLite file that many processes share.

Import it lazily: SQLAlchemy's ORM alone takes a quarter of a second.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from engine.clock import Clock, utc_now
from engine.store import schema
from engine.store.backups import BackupRepository
from engine.store.claims import Claims
from engine.store.endpoints import EndpointRepository
from engine.store.executions import ExecutionRepository
from engine.store.jobs import JobRepository
from engine.store.keys import KeyRepository, SignerRepository
from engine.store.leftovers import LeftoverRepository
from engine.store.logs import LogRepository
from engine.store.notifications import NotificationRepository
from engine.store.planned import PlannedTimes
from engine.store.policies import PolicyRepository
from engine.store.sessions import BUSY_SECONDS, Sessions, kindly, make_engine
from engine.store.settings import Settings

INSTALLATION_ID = "installationId"
"""The setting that holds this installation's ID, made once."""


class Store:
    """The repositories of one installation. Safe to use from any thread; frozen values go in and out.

    Opening makes the file, or brings it to the newest schema. Raises `StoreError` for a file that is
    newer than this version, damaged, or somebody else's. Use it in a `with` block, or call `close`.
    """

    def __init__(self, path: Path, *, clock: Clock = utc_now) -> None:
        self.path = path
        self.clock = clock
        self._sessions = Sessions(path, clock)
        self.settings = Settings(self._sessions)
        self.endpoints = EndpointRepository(self._sessions)
        self.jobs = JobRepository(self._sessions)
        self.executions = ExecutionRepository(self._sessions)
        self.claims = Claims(self._sessions)
        self.planned = PlannedTimes(self._sessions)
        self.logs = LogRepository(self._sessions)
        self.backups = BackupRepository(self._sessions)
        self.keys = KeyRepository(self._sessions)
        self.signers = SignerRepository(self._sessions)
        self.policies = PolicyRepository(self._sessions)
        self.leftovers = LeftoverRepository(self._sessions)
        self.notifications = NotificationRepository(self._sessions)
        try:
            self._prepare()
            found = self.settings.get(INSTALLATION_ID)
            made = found or self.settings.set_default(INSTALLATION_ID, secrets.token_hex(8))
            self.installation_id = str(made)
        except BaseException:
            self.close()
            raise

    def read(self) -> AbstractContextManager[Session]:
        """One snapshot to read from; for the repositories, and for tests."""
        return self._sessions.read()

    def write(self, *, durable: bool = True) -> AbstractContextManager[Session]:
        """A transaction that is alone from its first statement on; see `Sessions.write`."""
        return self._sessions.write(durable=durable)

    def data_version(self) -> int:
        """A number that differs after any process has written to the store."""
        return self._sessions.data_version()

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        self._sessions.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- opening -------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        schema.refuse_if_emptied(self.path)
        schema.make_private_file(self.path)
        with kindly(self.path):
            if not self._is_newest():
                from filelock import FileLock

                # One process makes or migrates; the others wait, look again, and find it done.
                with FileLock(
                    self.path.with_name(self.path.name + ".lock"), timeout=BUSY_SECONDS, mode=0o600
                ):
                    if not self._is_newest():
                        self._create_or_upgrade()

    def _is_newest(self) -> bool:
        with self._sessions.read() as session:
            connection = session.connection()
            if schema.current_revision(connection) == schema.NEWEST:
                return True
            schema.refuse_if_strange(connection, self.path)
            return False

    def _create_or_upgrade(self) -> None:
        with _schema_engine(self.path) as engine:
            with engine.connect() as connection:
                raw = connection.connection.cursor()
                raw.execute("PRAGMA journal_mode = WAL")  # kept in the file; not possible in a transaction
                raw.close()
                revision = schema.current_revision(connection)
            if revision is None:
                with engine.begin() as connection:
                    schema.create(connection)
            else:
                schema.keep_copy(engine, self.path, revision)
                schema.upgrade(engine)


@contextmanager
def _schema_engine(path: Path) -> Iterator[Engine]:
    engine = make_engine(path, "BEGIN IMMEDIATE", foreign_keys=False)
    try:
        yield engine
    finally:
        engine.dispose()
