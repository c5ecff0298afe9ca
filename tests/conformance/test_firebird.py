"""Firebird's adapter against the suite, on a Firebird 3 server of the tests' own."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest

from engine.contract.config import build
from plugins.sources.firebird import Firebird
from strongroom import Context, Source
from strongroom.testing import PasswordConformance, ToolConformance
from strongroom.testing.laboratory import Tables
from tests.conformance.test_sources import process_writing
from tests.parts.firebird import Server, firebird  # noqa: F401 - a fixture
from tests.parts.postgres import tools_folder

# isql runs what comes; how fast it answers sets the pace.
WRITER = """
import itertools, subprocess, sys
first, second, *client = sys.argv[1:]
child = subprocess.Popen(client, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
for number in itertools.count(1):
    for table in (first, second):
        child.stdin.write(f'INSERT INTO "{table}" VALUES ({number}, \\'row {number}\\');\\n')
    child.stdin.write("COMMIT;\\nSELECT 'done' FROM rdb$database;\\n")
    child.stdin.flush()
    while not child.stdout.readline().startswith("done"):
        pass
    print(number, flush=True)
"""


class FirebirdLab:
    """Files in the data folder of the server."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.made: list[str] = []

    def open(self, context: Context) -> Source:
        return self._open(context)

    def _open(self, context: Context, **values: object) -> Firebird:
        chosen = self.server.values(databases=[*self.made])
        return Firebird(build(Firebird.Config, {**chosen, **values}), context)

    def open_with_password(self, context: Context, password: str) -> Source:
        return self._open(context, password=password)

    def open_without_tools(self, context: Context) -> Source:
        return self._open(context, tools=str(self.folder / "no tools"))

    def open_with_failing_tool(self, context: Context, how: Literal["killed", "late status"]) -> Source:
        version = 'case "$1" in -z) exec "@REAL@" "$@";; esac\n'
        script = {
            "killed": version + '"@REAL@" "$@" | head -c 1500000\nkill -9 $$',
            "late status": version + '"@REAL@" "$@"\nexit 7',
        }[how]
        names = ("gbak", "isql-fb", "gfix")
        folder = tools_folder(self.folder / "tools", self.server.binaries, {"gbak": script}, tools=names)
        return self._open(context, tools=str(folder))

    def make(self, database: str, tables: Tables) -> str:
        self.made.append(self.server.make(database, tables))
        return self.made[-1]

    def rows(self, database: str) -> Mapping[str, list[tuple[int, str]]]:
        return self.server.rows(database)

    def exists(self, database: str) -> bool:
        return Path(self.server.path(database)).exists()

    @contextmanager
    def writing(self, database: str, first: str, second: str) -> Iterator[None]:
        client, env = self.server.client(database)
        with process_writing([sys.executable, "-c", WRITER, first, second, *client], env):
            yield

    def odd_name(self) -> str:
        return 'We ird\'Ünï "q" 漢 \\ $x; -- %s'


class TestFirebird(PasswordConformance, ToolConformance):
    @pytest.fixture
    def lab(self, firebird: Server, tmp_path: Path) -> Iterator[FirebirdLab]:  # noqa: F811
        before = firebird.files()
        yield FirebirdLab(firebird, tmp_path)
        for path in firebird.files() - before:
            path.unlink()
