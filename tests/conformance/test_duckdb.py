"""The DuckDB adapter against the suite, on files that DuckDB itself makes and reads."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

import strongroom
from engine.contract.config import build
from plugins.sources.duckdb import DuckDB
from strongroom import Context, Source
from strongroom.testing import SourceConformance
from strongroom.testing.laboratory import Surroundings, Tables, bulk, dumped
from tests.conformance.test_sources import process_writing, quoted

# DuckDB lets one process in: the writer opens the file for each of its transactions, as often as it must.
WRITER = """
import sys, time
import duckdb
path, first, second = sys.argv[1:]
number = 0
while True:
    try:
        database = duckdb.connect(path)
    except duckdb.IOException:
        time.sleep(0.01)
        continue
    number += 1
    database.execute("BEGIN")
    for table in (first, second):
        database.execute(f'INSERT INTO "{table}" VALUES (?, ?)', [number, f"row {number}"])
    database.execute("COMMIT")
    database.close()
    print(number, flush=True)
"""
HOLDER = """
import itertools, sys, time
import duckdb
database = duckdb.connect(sys.argv[1])
for number in itertools.count(1):
    print(number, flush=True)
    time.sleep(0.01)
"""


class DuckLab:
    """Files in a folder; the source is the one that was made first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first: Path | None = None

    def file(self, database: str) -> Path:
        if Path(database).is_absolute():
            return Path(database)
        return self.folder / (database if database.endswith(".duckdb") else f"{database}.duckdb")

    def open(self, context: Context, **values: object) -> DuckDB:
        assert self.first is not None
        return DuckDB(build(DuckDB.Config, {"path": str(self.first), **values}), context)

    def make(self, database: str, tables: Tables) -> str:
        path = self.file(database)
        self.first = self.first or path
        with duckdb.connect(str(path)) as connection:
            for table, rows in tables.items():
                connection.execute(f"CREATE TABLE {quoted(table)} (number BIGINT, words VARCHAR)")
                if rows:
                    numbers, words = zip(*rows, strict=True)
                    connection.execute(
                        f"INSERT INTO {quoted(table)} SELECT unnest(?), unnest(?)",
                        [list(numbers), list(words)],
                    )
        return path.stem

    def rows(self, database: str) -> Mapping[str, list[tuple[int, str]]]:
        with duckdb.connect(str(self.file(database)), read_only=True) as connection:
            names = connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()
            return {
                name: connection.execute(
                    f"SELECT number, words FROM {quoted(name)} ORDER BY 1"  # noqa: S608
                ).fetchall()
                for (name,) in names
            }

    def exists(self, database: str) -> bool:
        return self.file(database).exists()

    @contextmanager
    def writing(self, database: str, first: str, second: str) -> Iterator[None]:
        with process_writing([sys.executable, "-c", WRITER, str(self.file(database)), first, second]):
            yield

    def odd_name(self) -> str:
        return 'We ird\'Ünï "q" 漢 ; -- %s'


class TestDuckDB(SourceConformance):
    @pytest.fixture
    def lab(self, tmp_path: Path) -> DuckLab:
        folder = tmp_path / "lab"
        folder.mkdir()
        return DuckLab(folder)

    def test_the_fingerprint_is_of_the_dumps_snapshot_while_others_write(
        self, lab: DuckLab, open: Callable[[], Source]
    ) -> None:
        """DuckDB lets in one process at a time: the dump waits for its turn, between two transactions."""
        name = lab.make("busy", {"left": [], "right": [], **bulk(1)})
        source = open()
        with lab.writing(name, "left", "right"):
            chunks, counted = dumped(source, name)
        source.restore("copy", chunks)
        restored = lab.rows("copy")
        assert restored["left"] == restored["right"], "half of a transaction is in the dump"
        assert restored["left"]
        assert counted.consistent
        assert counted.differences(source.fingerprint("copy")) == []

    def test_a_file_that_is_open_elsewhere_is_said_to_be_so(self, lab: DuckLab, around: Surroundings) -> None:
        name = lab.make("busy", {"left": [(1, "one")]})
        source = lab.open(around.context, lock_timeout=0.2)
        holder = [sys.executable, "-c", HOLDER, str(lab.file(name))]
        with process_writing(holder):
            for attempt in (source.check, lambda: dumped(source, name), lambda: source.fingerprint(name)):
                with pytest.raises(
                    strongroom.ConnectionFailed, match=r"open for writing by .*PID \d+"
                ) as caught:
                    attempt()
                assert "closed the file" in caught.value.remedy
        assert lab.rows(name) == {"left": [(1, "one")]}
