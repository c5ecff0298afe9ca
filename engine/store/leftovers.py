"""What uploads may have left behind: recorded before their first byte, removed by that record alone."""

from __future__ import annotations

from sqlalchemy import select

from engine.records import LeftoverRecord
from engine.store.models import LeftoverRow
from engine.store.sessions import Sessions

__all__ = ["LeftoverRecord", "LeftoverRepository"]


class LeftoverRepository:
    """A record is on disk when `add` returns, even through a power cut."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def add(
        self,
        *,
        execution_id: str,
        destination_id: str,
        temporary_name: str,
        upload_id: str = "",
        final_name: str = "",
    ) -> int:
        """Write down what may be left at a destination; return the record's ID."""
        with self._sessions.write() as session:
            row = LeftoverRow(
                execution_id=execution_id,
                destination_id=destination_id,
                temporary_name=temporary_name,
                upload_id=upload_id,
                final_name=final_name,
                created_at=self._sessions.clock(),
            )
            session.add(row)
            session.flush()
            return row.id

    def list(
        self, destination_id: str | None = None, execution_id: str | None = None
    ) -> list[LeftoverRecord]:
        """The records, oldest first; of one destination or of one execution if asked."""
        query = select(LeftoverRow).order_by(LeftoverRow.id)
        if destination_id is not None:
            query = query.where(LeftoverRow.destination_id == destination_id)
        if execution_id is not None:
            query = query.where(LeftoverRow.execution_id == execution_id)
        with self._sessions.read() as session:
            return [
                LeftoverRecord(
                    id=row.id,
                    execution_id=row.execution_id,
                    destination_id=row.destination_id,
                    temporary_name=row.temporary_name,
                    upload_id=row.upload_id,
                    final_name=row.final_name,
                    created_at=row.created_at,
                )
                for row in session.scalars(query)
            ]

    def remove(self, record_id: int) -> None:
        """Forget a record whose leftover is gone; it is fine if it was forgotten already."""
        with self._sessions.write() as session:
            row = session.get(LeftoverRow, record_id)
            if row is not None:
                session.delete(row)
