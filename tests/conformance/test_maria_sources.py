"""MariaDB and MySQL's adapter against the suite that any plugin's source is held to, on a MariaDB server."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from engine.contract.config import build
from plugins.sources.maria.server import MariaFamily
from plugins.sources.mariadb import MariaDB
from plugins.sources.mysql import MySQL
from strongroom import Context, Source
from strongroom.testing import PasswordConformance, ToolConformance
from strongroom.testing.laboratory import Tables
from tests.conformance.test_sources import process_writing
from tests.parts.mariadb import Server, mariadb, quoted  # noqa: F401 - a fixture
from tests.parts.postgres import tools_folder

# The client runs what comes; how fast it answers sets the pace.
WRITER = """
import itertools, subprocess, sys
first, second, *client = sys.argv[1:]
child = subprocess.Popen(client, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
for number in itertools.count(1):
    values = f"VALUES ({number}, 'row {number}');"
    child.stdin.write(f'BEGIN; INSERT INTO `{first}` {values} INSERT INTO `{second}` {values} COMMIT;\\n')
    child.stdin.write(f"SELECT {number};\\n")
    child.stdin.flush()
    child.stdout.readline()
    print(number, flush=True)
"""


class MariaLab:
    """Databases on a server of the tests' own."""

    def __init__(self, adapter: type[MariaFamily], server: Server, folder: Path) -> None:
        self.adapter = adapter
        self.server = server
        self.folder = folder
        self.made: list[str] = []

    def open(self, context: Context) -> Source:
        return self._open(context)

    def _open(self, context: Context, **values: object) -> Source:
        chosen = self.server.values(databases=[*self.made], **values)
        return self.adapter(build(self.adapter.Config, {**chosen, **values}), context)

    def open_with_password(self, context: Context, password: str) -> Source:
        return self._open(context, password=password)

    def open_without_tools(self, context: Context) -> Source:
        return self._open(context, tools=str(self.folder / "no tools"))

    def open_with_failing_tool(self, context: Context, how: Literal["killed", "late status"]) -> Source:
        version = 'case "$2" in --version) exec "@REAL@" "$@";; esac\n'
        script = {
            "killed": version + '"@REAL@" "$@" | head -c 1500000\nkill -9 $$',
            "late status": version + '"@REAL@" "$@"\nexit 7',
        }[how]
        scripts = dict.fromkeys(self.adapter.dumpers, script)
        names = (*self.adapter.clients, *self.adapter.dumpers)
        folder = tools_folder(self.folder / "tools", self.server.binaries, scripts, tools=names)
        return self._open(context, tools=str(folder))

    def make(self, database: str, tables: Tables) -> str:
        statements = [
            f"CREATE DATABASE {quoted(database)} CHARACTER SET utf8mb4;",
            f"USE {quoted(database)};",
        ]
        for table, rows in tables.items():
            statements.append(f"CREATE TABLE {quoted(table)} (number bigint, words longtext) ENGINE=InnoDB;")
            for start in range(0, len(rows), 200):
                values = ", ".join(
                    f"({number}, CONVERT(0x{text.encode().hex()} USING utf8mb4))"
                    if text
                    else f"({number}, '')"
                    for number, text in rows[start : start + 200]
                )
                statements.append(f"INSERT INTO {quoted(table)} VALUES {values};")  # noqa: S608
        self.server.sql("\n".join(statements))
        self.made.append(database)
        return database

    def rows(self, database: str) -> Mapping[str, list[tuple[int, str]]]:
        names = [bytes.fromhex(row[0]).decode() for row in self.server.sql(_TABLES, database)]
        return {name: self._rows(database, name) for name in sorted(names)}

    def _rows(self, database: str, table: str) -> list[tuple[int, str]]:
        sql = f"SELECT number, CONCAT('x', HEX(words)) FROM {quoted(table)} ORDER BY number"  # noqa: S608
        return [
            (int(number), bytes.fromhex(words[1:]).decode())
            for number, words in self.server.sql(sql, database)
        ]

    def exists(self, database: str) -> bool:
        return database in self.server.databases()

    @contextmanager
    def writing(self, database: str, first: str, second: str) -> Iterator[None]:
        client = [str(self.server.binaries / "mariadb"), "--no-defaults", f"--socket={self.server.socket}"]
        client += ["--user=root", "--batch", "--skip-column-names", "--unbuffered", f"--database={database}"]
        with process_writing([sys.executable, "-c", WRITER, first, second, *client]):
            yield

    def odd_name(self) -> str:
        return 'We ird\'Ünï "q" 漢 \\ `b` = $x.y%_'


_TABLES = "SELECT HEX(TABLE_NAME) FROM information_schema.TABLES WHERE BINARY TABLE_SCHEMA = DATABASE()"


class OnMaria(PasswordConformance, ToolConformance):
    adapter: ClassVar[type[MariaFamily]]

    @pytest.fixture
    def lab(self, mariadb: Server, tmp_path: Path) -> Iterator[MariaLab]:  # noqa: F811
        before = set(mariadb.databases())
        yield MariaLab(self.adapter, mariadb, tmp_path)
        for name in set(mariadb.databases()) - before:
            mariadb.sql(f"DROP DATABASE {quoted(name)}")


class TestMariaDB(OnMaria):
    adapter = MariaDB


class TestMySQL(OnMaria):
    """By the names that MariaDB gives to its own tools: MySQL's own are not to be had here."""

    adapter = MySQL
