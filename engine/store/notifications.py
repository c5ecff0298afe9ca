"""Each attempt to tell people, with the payload as it was rendered."""

from __future__ import annotations

from sqlalchemy import select

from engine.records import NotificationAttempt
from engine.store.models import NotificationLogRow
from engine.store.sessions import Sessions


class NotificationRepository:
    """The notification log."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def add(self, attempt: NotificationAttempt) -> None:
        """Write one attempt down."""
        with self._sessions.write(durable=False) as session:
            session.add(
                NotificationLogRow(
                    execution_id=attempt.execution_id,
                    notifier_id=attempt.notifier_id,
                    notifier_name=attempt.notifier_name,
                    at=attempt.at,
                    status=attempt.status,
                    payload=dict(attempt.payload),
                    error=attempt.error,
                )
            )

    def list(self, execution_id: str | None = None, *, limit: int = 100) -> list[NotificationAttempt]:
        """The attempts, newest first; of one execution if asked."""
        query = select(NotificationLogRow).order_by(NotificationLogRow.id.desc()).limit(limit)
        if execution_id is not None:
            query = query.where(NotificationLogRow.execution_id == execution_id)
        with self._sessions.read() as session:
            return [
                NotificationAttempt(
                    at=row.at,
                    notifier_id=row.notifier_id,
                    notifier_name=row.notifier_name,
                    status="success" if row.status == "success" else "error",
                    payload=dict(row.payload),
                    execution_id=row.execution_id,
                    error=row.error,
                )
                for row in session.scalars(query)
            ]
