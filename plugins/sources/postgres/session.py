"""psql as the way to ask a server: one question at a time, or a session that holds a snapshot open.

Answers come with NUL between fields and rows, which no name or value of PostgreSQL can hold. psql reads
no start-up file, and stops at the first error.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from contextlib import suppress

from plugins.sources.postgres.connection import Connection, conninfo
from plugins.sources.postgres.failures import failure
from plugins.sources.postgres.tools import Found
from strongroom import Cancelled, CancelToken, Host, SourceError

Row = tuple[str, ...]
_POLITE = 1.0  # seconds

# A database in SQL_ASCII holds bytes in no encoding that the server knows of. As UTF-8 it gives out those
# alone that are; in its own encoding it gives out all as they are.
_ENCODING = (
    "pg_catalog.set_config('client_encoding',"
    " CASE pg_catalog.current_setting('server_encoding') WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END,"
    " false)"
)
_AS_ENCODED = f"SELECT {_ENCODING} AS encoding \\gset strongroom_\n"  # a row that is not in the answer

# No time-out of the server's or the role's may end a session that waits for a dump of hours; and names
# mean what they say, whatever search_path somebody set for this database.
_QUIETEN = (
    "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name IN"
    " ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout',"
    " 'idle_session_timeout');"
    " SELECT pg_catalog.set_config('search_path', '', false);"
    # Rows that a policy hides must be an error here, as they are for pg_dump, and never a lower count.
    " SET row_security = off;"
)
_ARGUMENTS = (
    *("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--no-password"),
    *("--field-separator-zero", "--record-separator-zero", "--set=ON_ERROR_STOP=1"),
)


def rows_of(output: bytes, fields: int) -> list[Row]:
    """Split psql's output. With NUL for both separators the rows are told apart by counting fields."""
    values = output.split(b"\0")
    if values and values[-1].strip() == b"":
        values.pop()
    texts = [value.decode("utf-8", "surrogateescape") for value in values]
    return [tuple(texts[start : start + fields]) for start in range(0, len(texts), fields)]


class Psql:
    """Asks one server by one psql. Raises `SourceError`s, and `Cancelled`."""

    def __init__(self, host: Host, tool: Found, connection: Connection, cancel: CancelToken) -> None:
        self._host = host
        self._cancel = cancel
        self.tool = tool
        self.connection = connection

    def _argv(self, database: str) -> list[str]:
        return [self.tool.path, *_ARGUMENTS, f"--dbname={conninfo(database)}"]

    def ask(self, database: str, sql: str, *, fields: int = 1, timeout: float = 120.0) -> list[Row]:
        """Run `sql` in `database` and return the rows of its answers, each of `fields` fields."""
        done = self._host.capture(
            self._argv(database),
            env=self.connection.environment(),
            stdin=f"{_AS_ENCODED}{sql}\n".encode("utf-8", "surrogateescape"),
            timeout=timeout,
        )
        if done.exit_status != 0:
            raise failure("psql", done.exit_status, done.stderr, self.connection, database)
        return rows_of(done.stdout, fields)

    def session(self, database: str) -> Session:
        """Begin a session; close it."""
        return Session(self._host, self._argv(database), self.connection, database, self._cancel)


class Session:
    """One psql held open on its standard input, and with it a connection and its transaction."""

    def __init__(
        self, host: Host, argv: list[str], connection: Connection, database: str, cancel: CancelToken
    ) -> None:
        self._connection = connection
        self._database = database
        self._cancel = cancel
        self._process = host.run(argv, env=connection.environment(), stdin=True)
        try:
            self.ask(_AS_ENCODED + _QUIETEN)
        except BaseException:
            self.close()
            raise

    def ask(self, sql: str, *, fields: int = 1) -> list[Row]:
        """Run `sql` and return its rows. Raises when the connection is gone, or the server says no."""
        mark = secrets.token_hex(12)
        question = f"{sql}\nSELECT '{mark}';\n".encode("utf-8", "surrogateescape")
        end = mark.encode() + b"\0"
        try:
            self._process.write(question)
        except BrokenPipeError:
            raise self._failure() from None
        answer = bytearray()
        while not answer.endswith(end):
            chunk = self._process.read()
            if not chunk:
                raise self._failure()
            answer += chunk
        return rows_of(bytes(answer.removesuffix(end)), fields)

    def _failure(self) -> SourceError:
        self._process.close_stdin()
        status = self._process.wait()
        self._cancel.raise_if_cancelled()
        return failure("psql", status, self._process.stderr(), self._connection, self._database)

    def begin_snapshot(self) -> None:
        """Begin a read-only transaction that sees the database as of now, for as long as it lasts."""
        self.ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;")
        # The snapshot is taken by the first query, not by BEGIN.
        self.ask("SELECT 1;")

    def export_snapshot(self) -> str:
        """The name by which another session can see the same; valid while this transaction lasts."""
        return self.ask("SELECT pg_catalog.pg_export_snapshot();")[0][0]

    def count(self, questions: Iterable[str]) -> list[int]:
        """Answer questions that give one number each."""
        return [int(value) for (value,) in self.ask(" ".join(questions))]

    def close(self) -> None:
        """End psql, and with it the transaction. Safe to call twice."""
        # Asked politely first: a killed client leaves "unexpected EOF" in the server's log.
        with suppress(TimeoutError, Cancelled):
            self._process.close_stdin()
            self._process.wait(_POLITE)
        self._process.kill()
