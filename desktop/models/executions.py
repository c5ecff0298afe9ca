"""Executions as rows: what ran, on what, how it went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from desktop import words
from desktop.models.records import Column
from desktop.snapshot import Snapshot
from engine.clock import utc_now
from engine.records import Execution


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """An execution and what it is about, in words."""

    execution: Execution
    subject: str

    @property
    def began(self) -> datetime:
        """When it started, or was queued."""
        return self.execution.started_at or self.execution.queued_at

    @property
    def size(self) -> int:
        """The bytes of its artifacts."""
        return sum(its.size or 0 for its in self.execution.artifacts)


def subject(execution: Execution, snapshot: Snapshot) -> str:
    """What an execution is about: its job, the source that it restores into, how many backups it reads."""
    labels = execution.labels
    if execution.job_name:
        return execution.job_name
    if execution.kind == "restore":
        target = str(labels.get("to_source", ""))
        name = next((its.name for its in snapshot.sources if target in (its.id, its.name)), target)
        as_name = labels.get("as_name")
        return f"into {name}, as {as_name}" if as_name else f"into {name}"
    backups = labels.get("backups")
    if isinstance(backups, list):
        return words.count(len(backups), "backup")
    return "all backups" if execution.kind in ("verify", "drill") else "–"


COLUMNS: tuple[Column[ExecutionRow], ...] = (
    Column("No.", lambda row: f"#{row.execution.seq}", 72, sort=lambda row: row.execution.seq, muted=True),
    Column("What", lambda row: words.KINDS.get(row.execution.kind, row.execution.kind), 96, 1),
    Column("Of", lambda row: row.subject, 130, 3, tip=lambda row: row.subject),
    Column(
        "State",
        lambda row: "",
        120,
        1,
        state=lambda row: words.state_of(row.execution.status, row.execution.percent),
        tip=lambda row: row.execution.error or "",
        sort=lambda row: row.execution.status.value,
    ),
    Column(
        "Started",
        lambda row: words.capital(words.when(row.began, utc_now())),
        128,
        1,
        tip=lambda row: words.exact(row.began),
        sort=lambda row: row.began,
    ),
    Column(
        "Took",
        lambda row: words.duration(row.execution.duration),
        84,
        right=True,
        sort=lambda row: row.execution.duration or 0.0,
        muted=True,
        drop=2,
    ),
    Column(
        "Size",
        lambda row: words.size(row.size or None),
        84,
        right=True,
        sort=lambda row: row.size,
        muted=True,
        drop=3,
    ),
    Column(
        "Why",
        lambda row: words.TRIGGERS.get(row.execution.trigger, row.execution.trigger),
        104,
        tip=lambda row: row.execution.trigger_reason,
        muted=True,
        drop=4,
    ),
)
