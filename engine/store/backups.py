"""The cache of what lies at the destinations. The storage is the truth; this is only quick."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from engine.records import CachedBackup
from engine.store.lookup import not_found
from engine.store.models import BackupRow
from engine.store.sessions import Sessions


class BackupRepository:
    """Backups as last seen, by their ID."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def list(
        self, destination_id: str | None = None, job_id: str | None = None, set_id: str | None = None
    ) -> list[CachedBackup]:
        """The backups, newest first; those without a date last."""
        query = select(BackupRow).order_by(
            BackupRow.created_at.desc().nulls_last(), BackupRow.destination_id, BackupRow.artifact
        )
        if destination_id is not None:
            query = query.where(BackupRow.destination_id == destination_id)
        if job_id is not None:
            query = query.where(BackupRow.job_id == job_id)
        if set_id is not None:
            query = query.where(BackupRow.set_id == set_id)
        with self._sessions.read() as session:
            return [_record(row) for row in session.scalars(query)]

    def find(self, backup_id: str) -> CachedBackup | None:
        """The backup of that ID, else None."""
        with self._sessions.read() as session:
            row = session.get(BackupRow, backup_id)
            return None if row is None else _record(row)

    def get(self, backup_id: str) -> CachedBackup:
        """The backup of that ID. Raises `NotFound`."""
        with self._sessions.read() as session:
            row = session.get(BackupRow, backup_id)
            if row is None:
                raise not_found(
                    "backup", backup_id, session.scalars(select(BackupRow.id)), listing="strongroom backups"
                )
            return _record(row)

    def upsert(self, backups: CachedBackup | Iterable[CachedBackup]) -> None:
        """Add the backups, or replace those of their IDs. Their destinations must exist."""
        rows = [_values(its) for its in ([backups] if isinstance(backups, CachedBackup) else backups)]
        if not rows:
            return
        with self._sessions.write(durable=False) as session:
            for row in rows:
                session.execute(
                    insert(BackupRow).values(row).on_conflict_do_update(index_elements=["id"], set_=row)
                )

    def replace_destination(self, destination_id: str, backups: Iterable[CachedBackup]) -> None:
        """Make `backups` all that is known of the destination, in one transaction."""
        rows = [_values(its) for its in backups]
        if any(row["destination_id"] != destination_id for row in rows):
            raise ValueError("a backup of another destination was given")
        with self._sessions.write(durable=False) as session:
            session.execute(delete(BackupRow).where(BackupRow.destination_id == destination_id))
            if rows:
                session.execute(insert(BackupRow), rows)

    def delete(self, backup_id: str) -> None:
        """Forget a backup that is gone; it is fine if it was not known."""
        with self._sessions.write(durable=False) as session:
            session.execute(delete(BackupRow).where(BackupRow.id == backup_id))

    def set_locked(self, backup_id: str, locked: bool) -> None:
        """Remember that a lock file lies, or no longer lies, beside the artifact."""
        with self._sessions.write(durable=False) as session:
            row = session.get(BackupRow, backup_id)
            if row is not None:
                row.locked = locked

    def set_proof(
        self, backup_id: str, proof: Mapping[str, Any] | None, *, seen_at: datetime | None = None
    ) -> None:
        """Remember the last verification or drill."""
        with self._sessions.write(durable=False) as session:
            row = session.get(BackupRow, backup_id)
            if row is not None:
                row.proof = None if proof is None else dict(proof)
                row.seen_at = seen_at or self._sessions.clock()


def _values(its: CachedBackup) -> dict[str, Any]:
    return {
        "id": its.id,
        "destination_id": its.destination_id,
        "artifact": its.artifact,
        "job_id": its.job_id,
        "set_id": its.set_id,
        "created_at": its.created_at,
        "size": its.size,
        "sidecar": its.sidecar,
        "problem": its.problem,
        "locked": its.locked,
        "proof": None if its.proof is None else dict(its.proof),
        "seen_at": its.seen_at,
    }


def _record(row: BackupRow) -> CachedBackup:
    return CachedBackup(
        id=row.id,
        destination_id=row.destination_id,
        artifact=row.artifact,
        size=row.size,
        sidecar=row.sidecar,
        seen_at=row.seen_at,
        job_id=row.job_id,
        set_id=row.set_id,
        created_at=row.created_at,
        problem=row.problem,
        locked=row.locked,
        proof=row.proof,
    )
