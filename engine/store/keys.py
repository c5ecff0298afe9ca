"""Age keys by name, and the installations whose signatures are trusted. Only public parts are here."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.records import Key, Signer
from engine.store.ids import new_id
from engine.store.lookup import name_taken, not_found
from engine.store.models import KeyRow, SignerRow
from engine.store.sessions import Sessions


class KeyRepository:
    """Keys by name or ID; the identities lie with the secrets."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def list(self) -> list[Key]:
        """All keys, by name."""
        with self._sessions.read() as session:
            return [_record(row) for row in session.scalars(select(KeyRow).order_by(KeyRow.name))]

    def find(self, name_or_id: str) -> Key | None:
        """The key of that name, else of that ID, else None."""
        with self._sessions.read() as session:
            row = _find(session, name_or_id)
            return None if row is None else _record(row)

    def get(self, name_or_id: str) -> Key:
        """The key of that name or ID. Raises `NotFound`."""
        with self._sessions.read() as session:
            return _record(_get(session, name_or_id))

    def add(
        self, name: str, recipient: str, *, has_identity: bool, created_at: datetime | None = None
    ) -> Key:
        """Add a key. Raises `ConfigError` when the name is taken."""
        return self.save(Key("", name, recipient, has_identity, created_at or self._sessions.clock()))

    def save(self, key: Key) -> Key:
        """Add the key, or change the one of its ID; an empty ID is filled in.

        Raises `ConfigError` when another key has the name.
        """
        with self._sessions.write() as session:
            holder = session.scalar(select(KeyRow).where(KeyRow.name == key.name))
            if holder is not None and holder.id != key.id:
                raise name_taken("key", key.name)
            row = session.get(KeyRow, key.id) if key.id else None
            if row is None:
                row = KeyRow(id=key.id or new_id(), created_at=key.created_at)
                session.add(row)
            row.name = key.name
            row.recipient = key.recipient
            row.has_identity = key.has_identity
            row.exported_at = key.exported_at
            session.flush()
            return _record(row)

    def mark_exported(self, name_or_id: str) -> Key:
        """Remember that the key was exported just now. Raises `NotFound`."""
        with self._sessions.write() as session:
            row = _get(session, name_or_id)
            row.exported_at = self._sessions.clock()
            return _record(row)

    def delete(self, name_or_id: str) -> Key:
        """Forget the key and return what it was. Raises `NotFound`."""
        with self._sessions.write() as session:
            row = _get(session, name_or_id)
            record = _record(row)
            session.delete(row)
            return record


class SignerRepository:
    """Other installations' public signing keys, trusted explicitly."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def list(self) -> list[Signer]:
        """All of them, by name."""
        with self._sessions.read() as session:
            rows = session.scalars(select(SignerRow).order_by(SignerRow.name, SignerRow.public_key))
            return [Signer(row.public_key, row.name, row.trusted_at) for row in rows]

    def add(self, public_key: str, name: str) -> Signer:
        """Trust a public key (hex); one that is trusted already gets the new name."""
        with self._sessions.write() as session:
            row = session.get(SignerRow, public_key)
            if row is None:
                row = SignerRow(public_key=public_key, trusted_at=self._sessions.clock())
                session.add(row)
            row.name = name
            session.flush()
            return Signer(row.public_key, row.name, row.trusted_at)

    def delete(self, public_key: str) -> None:
        """Trust it no longer; it is fine if it was not trusted."""
        with self._sessions.write() as session:
            row = session.get(SignerRow, public_key)
            if row is not None:
                session.delete(row)


def _find(session: Session, name_or_id: str) -> KeyRow | None:
    row = session.scalar(select(KeyRow).where(KeyRow.name == name_or_id))
    return row if row is not None else session.get(KeyRow, name_or_id)


def _get(session: Session, name_or_id: str) -> KeyRow:
    row = _find(session, name_or_id)
    if row is None:
        names = session.scalars(select(KeyRow.name))
        raise not_found("key", name_or_id, names, listing="strongroom keys list")
    return row


def _record(row: KeyRow) -> Key:
    return Key(row.id, row.name, row.recipient, row.has_identity, row.created_at, row.exported_at)
