"""Planned times and who took them: each is taken by one execution, whichever process is first."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, case, func, select, type_coerce, update
from sqlalchemy.orm import Session

from engine.records import ExecutionKind
from engine.store.models import ExecutionRow, UtcDateTime
from engine.store.sessions import Sessions

TaskKey = tuple[str | None, str]
"""A job's ID, or None for a system task, and the kind of the executions."""


class PlannedTimes:
    """What the scheduler wants to know and to put right. `ExecutionRepository.add` takes a time."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def latest(self, now: datetime) -> dict[TaskKey, tuple[datetime | None, datetime]]:
        """By task, the latest planned time (UTC) that was taken, twice.

        First the latest that is not after `now`; then the latest of all, which lies in the future only
        if it was taken under a clock that ran ahead.
        """
        past = case((ExecutionRow.planned_at <= now, ExecutionRow.planned_at))
        query = (
            select(
                ExecutionRow.job_id,
                ExecutionRow.kind,
                type_coerce(func.max(past), UtcDateTime),
                func.max(ExecutionRow.planned_at),
            )
            .where(ExecutionRow.planned_at.is_not(None))
            .group_by(ExecutionRow.job_id, ExecutionRow.kind)
        )
        with self._sessions.read() as session:
            rows = session.execute(query).all()
        return {
            (job, kind): (latest, furthest)
            for job, kind, latest, furthest in cast("list[tuple[str | None, str, Any, Any]]", rows)
        }

    def free_after(self, job_id: str | None, kind: ExecutionKind, moment: datetime) -> int:
        """Give back a task's planned times after `moment`, taken under a clock that ran ahead; how many."""
        with self._sessions.write() as session:
            done = session.execute(
                update(ExecutionRow)
                .where(_of(job_id), ExecutionRow.kind == kind, ExecutionRow.planned_at > moment)
                .values(planned_at=None)
            )
            return cast("CursorResult[Any]", done).rowcount


def latest_planned(session: Session, job_id: str | None, kind: str, *, until: datetime) -> datetime | None:
    """The latest planned time of a task that was taken, at or before `until`."""
    return session.scalar(
        select(func.max(ExecutionRow.planned_at)).where(
            _of(job_id), ExecutionRow.kind == kind, ExecutionRow.planned_at <= until
        )
    )


def _of(job_id: str | None) -> ColumnElement[bool]:
    return ExecutionRow.job_id.is_(None) if job_id is None else ExecutionRow.job_id == job_id
