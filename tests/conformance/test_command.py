"""The command adapter against the suite, by the lines that a person would write for sqlite3 and its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from engine.contract.config import build
from plugins.sources.command import Command
from strongroom import Context, Source, TargetState
from strongroom.testing import ToolConformance
from strongroom.testing.laboratory import SHOP, Surroundings, bulk, dumped
from tests.conformance.test_sources import SqliteLab

FILE = '"$FOLDER/$STRONGROOM_DATABASE.sqlite"'
# One statement for each table, which a second sqlite3 runs.
COUNTS = (
    """select "SELECT " || quote(name) || ", count(*) FROM " || char(34)"""
    """ || replace(name, char(34), char(34, 34)) || char(34, 59) from sqlite_schema where type = "table\""""
)
LINES = {
    "dump": f"sqlite3 {FILE} .dump",
    "restore": f"sqlite3 -bail -safe {FILE}",
    "end_mark": "COMMIT;",
    "extension": "sql",
    "check": "sqlite3 --version",
    "state": f"""
        test -e {FILE} || {{ echo missing; exit; }}
        test -n "$(sqlite3 {FILE} .schema)" && echo filled || echo empty""",
    "fingerprint": f"sqlite3 {FILE} '{COUNTS}' | sqlite3 -separator ' ' {FILE}",
    "drop": f"rm -f -- {FILE}",
    "elsewhere": True,
}


class CommandLab(SqliteLab):
    """Files that the lines find by an environment of the source's own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "wal")

    def open(self, context: Context) -> Source:
        return self._open(context)

    def _open(self, context: Context, **values: object) -> Source:
        assert self.first is not None
        environment = f"# of the tests\nFOLDER={self.folder}\n"
        chosen = {**LINES, "database": self.first.stem, "environment": environment, **values}
        return Command(build(Command.Config, chosen), context)

    def open_without_tools(self, context: Context) -> Source:
        return self._open(context, dump="no-such-tool --everything", check="")

    def open_with_failing_tool(self, context: Context, how: Literal["killed", "late status"]) -> Source:
        line = {
            "killed": f"{LINES['dump']} | head -c 1500000; kill -9 $$",
            "late status": f"{LINES['dump']}; exit 7",
        }[how]
        return self._open(context, dump=line)

    def file(self, database: str) -> Path:
        return self.folder / f"{database}.sqlite"

    def odd_name(self) -> str:
        return 'We ird\'Ünï "q" 漢 \\ $(x) `y` ;*'


class TestCommand(ToolConformance):
    @pytest.fixture
    def lab(self, tmp_path: Path) -> CommandLab:
        return CommandLab(tmp_path)

    def test_the_fingerprint_is_of_the_dumps_snapshot_while_others_write(
        self, lab: CommandLab, open: Callable[[], Source]
    ) -> None:
        """A line that counts is in no snapshot of the dump's: it counts only where nobody wrote meanwhile."""
        name = lab.make("busy", {"left": [], "right": [], **bulk(4)})
        source = open()
        with lab.writing(name, "left", "right"):
            chunks, counted = dumped(source, name)
        source.restore("copy", chunks)
        assert lab.rows("copy")["left"] == lab.rows("copy")["right"]
        assert not counted.consistent

    def test_a_filled_target_is_refused_and_stays_as_it_was(
        self, lab: CommandLab, open: Callable[[], Source]
    ) -> None:
        """What becomes of a filled target is the restore command's affair: only an overwrite leads here."""
        name = lab.make("shop", SHOP)
        other = lab.make("other", {"mine": [(1, "precious")]})
        source = open()
        assert source.restores_over
        source.restore(other, dumped(source, name)[0])
        assert lab.rows(other) == {**lab.rows(name), "mine": [(1, "precious")]}

    def test_a_target_is_taken_for_filled_when_nobody_says(
        self, lab: CommandLab, around: Surroundings
    ) -> None:
        name = lab.make("shop", SHOP)
        source = lab._open(around.context, state="")
        assert source.target_state(name) is TargetState.FILLED
        assert source.target_state("anything") is TargetState.FILLED
        beside = source.scratch_name(name, "drill_1", lab.folder)
        assert source.target_state(beside) is TargetState.MISSING
        source.restore(beside, dumped(source, name)[0])
        assert lab.rows(beside) == lab.rows(name)
