"""Retention policies by name, for several jobs to share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from engine.records import Policy
from engine.store.ids import new_id
from engine.store.lookup import not_found
from engine.store.models import PolicyRow
from engine.store.sessions import Sessions


class PolicyRepository:
    """Policies by name."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def list(self) -> list[Policy]:
        """All policies, by name."""
        with self._sessions.read() as session:
            return [_record(row) for row in session.scalars(select(PolicyRow).order_by(PolicyRow.name))]

    def find(self, name: str) -> Policy | None:
        """The policy of that name, else None."""
        with self._sessions.read() as session:
            row = session.scalar(select(PolicyRow).where(PolicyRow.name == name))
            return None if row is None else _record(row)

    def get(self, name: str) -> Policy:
        """The policy of that name. Raises `NotFound`."""
        with self._sessions.read() as session:
            row = session.scalar(select(PolicyRow).where(PolicyRow.name == name))
            if row is None:
                raise not_found("policy", name, session.scalars(select(PolicyRow.name)))
            return _record(row)

    def save(self, name: str, retention: Mapping[str, Any]) -> Policy:
        """Add the policy of that name, or change it."""
        with self._sessions.write() as session:
            row = session.scalar(select(PolicyRow).where(PolicyRow.name == name))
            if row is None:
                row = PolicyRow(id=new_id(), name=name)
                session.add(row)
            row.retention = dict(retention)
            session.flush()
            return _record(row)

    def delete(self, name: str) -> None:
        """Forget the policy; jobs keep the copy that they have. Raises `NotFound`."""
        with self._sessions.write() as session:
            row = session.scalar(select(PolicyRow).where(PolicyRow.name == name))
            if row is None:
                raise not_found("policy", name, session.scalars(select(PolicyRow.name)))
            session.delete(row)


def _record(row: PolicyRow) -> Policy:
    return Policy(row.id, row.name, dict(row.retention))
