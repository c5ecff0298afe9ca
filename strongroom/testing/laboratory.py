"""What the conformance suites for sources need: a laboratory of the engine under test, and surroundings.

A laboratory makes databases and reads their rows by other means than the adapter.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import strongroom
from engine.hosts.local import LocalHost
from strongroom import CancelToken, Context, LogLevel, LogType, Source

Tables = Mapping[str, Sequence[tuple[int, str]]]
"""What a laboratory puts into a database: tables of a whole number and a text."""

SHOP: Tables = {
    "customers": [(number, f"Zoë {number} 漢字 \N{GRINNING FACE}") for number in range(300)],
    "orders": [(number, 'it\'s "quoted" \\ and\ttabbed\nover lines') for number in range(700)],
    "nothing yet": [],
}
ODD_NAME = 'We ird\'Ünï "q" 漢'


class SourceLab(Protocol):
    """What the suite needs of the engine under test, by other means than the adapter."""

    def open(self, context: Context) -> Source:
        """The adapter, set up for the databases that were made."""

    def make(self, database: str, tables: Tables) -> str:
        """Make a database; return the name that the source gives it."""

    def rows(self, database: str) -> Mapping[str, list[tuple[int, str]]]:
        """Every row of every table, ordered by the number."""

    def exists(self, database: str) -> bool:
        """Whether there is a database of that name."""

    def writing(self, database: str, first: str, second: str) -> AbstractContextManager[object]:
        """While the block runs, another process adds a row to both tables in each of its transactions."""

    def odd_name(self) -> str:
        """The oddest name that the engine takes."""
        return ODD_NAME


class PasswordLab(SourceLab, Protocol):
    """A laboratory of an engine that asks for a password."""

    def open_with_password(self, context: Context, password: str) -> Source:
        """The adapter with a password that is wrong."""


class ToolLab(SourceLab, Protocol):
    """A laboratory of an engine that is dumped by a client tool."""

    def open_without_tools(self, context: Context) -> Source:
        """The adapter on a machine that lacks the tools."""

    def open_with_failing_tool(self, context: Context, how: Literal["killed", "late status"]) -> Source:
        """The adapter with a dump tool that is killed on its way, or fails after its last byte."""


@dataclass
class Surroundings:
    """A context with its cancel token, its log, and its scratch folder, to see what is left."""

    folder: Path
    cancel: CancelToken = field(default_factory=CancelToken)
    log: list[tuple[str, LogLevel]] = field(default_factory=list)
    host: strongroom.Host | None = None
    """Where tools run; None is this machine."""

    @property
    def context(self) -> Context:
        """The context to open an adapter with."""
        return self.context_on(self.host if self.host is not None else LocalHost(self.cancel))

    def context_on(self, host: strongroom.Host) -> Context:
        """The same with tools on another host."""
        return Context(host, self.cancel, self._scratch, self._note)

    def _note(self, message: str, level: LogLevel, type: LogType, details: str) -> None:
        self.log.append((message, level))

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        made = self.folder / f"scratch-{secrets.token_hex(4)}"
        made.mkdir(mode=0o700)
        try:
            yield made
        finally:
            for path in made.iterdir():
                path.unlink()
            made.rmdir()

    def left(self) -> list[str]:
        """What lies in the scratch folders; nothing, once everything is closed."""
        return [path.name for path in self.folder.glob("scratch-*")]


def dumped(source: Source, database: str) -> tuple[list[bytes], strongroom.Fingerprint]:
    """A whole dump, and what it counted."""
    with source.dump(database) as dump:
        chunks = list(dump)
        counted = dump.fingerprint()
    assert counted is not None
    return chunks, counted


def counts(rows: Mapping[str, Sequence[object]]) -> list[int]:
    """The row counts, whatever the tables are called."""
    return sorted(len(table) for table in rows.values())


def bulk(megabytes: int) -> Tables:
    """A table whose dump is larger than every pipe and buffer on the way."""
    return {"bulk": [(number, f"{number:08}" * 1250) for number in range(megabytes * 100)]}
