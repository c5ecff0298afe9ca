"""Settings by name: what people choose, and what the installation remembers of itself."""

from __future__ import annotations

from typing import Any

from engine.store.models import SettingRow
from engine.store.sessions import Sessions


class Settings:
    """`get` reads the file each time, so that another process's change counts at once."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def get(self, key: str, default: Any = None) -> Any:
        """The setting's value (what JSON can hold), or `default`."""
        with self._sessions.read() as session:
            row = session.get(SettingRow, key)
            return default if row is None else row.value

    def set(self, key: str, value: Any) -> None:
        """Keep `value` under `key`."""
        with self._sessions.write() as session:
            session.merge(SettingRow(key=key, value=value))

    def set_default(self, key: str, value: Any) -> Any:
        """Keep `value` unless there is one already; return what stands. Safe between processes."""
        with self._sessions.write() as session:
            row = session.get(SettingRow, key)
            if row is None:
                row = SettingRow(key=key, value=value)
                session.add(row)
            return row.value

    def delete(self, key: str) -> None:
        """Forget the setting; it is fine if there is none."""
        with self._sessions.write() as session:
            row = session.get(SettingRow, key)
            if row is not None:
                session.delete(row)

    def all(self) -> dict[str, Any]:
        """Every setting by name."""
        with self._sessions.read() as session:
            return {row.key: row.value for row in session.query(SettingRow).order_by(SettingRow.key)}
