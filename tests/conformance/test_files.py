"""The files adapter against the suite: a table is a folder, a row is a file of that name."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

import strongroom
from plugins.sources.files import Files
from strongroom import Context, Source
from strongroom.testing import SourceConformance
from strongroom.testing.laboratory import SHOP, Tables, bulk, counts, dumped
from tests.conformance.test_sources import process_writing

WRITER = """
import itertools, pathlib, sys
folder, *tables = sys.argv[1:]
for number in itertools.count(1):
    for table in tables:
        (pathlib.Path(folder) / table / f"{number:08}").write_text(f"row {number}")
    print(number, flush=True)
"""


class FilesLab:
    """Folders in a folder; the source is the one that was made first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first: Path | None = None

    def path(self, database: str) -> Path:
        return self.folder / database

    def open(self, context: Context) -> Source:
        assert self.first is not None
        return Files(Files.Config(path=str(self.first)), context)

    def make(self, database: str, tables: Tables) -> str:
        path = self.path(database)
        path.mkdir()
        self.first = self.first or path
        for table, rows in tables.items():
            (path / table).mkdir()
            for number, words in rows:
                (path / table / f"{number:08}").write_text(words)
        return database

    def rows(self, database: str) -> Mapping[str, list[tuple[int, str]]]:
        return {
            table.name: [(int(file.name), file.read_bytes().decode()) for file in sorted(table.iterdir())]
            for table in sorted(self.path(database).iterdir())
        }

    def exists(self, database: str) -> bool:
        return self.path(database).exists()

    @contextmanager
    def writing(self, database: str, first: str, second: str) -> Iterator[None]:
        with process_writing([sys.executable, "-c", WRITER, str(self.path(database)), first, second]):
            yield

    def odd_name(self) -> str:
        return 'We ird\'Ünï "q" 漢 \\ *[x]? $y\nz'


class TestFiles(SourceConformance):
    @pytest.fixture
    def lab(self, tmp_path: Path) -> FilesLab:
        folder = tmp_path / "lab"
        folder.mkdir()
        return FilesLab(folder)

    def test_a_live_database_is_counted(self, lab: FilesLab, open: Callable[[], Source]) -> None:
        """A folder is counted by what it holds: it has no tables."""
        name = lab.make("shop", SHOP)
        counted = open().fingerprint(name)
        assert counts(lab.rows(name)) == [0, 300, 700]
        assert (counted.tables["files"], counted.tables["folders"], counted.consistent) == (1000, 4, True)

    def test_an_empty_database_is_a_backup_too(self, lab: FilesLab, open: Callable[[], Source]) -> None:
        name = lab.make("hollow", {})
        source = open()
        chunks, counted = dumped(source, name)
        assert (counted.tables["files"], counted.tables["folders"]) == (0, 1)
        source.restore("copy", chunks)
        assert list(lab.path("copy").iterdir()) == []

    def test_the_fingerprint_is_of_the_dumps_snapshot_while_others_write(
        self, lab: FilesLab, open: Callable[[], Source]
    ) -> None:
        """A file system has no snapshot: what is counted is what the archive holds, whoever writes."""
        name = lab.make("busy", {"left": [], "right": [], **bulk(1)})
        source = open()
        with lab.writing(name, "left", "right"):
            chunks, counted = dumped(source, name)
        source.restore("copy", chunks)
        assert counted.consistent
        assert counted.differences(source.fingerprint("copy")) == []

    def test_names_beside_stay_within_the_engines_limit(
        self, lab: FilesLab, open: Callable[[], Source]
    ) -> None:
        name = lab.make("shop", SHOP)
        source = open()
        names = {source.beside_name("ü" * 127, label) for label in ("r1", "r2")}
        assert len(names) == 2
        chunks, _ = dumped(source, name)
        for each in names:
            source.restore(each, chunks)
            assert lab.exists(each)

    def test_a_folder_that_went_is_said_to_be_missing(
        self, lab: FilesLab, open: Callable[[], Source]
    ) -> None:
        lab.make("shop", SHOP)
        source = open()
        assert source.databases() == ["shop"]
        shutil.rmtree(lab.path("shop"))
        for attempt in (source.check, lambda: dumped(source, "shop")):
            with pytest.raises(strongroom.DatabaseMissing, match="There is no folder"):
                attempt()
