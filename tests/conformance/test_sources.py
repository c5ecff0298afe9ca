"""The built-in sources against the suite that any plugin's source is held to."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

import pytest

from engine.contract.config import build
from plugins.sources.postgresql import PostgreSQL
from plugins.sources.sqlite import Sqlite
from strongroom import Context, Source
from strongroom.testing import PasswordConformance, SourceConformance, ToolConformance
from strongroom.testing.laboratory import Tables
from tests.parts.postgres import (
    Server,
    postgres15,  # noqa: F401 - a fixture
    postgres18,  # noqa: F401 - a fixture
    tools_folder,
)

WRITER = """
import sqlite3, sys
path, first, second = sys.argv[1:]
database = sqlite3.connect(path, timeout=60, isolation_level=None)
number = 0
while True:
    number += 1
    database.execute("BEGIN IMMEDIATE")
    for table in (first, second):
        database.execute(f'INSERT INTO "{table}" VALUES (?, ?)', (number, f"row {number}"))
    database.execute("COMMIT")
    print(number, flush=True)
"""

# psql runs what comes, and says so by \\echo; how fast it is sets the pace.
POSTGRES_WRITER = """
import itertools, subprocess, sys
first, second, *psql = sys.argv[1:]
child = subprocess.Popen(psql, stdin=subprocess.PIPE, text=True)
for number in itertools.count(1):
    values = f"VALUES ({number}, 'row {number}');"
    child.stdin.write(f'BEGIN; INSERT INTO "{first}" {values} INSERT INTO "{second}" {values} COMMIT;\\n')
    child.stdin.write(f"\\\\echo {number}\\n")
    child.stdin.flush()
"""


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class SqliteLab:
    """Files in a folder; the source is the one that was made first."""

    def __init__(self, folder: Path, journal_mode: str) -> None:
        self.folder = folder
        self.journal_mode = journal_mode
        self.first: Path | None = None

    def file(self, database: str) -> Path:
        if Path(database).is_absolute():
            return Path(database)
        return self.folder / (database if database.endswith(".sqlite") else f"{database}.sqlite")

    def open(self, context: Context) -> Source:
        assert self.first is not None
        return Sqlite(Sqlite.Config(path=str(self.first)), context)

    def make(self, database: str, tables: Tables) -> str:
        path = self.file(database)
        self.first = self.first or path
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"PRAGMA journal_mode = {self.journal_mode}")
            for table, rows in tables.items():
                connection.execute(f"CREATE TABLE {quoted(table)} (number INTEGER, words TEXT)")
                connection.executemany(f"INSERT INTO {quoted(table)} VALUES (?, ?)", rows)  # noqa: S608
        return path.stem

    def rows(self, database: str) -> Mapping[str, list[tuple[int, str]]]:
        with closing(sqlite3.connect(self.file(database))) as connection:
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master ORDER BY 1")]
            return {
                name: connection.execute(
                    f"SELECT number, words FROM {quoted(name)} ORDER BY 1"  # noqa: S608
                ).fetchall()
                for name in names
            }

    def exists(self, database: str) -> bool:
        return self.file(database).exists()

    @contextmanager
    def writing(self, database: str, first: str, second: str) -> Iterator[None]:
        with process_writing([sys.executable, "-c", WRITER, str(self.file(database)), first, second]):
            yield

    def odd_name(self) -> str:
        return 'We ird\'Ünï "q" 漢 #%3F?'


@contextmanager
def process_writing(argv: list[str], env: Mapping[str, str] | None = None) -> Iterator[None]:
    """Run a writer that prints a line for each transaction; enter the block when it is in full swing."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=env) as writer:
        assert writer.stdout is not None
        try:
            for _ in range(20):
                assert writer.stdout.readline(), "the writer has failed"
            yield
            assert writer.poll() is None, "the writer stopped before the dump had ended"
        finally:
            writer.kill()


class PostgresLab:
    """Databases on a server of the tests' own."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.made: list[str] = []

    def open(self, context: Context) -> Source:
        return self._open(context)

    def _open(self, context: Context, **values: object) -> Source:
        chosen = self.server.values(databases=[*self.made], **values)
        return PostgreSQL(build(PostgreSQL.Config, {**chosen, **values}), context)

    def open_with_password(self, context: Context, password: str) -> Source:
        return self._open(context, password=password)

    def open_without_tools(self, context: Context) -> Source:
        return self._open(context, tools=str(self.folder / "no tools"))

    def open_with_failing_tool(self, context: Context, how: Literal["killed", "late status"]) -> Source:
        version = 'case "$1" in --version) exec "@REAL@" "$@";; esac\n'
        script = {
            "killed": version + '"@REAL@" "$@" | head -c 1500000\nkill -9 $$',
            "late status": version + '"@REAL@" "$@"\nexit 7',
        }[how]
        folder = tools_folder(self.folder / "tools", self.server.binaries, {"pg_dump": script})
        return self._open(context, tools=str(folder))

    def make(self, database: str, tables: Tables) -> str:
        statements = []
        for table, rows in tables.items():
            statements.append(f"CREATE TABLE {quoted(table)} (number bigint, words text);")
            for start in range(0, len(rows), 200):
                values = ", ".join(
                    f"({number}, '{text.replace(chr(39), chr(39) * 2)}')"
                    for number, text in rows[start : start + 200]
                )
                statements.append(f"INSERT INTO {quoted(table)} VALUES {values};")  # noqa: S608
        self.made.append(self.server.create_database(database, "\n".join(statements)))
        return database

    def rows(self, database: str) -> Mapping[str, list[tuple[int, str]]]:
        names = self.server.list(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {name: self._rows(database, name) for name in sorted(names)}

    def _rows(self, database: str, table: str) -> list[tuple[int, str]]:
        sql = f"SELECT number || ' ' || words FROM {quoted(table)} ORDER BY number"  # noqa: S608
        pairs = (line.partition(" ") for line in self.server.list(database, sql))
        return [(int(number), words) for number, _, words in pairs]

    def exists(self, database: str) -> bool:
        return database in self.server.databases()

    @contextmanager
    def writing(self, database: str, first: str, second: str) -> Iterator[None]:
        psql = [str(self.server.binaries / "psql"), "-X", "-q", "-d", database, "-v", "ON_ERROR_STOP=1"]
        argv = [sys.executable, "-c", POSTGRES_WRITER, first, second, *psql]
        with process_writing(argv, self.server.environment()):
            yield

    def odd_name(self) -> str:
        return 'We ird\'Ünï "q" 漢 \\ = $x'


class TestSqliteWithRollbackJournal(SourceConformance):
    @pytest.fixture
    def lab(self, tmp_path: Path) -> SqliteLab:
        return SqliteLab(tmp_path, "delete")


class TestSqliteWithWal(SourceConformance):
    @pytest.fixture
    def lab(self, tmp_path: Path) -> SqliteLab:
        return SqliteLab(tmp_path, "wal")


class OnPostgres(PasswordConformance, ToolConformance):
    @staticmethod
    def laboratory(server: Server, folder: Path) -> Iterator[PostgresLab]:
        before = set(server.databases())
        yield PostgresLab(server, folder)
        for name in set(server.databases()) - before:
            server.drop_database(name)


class TestPostgres15(OnPostgres):
    @pytest.fixture
    def lab(self, postgres15: Server, tmp_path: Path) -> Iterator[PostgresLab]:  # noqa: F811
        yield from self.laboratory(postgres15, tmp_path)


class TestPostgres18(OnPostgres):
    @pytest.fixture
    def lab(self, postgres18: Server, tmp_path: Path) -> Iterator[PostgresLab]:  # noqa: F811
        yield from self.laboratory(postgres18, tmp_path)
