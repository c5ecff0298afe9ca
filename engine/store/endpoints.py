"""Hosts, sources, destinations and notifiers, without their secrets."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.errors import UsageError
from engine.records import Endpoint
from engine.store.ids import new_id
from engine.store.lookup import name_taken, not_found
from engine.store.models import (
    ConfiguredRow,
    DestinationRow,
    HostedRow,
    HostRow,
    JobDestinationRow,
    JobNotifierRow,
    JobRow,
    NotifierRow,
    SourceRow,
)
from engine.store.sessions import Sessions

EndpointKind = Literal["host", "source", "destination", "notifier"]

_ROWS: dict[EndpointKind, type[ConfiguredRow]] = {
    "host": HostRow,
    "source": SourceRow,
    "destination": DestinationRow,
    "notifier": NotifierRow,
}


class EndpointRepository:
    """Endpoints by kind and by name or ID. Names are unique within a kind; IDs outlive renames."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def list(self, kind: EndpointKind) -> list[Endpoint]:
        """All of a kind, by name."""
        model = _ROWS[kind]
        with self._sessions.read() as session:
            return [_record(kind, row) for row in session.scalars(select(model).order_by(model.name))]

    def find(self, kind: EndpointKind, name_or_id: str) -> Endpoint | None:
        """The endpoint of that name, else of that ID, else None."""
        with self._sessions.read() as session:
            row = _find(session, kind, name_or_id)
            return None if row is None else _record(kind, row)

    def get(self, kind: EndpointKind, name_or_id: str) -> Endpoint:
        """The endpoint of that name or ID. Raises `NotFound` with the names that are close."""
        with self._sessions.read() as session:
            return _record(kind, _get(session, kind, name_or_id))

    def save(self, endpoint: Endpoint) -> Endpoint:
        """Add the endpoint, or change the one of its ID; an empty ID is filled in.

        Raises `ConfigError` (its field is `name`) when another one has its name.
        """
        model = _ROWS[endpoint.kind]
        now = self._sessions.clock()
        with self._sessions.write() as session:
            holder = session.scalar(select(model).where(model.name == endpoint.name))
            if holder is not None and holder.id != endpoint.id:
                raise name_taken(endpoint.kind, endpoint.name)
            row = session.get(model, endpoint.id) if endpoint.id else None
            if row is None:
                row = model(id=endpoint.id or new_id(), created_at=now)
                session.add(row)
            row.name = endpoint.name
            row.adapter = endpoint.adapter
            row.config = dict(endpoint.config)
            row.secret_names = list(endpoint.secret_names)
            row.updated_at = now
            if isinstance(row, HostedRow):
                row.host = endpoint.host
            session.flush()
            return _record(endpoint.kind, row)

    def users(self, kind: EndpointKind, name_or_id: str) -> tuple[str, ...]:
        """The names of the jobs that use it; of sources and hosts, for a host. Raises `NotFound`."""
        with self._sessions.read() as session:
            return _users(session, _get(session, kind, name_or_id))

    def delete(self, kind: EndpointKind, name_or_id: str) -> Endpoint:
        """Forget the endpoint and return what it was; what lies at a destination stays there.

        Raises `NotFound`, and `UsageError` that names who uses it.
        """
        with self._sessions.write() as session:
            row = _get(session, kind, name_or_id)
            if users := _users(session, row):
                what = "sources" if kind == "host" else "jobs"
                raise UsageError(
                    f"The {kind} {row.name!r} is used by {', '.join(users)}.",
                    remedy=f"Change or delete these {what} first.",
                )
            record = _record(kind, row)
            session.delete(row)
            return record


def _find(session: Session, kind: EndpointKind, name_or_id: str) -> ConfiguredRow | None:
    model = _ROWS[kind]
    row = session.scalar(select(model).where(model.name == name_or_id))
    return row if row is not None else session.get(model, name_or_id)


def _get(session: Session, kind: EndpointKind, name_or_id: str) -> ConfiguredRow:
    row = _find(session, kind, name_or_id)
    if row is None:
        raise not_found(kind, name_or_id, session.scalars(select(_ROWS[kind].name)))
    return row


def _users(session: Session, row: ConfiguredRow) -> tuple[str, ...]:
    if isinstance(row, HostRow):
        hosted = (
            select(its.name).where(its.host == row.id).order_by(its.name) for its in (SourceRow, HostRow)
        )
        return tuple(name for names in hosted for name in session.scalars(names))
    jobs = select(JobRow.name).order_by(JobRow.name)
    if isinstance(row, SourceRow):
        jobs = jobs.where(JobRow.source_id == row.id)
    elif isinstance(row, DestinationRow):
        jobs = jobs.join(JobDestinationRow).where(JobDestinationRow.destination_id == row.id)
    else:
        jobs = jobs.join(JobNotifierRow).where(JobNotifierRow.notifier_id == row.id)
    return tuple(session.scalars(jobs))


def _record(kind: EndpointKind, row: ConfiguredRow) -> Endpoint:
    return Endpoint(
        kind=kind,
        id=row.id,
        name=row.name,
        adapter=row.adapter,
        config=dict(row.config),
        secret_names=tuple(row.secret_names),
        host=row.host if isinstance(row, HostedRow) else "local",
    )
