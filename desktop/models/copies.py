"""The copies of a run as a table: a row a database, a column a destination, in each cell proof or reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from desktop import words
from desktop.models.records import Column
from desktop.words import State
from engine.events import Status
from engine.records import ArtifactResult, CopyResult, Execution

STORED, FAILED = "✓", "✕"


@dataclass(frozen=True, slots=True)
class CopiesRow:
    """One database: how large its artifact is, and how its copies ended, by the destination's name."""

    database: str
    size: int | None = None
    cells: Mapping[str, State] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether a copy is missing that should be there."""
        return any(cell.sign == FAILED for cell in self.cells.values())

    @property
    def said(self) -> str:
        """All of it in words, a line a destination."""
        return "\n".join(f"{name}: {cell.text}" for name, cell in self.cells.items())


def copies_of(execution: Execution) -> list[CopiesRow]:
    """The rows of an execution that has ended, by the database's name."""
    names = {its.destination_id: its.name for its in execution.destinations}
    artifacts = {its.database: its for its in execution.artifacts}
    copies = {(its.database, names.get(its.destination_id, "")): its for its in execution.copies}
    databases = sorted({*artifacts, *(database for database, _ in copies)})
    return [
        CopiesRow(
            database,
            artifacts[database].size if database in artifacts else None,
            {name: _cell(copies.get((database, name)), artifacts.get(database)) for name in names.values()},
        )
        for database in databases
    ]


def _cell(copy: CopyResult | None, artifact: ArtifactResult | None) -> State:
    """What was proven of a copy, or why there is none: a green mark never just says that all is well."""
    if copy is not None and copy.status is Status.SUCCESS:
        return State(copy.proof or "stored", STORED, "good")
    if copy is not None and copy.status is Status.FAILED:
        return State(copy.error or "failed", FAILED, "bad")
    if copy is not None and copy.status is Status.CANCELLED:
        return State("cancelled", "–", "quiet")
    if artifact is not None and artifact.status is Status.FAILED:
        return State(f"no dump: {artifact.error}" if artifact.error else "no dump", "!", "risk")
    return State("nothing was sent", "–", "quiet")


def columns_of(execution: Execution) -> tuple[Column[CopiesRow], ...]:
    """The columns for the destinations of an execution."""
    return (
        Column("Database", _database, 120, 2),
        Column(
            "Size", lambda row: words.size(row.size), 76, right=True, sort=lambda row: row.size, muted=True
        ),
        *(
            Column(
                its.name,
                partial(_nothing, name=its.name),
                140,
                3,
                state=partial(_state, name=its.name),
                tip=partial(_tip, name=its.name),
                sort=partial(_tip, name=its.name),
            )
            for its in execution.destinations
        ),
    )


def _database(row: CopiesRow) -> str:
    return row.database


def _size(row: CopiesRow) -> str:
    return words.size(row.size)


def _state(row: CopiesRow, name: str) -> State | None:
    return row.cells.get(name)


def _tip(row: CopiesRow, name: str) -> str:
    return row.cells[name].text if name in row.cells else ""


def _nothing(row: CopiesRow, name: str) -> str:
    return ""
