"""Who runs next: the queue's rules, each decided in one transaction that is alone from its start.

The order is that of the numbers, over all processes. Runs count against the limit; restores,
verifications, drills and previews do not. One run of a job is Running at a time: a partial unique index
holds that too, whatever this module believes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from engine.events import Status
from engine.records import Execution
from engine.store.executions import ACTIVE, record
from engine.store.models import ExecutionRow, SettingRow
from engine.store.sessions import Sessions

LIMIT_SETTING = "maxConcurrentJobs"
"""How many runs are Running at a time, in all processes of this store; default 1, read at every claim."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a look at the queue found: the execution that was claimed, or whom it waits for."""

    claimed: Execution | None = None
    waits_for: tuple[str, ...] = ()


class Claims:
    """Claims Pending executions, and asks other processes to stop theirs."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def next_run(self, ready: Collection[str]) -> Claim:
        """Make the next run Running if it is one of `ready` (this process's, whose waiting time is over).

        Otherwise tell which executions are in the way: those that run, or the one whose turn it is.
        """
        with self._sessions.read() as session:  # a look costs nobody the write lock
            found, waits_for = _turn(session, ready, self._sessions.clock())
        if found is None:
            return Claim(waits_for=waits_for)
        with self._sessions.write() as session:
            found, waits_for = _turn(session, ready, self._sessions.clock())
            if found is None:
                return Claim(waits_for=waits_for)
            return Claim(_start(session, found, self._sessions.clock()))

    def start(self, execution_id: str) -> Execution | None:
        """Make an execution that no limit holds Running; None when it is not Pending any more."""
        with self._sessions.write() as session:
            return _start(session, execution_id, self._sessions.clock())

    def release(self, execution_id: str) -> None:
        """Nobody works on the execution any more; the job's next run may start."""
        with self._sessions.write() as session:
            session.execute(update(ExecutionRow).where(ExecutionRow.id == execution_id).values(working=False))

    def at_work(self) -> list[Execution]:
        """What is Pending or Running, or still worked on after its end; oldest first."""
        with self._sessions.read() as session:
            query = select(ExecutionRow).where(ExecutionRow.status.in_(ACTIVE) | ExecutionRow.working)
            return [record(row) for row in session.scalars(query.order_by(ExecutionRow.seq))]

    def request_cancel(self, execution_id: str) -> Status | None:
        """Ask the owner of a Running execution to cancel it; return the status it was found in."""
        with self._sessions.write() as session:
            row = session.get(ExecutionRow, execution_id)
            if row is None:
                return None
            if row.status == Status.RUNNING.value:
                row.cancel_requested = True
            return Status(row.status)

    def asked_to_stop(self, mine: Collection[str]) -> tuple[set[str], set[str]]:
        """Of `mine`: those whose cancel was requested, and those that are over (settled by another)."""
        if not mine:
            return set(), set()
        query = select(ExecutionRow.id, ExecutionRow.status, ExecutionRow.cancel_requested)
        with self._sessions.read() as session:
            rows = session.execute(query.where(ExecutionRow.id.in_(list(mine)))).all()
        return (
            {its for its, status, requested in rows if requested and status in ACTIVE},
            {its for its, status, _ in rows if status not in ACTIVE},
        )


def _turn(session: Session, ready: Collection[str], now: datetime) -> tuple[str | None, tuple[str, ...]]:
    running = _running(session)
    if len(running) >= _limit(session):
        return None, tuple(its for its, _ in running)
    busy = {job for _, job in running}
    query = (
        select(ExecutionRow.id, ExecutionRow.job_id, ExecutionRow.not_before)
        .where(ExecutionRow.status == Status.PENDING.value, ExecutionRow.kind == "run")
        .order_by(ExecutionRow.seq)
    )
    for its, job, not_before in session.execute(query):
        if job in busy:
            continue  # its own job runs: those behind it need not wait for that
        if its in ready:
            return its, ()
        if not_before is None or not_before <= now:
            return None, (its,)
    return None, tuple(its for its, _ in running)


def _running(session: Session) -> Sequence[tuple[str, str | None]]:
    query = select(ExecutionRow.id, ExecutionRow.job_id)
    query = query.where(
        ExecutionRow.kind == "run", (ExecutionRow.status == Status.RUNNING.value) | ExecutionRow.working
    )
    return session.execute(query).all()


def _limit(session: Session) -> int:
    row = session.get(SettingRow, LIMIT_SETTING)
    try:
        return max(1, int(row.value)) if row is not None else 1
    except (TypeError, ValueError):
        return 1


def _start(session: Session, execution_id: str, now: datetime) -> Execution | None:
    done = session.execute(
        update(ExecutionRow)
        .where(ExecutionRow.id == execution_id, ExecutionRow.status == Status.PENDING.value)
        .values(status=Status.RUNNING.value, started_at=now, working=True)
    )
    if cast("CursorResult[Any]", done).rowcount != 1:
        return None
    return record(session.get_one(ExecutionRow, execution_id))
