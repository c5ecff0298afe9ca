"""What the doctor finds: one thing that was looked at, how it stands, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a finding stands: `note` is worth knowing, `warning` may hurt one day, `error` hurts now."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    area: str
    state: State
    detail: str
    remedy: str = ""
