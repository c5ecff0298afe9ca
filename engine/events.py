"""What a running execution tells: frozen values sent to one `EventSink`.

The desktop's bridge turns them into Qt signals, the command line into a progress bar; the store keeps
the stage, the percentage and the bytes once a second for other processes. A sink is called from the
engine's threads, must return soon, and never raises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """The states of an execution (DESIGN, section 1)."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCESS = "Success"
    PARTIAL = "Partial"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def ended(self) -> bool:
        """Whether an execution of this status is over."""
        return self not in (Status.PENDING, Status.RUNNING)


class Stage(StrEnum):
    """The stages of an execution, in the order in which the stage strip shows them."""

    INITIALIZE = "initialize"
    DUMP = "dump"
    COMPRESS = "compress"
    ENCRYPT = "encrypt"
    UPLOAD = "upload"
    VERIFY = "verify"
    FETCH = "fetch"
    RESTORE = "restore"
    COMPLETION = "completion"
    RETENTION = "retention"


class LogLevel(StrEnum):
    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"


class LogType(StrEnum):
    GENERAL = "general"
    COMMAND = "command"
    STORAGE = "storage"
    SECURITY = "security"


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of an execution's log; `at` is UTC."""

    at: datetime
    level: LogLevel
    type: LogType
    stage: Stage
    message: str
    details: str = ""


class DestinationState(StrEnum):
    """What an upload is doing just now."""

    WAITING = "waiting"
    UPLOADING = "uploading"
    VERIFYING = "verifying"
    RETRYING = "retrying"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Event:
    """What every event carries."""

    execution_id: str


@dataclass(frozen=True, slots=True)
class ExecutionQueued(Event):
    job: str


@dataclass(frozen=True, slots=True)
class ExecutionStarted(Event):
    job: str
    destinations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StageStarted(Event):
    stage: Stage
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StageFinished(Event):
    stage: Stage
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Progress(Event):
    """Bytes so far. `percent` (0 to 100) is None while nothing is known to measure it against.

    `bytes_in` counts what the dump gave (or what a restore fed), `bytes_out` what reached the spool (or
    was fetched); `speed` is bytes a second of `bytes_out`; `seconds_left` is an estimate or None;
    `total` is the expected `bytes_out`, `estimated` when it is only the last backup's size.
    """

    stage: Stage
    bytes_in: int
    bytes_out: int
    percent: float | None = None
    speed: float = 0.0
    seconds_left: float | None = None
    total: int | None = None
    estimated: bool = False
    database: str = ""


@dataclass(frozen=True, slots=True)
class DestinationProgress(Event):
    """One destination's row. `retry_in` is in seconds while the state is `retrying`; `attempt` counts from 1
    up to `attempts`, the most there will be. `message` is why it retries or failed, or how it was proven
    whole; `remedy` what to do about a failure; `database` is the one whose artifact is on its way."""

    destination: str
    state: DestinationState
    bytes_sent: int = 0
    total: int | None = None
    retry_in: float | None = None
    message: str = ""
    attempt: int = 1
    attempts: int = 1
    database: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class LogAdded(Event):
    entry: LogEntry


@dataclass(frozen=True, slots=True)
class NotificationSent(Event):
    notifier: str
    ok: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class RetentionFinished(Event):
    destination: str
    kept: int
    deleted: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class ExecutionFinished(Event):
    status: Status
    error: str = ""
    remedy: str = ""
    backups: tuple[str, ...] = field(default=())


EventSink = Callable[[Event], None]


def no_events(event: Event) -> None:
    """The sink of whoever does not listen."""
