"""The time, handed in wherever it decides something, so that tests and retention can choose it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the present moment as an aware UTC datetime."""


def utc_now() -> datetime:
    """The machine's clock, in UTC."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with a Z, to the microsecond only where there are any: `2026-11-24T03:00:00Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
