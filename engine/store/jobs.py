"""Jobs with their destinations and notifiers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.errors import NotFound
from engine.events import Status
from engine.records import Job, JobDestination, JobNotifier, JobOptions
from engine.store.ids import new_id
from engine.store.lookup import name_taken, not_found
from engine.store.models import (
    DestinationRow,
    JobDestinationRow,
    JobNotifierRow,
    JobRow,
    NotifierRow,
    SourceRow,
)
from engine.store.sessions import Sessions

_OPTIONS = frozenset(field.name for field in dataclasses.fields(JobOptions))


class JobRepository:
    """Jobs by name or ID. A rename keeps the ID, and with it the job's backups."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def list(self) -> list[Job]:
        """All jobs, by name."""
        with self._sessions.read() as session:
            rows = list(session.scalars(select(JobRow).order_by(JobRow.name)))
            return _records(session, rows)

    def find(self, name_or_id: str) -> Job | None:
        """The job of that name, else of that ID, else None."""
        with self._sessions.read() as session:
            row = _find(session, name_or_id)
            return None if row is None else _records(session, [row])[0]

    def get(self, name_or_id: str) -> Job:
        """The job of that name or ID. Raises `NotFound` with the names that are close."""
        with self._sessions.read() as session:
            return _records(session, [_get(session, name_or_id)])[0]

    def save(self, job: Job) -> Job:
        """Add the job, or change the one of its ID; an empty ID is filled in.

        `scheduled_since` becomes now when the schedule, its zone or `enabled` changes, so that a new
        schedule never catches up a past that it did not stand in. The names of source, destinations
        and notifiers are not written: their IDs are. Raises `ConfigError` when another job has the
        name, and `NotFound` when the source, a destination or a notifier is gone.
        """
        now = self._sessions.clock()
        with self._sessions.write() as session:
            holder = session.scalar(select(JobRow).where(JobRow.name == job.name))
            if holder is not None and holder.id != job.id:
                raise name_taken("job", job.name)
            _check_parts(session, job)
            row = session.get(JobRow, job.id) if job.id else None
            if row is None:
                row = JobRow(id=job.id or new_id(), created_at=now)
                since = job.scheduled_since or now
                session.add(row)
            elif (row.schedule, row.timezone, row.enabled) == (job.schedule, job.timezone, job.enabled):
                since = job.scheduled_since or row.scheduled_since or now
            else:
                chosen = job.scheduled_since != row.scheduled_since
                since = job.scheduled_since if chosen and job.scheduled_since is not None else now
            row.name = job.name
            row.source_id = job.source_id
            row.enabled = job.enabled
            row.schedule = job.schedule
            row.timezone = job.timezone
            row.scheduled_since = since
            row.compression = job.compression
            row.encryption = job.encryption
            row.naming = job.naming
            row.options = dataclasses.asdict(job.options)
            row.updated_at = now
            row.destinations = [
                JobDestinationRow(
                    destination_id=its.destination_id, priority=its.priority, retention=dict(its.retention)
                )
                for its in job.destinations
            ]
            row.notifiers = [
                JobNotifierRow(notifier_id=its.notifier_id, statuses=[str(s) for s in its.statuses])
                for its in job.notifiers
            ]
            session.flush()
            return _records(session, [row])[0]

    def restart_schedule(self, job_id: str, since: datetime) -> None:
        """Count the job's planned times from `since` (UTC) on; it is fine if the job is gone."""
        with self._sessions.write() as session:
            row = session.get(JobRow, job_id)
            if row is not None:
                row.scheduled_since = since

    def delete(self, name_or_id: str) -> Job:
        """Forget the job and return what it was; its backups and its history stay. Raises `NotFound`."""
        with self._sessions.write() as session:
            row = _get(session, name_or_id)
            record = _records(session, [row])[0]
            session.delete(row)
            return record


def _check_parts(session: Session, job: Job) -> None:
    wanted: list[tuple[str, type[SourceRow | DestinationRow | NotifierRow], str, str]] = [
        ("source", SourceRow, job.source_id, job.source_name),
        *(("destination", DestinationRow, its.destination_id, its.name) for its in job.destinations),
        *(("notifier", NotifierRow, its.notifier_id, its.name) for its in job.notifiers),
    ]
    for kind, model, its_id, name in wanted:
        if session.get(model, its_id) is None:
            raise NotFound(
                f"The {kind} {name or its_id!r} of the job {job.name!r} is not there (any more).",
                remedy=f"Choose another {kind}.",
            )


def _find(session: Session, name_or_id: str) -> JobRow | None:
    row = session.scalar(select(JobRow).where(JobRow.name == name_or_id))
    return row if row is not None else session.get(JobRow, name_or_id)


def _get(session: Session, name_or_id: str) -> JobRow:
    row = _find(session, name_or_id)
    if row is None:
        raise not_found("job", name_or_id, session.scalars(select(JobRow.name)), listing="strongroom jobs")
    return row


def _records(session: Session, rows: Iterable[JobRow]) -> list[Job]:
    rows = list(rows)
    sources = dict(session.execute(select(SourceRow.id, SourceRow.name)).all())
    destinations = dict(session.execute(select(DestinationRow.id, DestinationRow.name)).all())
    notifiers = dict(session.execute(select(NotifierRow.id, NotifierRow.name)).all())
    return [
        Job(
            id=row.id,
            name=row.name,
            source_id=row.source_id,
            source_name=sources[row.source_id],
            destinations=tuple(
                JobDestination(
                    its.destination_id, destinations[its.destination_id], its.priority, dict(its.retention)
                )
                for its in sorted(row.destinations, key=lambda its: its.priority)
            ),
            notifiers=tuple(
                JobNotifier(its.notifier_id, notifiers[its.notifier_id], tuple(map(Status, its.statuses)))
                for its in row.notifiers
            ),
            enabled=row.enabled,
            schedule=row.schedule,
            timezone=row.timezone,
            scheduled_since=row.scheduled_since,
            compression=row.compression,
            encryption=row.encryption,
            naming=row.naming,
            options=_options(row.options),
        )
        for row in rows
    ]


def _options(values: Mapping[str, Any]) -> JobOptions:
    # A key that only a newer version knows is left alone rather than refused.
    return JobOptions(**{name: value for name, value in values.items() if name in _OPTIONS})
