"""Log lines of executions, stored as they come, so that none is lost with the process that wrote it."""

from __future__ import annotations

from sqlalchemy import insert, select

from engine.events import LogEntry, LogLevel, LogType, Stage
from engine.records import StoredLogEntry
from engine.store.models import LogRow
from engine.store.sessions import Sessions


class LogRepository:
    """Lines by execution. IDs grow in the order of writing, over all processes."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def add(self, execution_id: str, entry: LogEntry) -> None:
        """Write one line."""
        with self._sessions.write(durable=False) as session:
            session.execute(
                insert(LogRow).values(
                    execution_id=execution_id,
                    at=entry.at,
                    level=str(entry.level),
                    type=str(entry.type),
                    stage=str(entry.stage),
                    message=entry.message,
                    details=entry.details,
                )
            )

    def list(self, execution_id: str, after_id: int = 0, *, limit: int | None = None) -> list[StoredLogEntry]:
        """The lines after the one of `after_id`, oldest first; at most `limit`."""
        query = (
            select(LogRow)
            .where(LogRow.execution_id == execution_id, LogRow.id > after_id)
            .order_by(LogRow.id)
            .limit(limit)
        )
        with self._sessions.read() as session:
            return [
                StoredLogEntry(
                    row.id,
                    LogEntry(
                        at=row.at,
                        level=LogLevel(row.level),
                        type=LogType(row.type),
                        stage=Stage(row.stage),
                        message=row.message,
                        details=row.details,
                    ),
                )
                for row in session.scalars(query)
            ]
