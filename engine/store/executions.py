"""Executions: what ran, what runs, how far it is and how it ended. `engine.store.claims` decides who runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, func, select, update
from sqlalchemy.orm import Session, selectinload

from engine.errors import NotFound, SlotTaken
from engine.events import Status
from engine.records import (
    ArtifactResult,
    CopyResult,
    DestinationResult,
    Execution,
    ExecutionKind,
    Trigger,
)
from engine.store.lookup import not_found
from engine.store.models import ArtifactRow, CopyRow, DestinationResultRow, ExecutionRow
from engine.store.planned import latest_planned
from engine.store.sessions import Sessions

ACTIVE = (Status.PENDING.value, Status.RUNNING.value)
"""The statuses of what is not over."""


class ExecutionRepository:
    """Executions by ID, or by their number for people ("#12")."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    # -- reading -------------------------------------------------------------------------------------

    def get(self, execution_id: str) -> Execution:
        """The execution of that ID or number. Raises `NotFound`."""
        with self._sessions.read() as session:
            row = _find(session, execution_id)
            if row is None:
                last = session.scalar(select(func.max(ExecutionRow.seq)))
                if last is None:
                    raise not_found("execution", execution_id, ())
                raise NotFound(
                    f"There is no execution {execution_id!r}.",
                    remedy=f"The newest is #{last}; `strongroom history` shows them.",
                )
            return record(row)

    def find(self, execution_id: str) -> Execution | None:
        """The execution of that ID or number, else None."""
        with self._sessions.read() as session:
            row = _find(session, execution_id)
            return None if row is None else record(row)

    def active(self, job_id: str | None = None) -> list[Execution]:
        """What is Pending or Running, oldest first; of one job if asked."""
        query = select(ExecutionRow).where(ExecutionRow.status.in_(ACTIVE)).order_by(ExecutionRow.seq)
        if job_id is not None:
            query = query.where(ExecutionRow.job_id == job_id)
        with self._sessions.read() as session:
            return _records(session, query)

    def list(
        self,
        limit: int | None = 50,
        *,
        job: str | None = None,
        kind: ExecutionKind | None = None,
        statuses: Iterable[Status] | None = None,
        before_seq: int | None = None,
    ) -> list[Execution]:
        """The executions, newest first; `job` is an ID or a name (also of a job that is gone).

        `before_seq` goes on from an earlier page.
        """
        query = select(ExecutionRow).order_by(ExecutionRow.seq.desc()).limit(limit)
        if job is not None:
            query = query.where((ExecutionRow.job_id == job) | (ExecutionRow.job_name == job))
        if kind is not None:
            query = query.where(ExecutionRow.kind == kind)
        if statuses is not None:
            query = query.where(ExecutionRow.status.in_([str(status) for status in statuses]))
        if before_seq is not None:
            query = query.where(ExecutionRow.seq < before_seq)
        with self._sessions.read() as session:
            return _records(session, query)

    def last(self, job_id: str, statuses: Iterable[Status] | None = None) -> Execution | None:
        """The job's newest run, of these statuses if asked."""
        found = self.list(1, job=job_id, kind="run", statuses=statuses)
        return found[0] if found else None

    def next_attempt(self, execution_id: str) -> str | None:
        """The ID of the execution that retries this one, or None. Raises `NotFound`."""
        with self._sessions.read() as session:
            row = _need(session, execution_id)
            first = row.retry_of or row.id
            return session.scalar(
                select(ExecutionRow.id).where(
                    ExecutionRow.retry_of == first, ExecutionRow.attempt == row.attempt + 1
                )
            )

    # -- writing -------------------------------------------------------------------------------------

    def add(
        self,
        execution_id: str,
        *,
        kind: ExecutionKind = "run",
        job_id: str | None = None,
        job_name: str = "",
        trigger: Trigger = "manual",
        trigger_reason: str = "",
        planned_at: datetime | None = None,
        planned_since: datetime | None = None,
        not_before: datetime | None = None,
        owner: str = "",
        retry_of: str | None = None,
        attempt: int = 1,
        labels: Mapping[str, Any] | None = None,
    ) -> Execution:
        """Add a Pending execution with the next number.

        With `planned_at`, raises `SlotTaken` when an execution of the job (of the system task, by its
        kind) was planned for this time, or for a later one that is not in the future; with
        `planned_since`, also when one was planned after that time. So exactly one scheduler takes it.
        """
        now = self._sessions.clock()
        with self._sessions.write() as session:
            if planned_at is not None:
                taken = latest_planned(session, job_id, kind, until=max(now, planned_at))
                since = planned_since if planned_since is not None else planned_at
                if taken is not None and (taken >= planned_at or taken > since):
                    what = job_name or kind
                    raise SlotTaken(f"The run of {what} that was planned for {planned_at} was taken already.")
            row = ExecutionRow(
                id=execution_id,
                seq=(session.scalar(select(func.max(ExecutionRow.seq))) or 0) + 1,
                kind=kind,
                job_id=job_id,
                job_name=job_name,
                trigger=trigger,
                trigger_reason=trigger_reason,
                status=str(Status.PENDING),
                planned_at=planned_at,
                not_before=not_before,
                queued_at=now,
                owner=owner,
                retry_of=retry_of,
                attempt=attempt,
                labels=dict(labels or {}),
            )
            session.add(row)
            session.flush()
            return record(row)

    def set_progress(
        self,
        execution_id: str,
        *,
        stage: str | None = None,
        percent: float | None = None,
        bytes_in: int | None = None,
        bytes_out: int | None = None,
    ) -> None:
        """Keep how far a running execution is; what is left out stays as it was."""
        given = {"stage": stage, "percent": percent, "bytes_in": bytes_in, "bytes_out": bytes_out}
        values = {name: value for name, value in given.items() if value is not None}
        if not values:
            return
        with self._sessions.write(durable=False) as session:
            session.execute(
                update(ExecutionRow)
                .where(ExecutionRow.id == execution_id, ExecutionRow.status.in_(ACTIVE))
                .values(values)
            )

    def set_labels(self, execution_id: str, labels: Mapping[str, Any]) -> None:
        """Add labels to those that the execution has. Raises `NotFound`."""
        with self._sessions.write() as session:
            row = _need(session, execution_id)
            row.labels = {**row.labels, **labels}

    def finish(
        self,
        execution_id: str,
        *,
        status: Status,
        finished_at: datetime | None = None,
        error: str | None = None,
        error_kind: str | None = None,
        remedy: str | None = None,
        artifacts: Iterable[ArtifactResult] = (),
        destinations: Iterable[DestinationResult] = (),
        copies: Iterable[CopyResult] = (),
    ) -> Execution | None:
        """Write the outcome of what this process runs, in one transaction. For whoever performs it.

        It goes on counting as at work until the queue has it back, so that the job's next run waits for
        the retention of this one. None when it is over already: an outcome is written once.
        """
        if not status.ended:
            raise ValueError(f"{status} is no end")
        with self._sessions.write() as session:
            row = _need(session, execution_id)
            if Status(row.status).ended:
                return None
            row.status = str(status)
            row.finished_at = finished_at or self._sessions.clock()
            row.error, row.error_kind, row.remedy = error, error_kind, remedy
            for artifact in artifacts:
                session.merge(_artifact_row(execution_id, artifact))
            for destination in destinations:
                session.merge(_destination_row(execution_id, destination))
            for copy in copies:
                session.merge(_copy_row(execution_id, copy))
            session.flush()
            session.expire(row, ["artifacts", "results", "copies"])
            return record(row)

    def settle(
        self,
        execution_id: str,
        status: Status,
        *,
        error: str | None = None,
        error_kind: str | None = None,
        remedy: str | None = None,
        only_if: Iterable[Status] = (Status.PENDING, Status.RUNNING),
        free_slot: bool = False,
    ) -> Execution | None:
        """End an execution that nobody works on (any more).

        Returns it, or None when it is not in one of the `only_if` statuses. `free_slot` gives a planned
        time back that nothing ever ran for: the scheduler catches it up.
        """
        if not status.ended:
            raise ValueError(f"{status} is no end")
        with self._sessions.write() as session:
            values: dict[str, Any] = {
                "status": str(status),
                "finished_at": self._sessions.clock(),
                "error": error,
                "error_kind": error_kind,
                "remedy": remedy,
                "working": False,
            }
            if free_slot:
                values["planned_at"] = None
            allowed = [str(its) for its in only_if]
            done = session.execute(
                update(ExecutionRow)
                .where(ExecutionRow.id == execution_id, ExecutionRow.status.in_(allowed))
                .values(values)
            )
            if cast("CursorResult[Any]", done).rowcount != 1:
                return None
            return record(_need(session, execution_id))


def _artifact_row(execution_id: str, result: ArtifactResult) -> ArtifactRow:
    return ArtifactRow(
        execution_id=execution_id,
        database=result.database,
        name=result.name,
        status=str(result.status),
        size=result.size,
        dump_size=result.dump_size,
        sha256=result.sha256,
        error=result.error,
    )


def _destination_row(execution_id: str, result: DestinationResult) -> DestinationResultRow:
    return DestinationResultRow(
        execution_id=execution_id,
        destination_id=result.destination_id,
        destination_name=result.name,
        priority=result.priority,
        status=str(result.status),
        path=result.path,
        proof=result.proof,
        error=result.error,
        bytes_sent=result.bytes_sent,
    )


def _copy_row(execution_id: str, result: CopyResult) -> CopyRow:
    return CopyRow(
        execution_id=execution_id,
        destination_id=result.destination_id,
        database=result.database,
        artifact=result.artifact,
        status=str(result.status),
        proof=result.proof,
        error=result.error,
        bytes_sent=result.bytes_sent,
    )


def _find(session: Session, execution_id: str) -> ExecutionRow | None:
    row = session.get(ExecutionRow, execution_id)
    number = execution_id.removeprefix("#")
    if row is None and number.isascii() and number.isdigit() and len(number) < 18:
        row = session.scalar(select(ExecutionRow).where(ExecutionRow.seq == int(number)))
    return row


def _need(session: Session, execution_id: str) -> ExecutionRow:
    row = session.get(ExecutionRow, execution_id)
    if row is None:
        raise NotFound(f"There is no execution {execution_id!r}.")
    return row


def _records(session: Session, query: Any) -> list[Execution]:
    query = query.options(
        selectinload(ExecutionRow.artifacts),
        selectinload(ExecutionRow.results),
        selectinload(ExecutionRow.copies),
    )
    return [record(row) for row in session.scalars(query)]


def record(row: ExecutionRow) -> Execution:
    """The frozen value of a row; for this package's modules."""
    results = sorted(row.results, key=lambda its: (its.priority, its.destination_name))
    place = {its.destination_id: number for number, its in enumerate(results)}
    return Execution(
        id=row.id,
        seq=row.seq,
        kind=cast(ExecutionKind, row.kind),
        status=Status(row.status),
        queued_at=row.queued_at,
        job_id=row.job_id,
        job_name=row.job_name,
        trigger=cast(Trigger, row.trigger),
        trigger_reason=row.trigger_reason,
        planned_at=row.planned_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        owner=row.owner,
        retry_of=row.retry_of,
        attempt=row.attempt,
        not_before=row.not_before,
        cancel_requested=row.cancel_requested,
        stage=row.stage,
        percent=row.percent,
        bytes_in=row.bytes_in,
        bytes_out=row.bytes_out,
        error=row.error,
        error_kind=row.error_kind,
        remedy=row.remedy,
        labels=dict(row.labels),
        artifacts=tuple(
            ArtifactResult(
                its.database, its.name, Status(its.status), its.size, its.dump_size, its.sha256, its.error
            )
            for its in row.artifacts
        ),
        destinations=tuple(
            DestinationResult(
                its.destination_id,
                its.destination_name,
                Status(its.status),
                its.priority,
                its.path,
                its.proof,
                its.error,
                its.bytes_sent,
            )
            for its in results
        ),
        copies=tuple(
            CopyResult(
                its.destination_id,
                its.database,
                its.artifact,
                Status(its.status),
                its.proof,
                its.error,
                its.bytes_sent,
            )
            for its in sorted(row.copies, key=lambda its: (place.get(its.destination_id, 0), its.database))
        ),
    )
