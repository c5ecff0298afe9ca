"""Where the copies of a run have got to, a row a destination: folded from events, or from the store.

No Qt here, so that every rule is tested alone: figures never run backwards within an attempt, a speed is
of the last seconds, and how each copy ended stays known while the next one is on its way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engine.events import DestinationProgress, DestinationState, LogEntry, LogLevel, Status
from engine.records import Execution

SPEED_WINDOW = 5.0
"""Seconds over which a speed is measured: long enough to be calm, short enough to notice a change."""
LEAST_SPAN = 1.0
"""Seconds without which there is no speed: the first moments measure a buffer that is being filled."""
MOVING = (DestinationState.UPLOADING, DestinationState.VERIFYING, DestinationState.RETRYING)

_RESULTS = {
    Status.SUCCESS: DestinationState.SUCCESS,
    Status.FAILED: DestinationState.FAILED,
    Status.CANCELLED: DestinationState.CANCELLED,
}


@dataclass(slots=True)
class DestinationRow:
    """One destination of a run, and the copy that is on its way there.

    `message` is why it retries or failed, or how it was proven whole; `remedy` what to do about a failure.
    `stored` and `failed` are the copies that have ended, by database: their proof, their reason.
    `elsewhere` is true of a run in another process, of which the store alone tells.
    """

    name: str
    state: DestinationState = DestinationState.WAITING
    database: str = ""
    bytes_sent: int = 0
    total: int | None = None
    attempt: int = 1
    attempts: int = 1
    retry_at: datetime | None = None
    message: str = ""
    remedy: str = ""
    stored: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    elsewhere: bool = False
    percent: float | None = None
    """Of the copy's size, or of what is expected of it; None when neither is known."""
    samples: deque[tuple[datetime, int]] = field(default_factory=deque)

    def take(self, event: DestinationProgress, now: datetime, expected: int | None = None) -> None:
        """Fold one event in; `expected` is how large the copy will be, as far as that can be guessed."""
        another = event.database != self.database
        if another:
            self.total = None
        waits = event.state is DestinationState.RETRYING
        begins = not waits and (
            self.state is DestinationState.RETRYING or event.attempt != self.attempt
        )  # while it waits, the attempt is the one that comes
        if another or begins or event.bytes_sent < self.bytes_sent:
            self.samples.clear()
            self.percent = self.percent if waits else None
        self.state, self.database, self.bytes_sent = event.state, event.database, event.bytes_sent
        self.attempt, self.attempts = event.attempt, event.attempts
        self.total = event.total if event.total is not None else self.total
        self._measure(expected)
        self.message, self.remedy = event.message, event.remedy
        self.retry_at = None if event.retry_in is None else now + timedelta(seconds=event.retry_in)
        if event.state is DestinationState.SUCCESS:
            self.stored[event.database] = event.message
        elif event.state is DestinationState.FAILED:
            self.failed[event.database] = event.message
        if not self.samples or self.samples[-1][1] != event.bytes_sent:
            if len(self.samples) == 1 and not self.samples[0][1]:
                self.samples.clear()  # what was waited for the first byte is not the destination's pace
            self.samples.append((now, event.bytes_sent))
        while len(self.samples) > 2 and (now - self.samples[0][0]).total_seconds() > SPEED_WINDOW:
            self.samples.popleft()

    def speed(self, now: datetime) -> float:
        """Bytes a second over the last seconds; 0 before there were any, and once nothing moves any more."""
        if len(self.samples) < 2 or self.still(now) > SPEED_WINDOW:
            return 0.0
        (since, before), (until, after) = self.samples[0], self.samples[-1]
        seconds = (until - since).total_seconds()
        return (after - before) / seconds if seconds >= LEAST_SPAN else 0.0

    def still(self, now: datetime) -> float:
        """Seconds since the last byte of this attempt moved, or since it began."""
        return (now - self.samples[-1][0]).total_seconds() if self.samples else 0.0

    def _measure(self, expected: int | None) -> None:
        size, most = (self.total, 100.0) if self.total else (expected, 99.0)
        if size:  # an estimate that was too low takes nothing back
            self.percent = max(self.percent or 0.0, min(most, 100.0 * self.bytes_sent / size))

    def settle(self, execution: Execution) -> None:
        """Take over how the store says that it ended."""
        result = next((its for its in execution.destinations if its.name == self.name), None)
        if result is None:
            return
        self.state = _RESULTS.get(result.status, self.state)
        self.message, self.retry_at = result.error or result.proof or "", None
        self.bytes_sent = result.bytes_sent
        copies = [its for its in execution.copies if its.destination_id == result.destination_id]
        if copies:
            self.stored = {its.database: its.proof or "" for its in copies if its.status is Status.SUCCESS}
            self.failed = {its.database: its.error or "" for its in copies if its.status is Status.FAILED}


def rows_of(execution: Execution, names: Sequence[str], log: Iterable[LogEntry]) -> dict[str, DestinationRow]:
    """The rows of a run that is known from the store alone; `names` are the destinations of its job."""
    ended = execution.status.ended
    known = [its.name for its in execution.destinations]
    rows = {name: DestinationRow(name, elsewhere=not ended) for name in known or names}
    for row in rows.values():
        row.settle(execution)
    for entry in log:
        _hear(rows, entry, ended)
    return rows


def _hear(rows: Mapping[str, DestinationRow], entry: LogEntry, ended: bool) -> None:
    """Let a row hear what the log says of its destination: the lines that begin with its name in brackets.

    The store has no other place for what to do about a failure (an error's details), nor, before the end,
    for how far a destination is.
    """
    if not entry.message.startswith("["):
        return
    name, _, said = entry.message[1:].partition("] ")
    row = rows.get(name)
    if row is None:
        return
    if entry.level is LogLevel.ERROR:
        row.remedy = entry.details
    if not ended:
        row.message = said.rstrip(".")
