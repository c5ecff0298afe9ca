"""What a running execution says, written down as it comes and sent to whoever listens.

One recorder an execution: log lines go to the store at once and to the event sink; the stage and the
progress go to the sink about five times a second and to the store once a second, for other processes.

The percentage is that of the slowest destination, from the first byte on: a dump that is done is no backup
yet. Where nothing is uploaded (a restore, a verification) it is that of the bytes themselves.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.clock import Clock, utc_now
from engine.errors import StoreError
from engine.events import (
    DestinationProgress,
    DestinationState,
    Event,
    EventSink,
    LogAdded,
    LogEntry,
    LogLevel,
    LogType,
    Progress,
    Stage,
    StageFinished,
    StageStarted,
)

if TYPE_CHECKING:
    from engine.store.database import Store

EVENT_INTERVAL = 0.2
"""Seconds between two byte events of one kind (DESIGN, section 4: about five a second)."""
STORE_INTERVAL = 1.0
"""Seconds between two progress writes to the store."""
SPEED_WINDOW = 5.0
"""Seconds over which a speed is measured: long enough to be calm, short enough to notice a stall."""
LEAST_SPAN = 1.0
"""Seconds without which there is no speed: the first moments measure a buffer that is being filled."""

_MOVING = (DestinationState.UPLOADING, DestinationState.VERIFYING)
"""The states in which an upload is told of again and again."""
_LOST = (DestinationState.FAILED, DestinationState.CANCELLED)
_HIDDEN = "•••"
_SHORTEST = 4
"""Characters below which a secret would be blotted out of ordinary words."""


class Recorder:
    """The log, the stages and the progress of one execution. Safe to use from any thread."""

    def __init__(self, execution_id: str, store: Store, emit: EventSink, *, clock: Clock = utc_now) -> None:
        self.execution_id = execution_id
        self._store = store
        self._emit = emit
        self._clock = clock
        self._lock = threading.Lock()
        self._stage = Stage.INITIALIZE
        self._secrets: list[str] = []
        self._last_event: dict[str, float] = {}
        self._states: dict[str, DestinationState] = {}
        self._last_store = 0.0
        self._speed = _Speed()
        self._pace = _Speed()
        self._highest: float | None = None
        self._copies: dict[str, dict[str, tuple[DestinationState, int]]] = {}
        self._sizes: dict[str, int] = {}
        self._dumped: Progress | None = None

    # -- log -----------------------------------------------------------------------------------------

    def hide(self, *secrets: str) -> None:
        """Blot these texts out of every later line: the last guard, should a tool repeat its password."""
        parts = {part for secret in secrets for part in _parts(secret) if len(part) >= _SHORTEST}
        # The longest first: one that is the beginning of another would leave the other's end.
        self._secrets = sorted({*self._secrets, *parts}, key=len, reverse=True)

    def log(
        self,
        message: str,
        level: LogLevel = LogLevel.INFO,
        type: LogType = LogType.GENERAL,
        details: str = "",
        *,
        stage: Stage | None = None,
    ) -> None:
        """Write one line; it is in the store when this returns."""
        entry = LogEntry(
            at=self._clock(),
            level=level,
            type=type,
            stage=stage or self._stage,
            message=self.clean(message),
            details=self.clean(details),
        )
        self._store.logs.add(self.execution_id, entry)
        self._emit(LogAdded(self.execution_id, entry))

    def logger(self, stage: Stage) -> Callable[[str, LogLevel, LogType, str], None]:
        """The `log` that an adapter gets, its lines marked with that stage."""

        def log(message: str, level: LogLevel, type: LogType, details: str) -> None:
            self.log(message, level, type, details, stage=stage)

        return log

    def clean(self, text: str) -> str:
        """The text without any secret that was named to `hide`."""
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return text

    # -- stages --------------------------------------------------------------------------------------

    @contextmanager
    def stage(self, stage: Stage, detail: str = "") -> Iterator[None]:
        """Mark the block as a stage: started, finished, and how long it took."""
        self._stage = stage
        self._store.executions.set_progress(self.execution_id, stage=str(stage))
        self._emit(StageStarted(self.execution_id, stage, detail))
        begun = time.monotonic()
        try:
            yield
        finally:
            self._emit(StageFinished(self.execution_id, stage, time.monotonic() - begun))

    def passed(self, stage: Stage, seconds: float, detail: str) -> None:
        """Tell of a stage that worked on the bytes of the current one as they passed, once they have."""
        self._emit(StageFinished(self.execution_id, stage, seconds, detail))

    # -- progress ------------------------------------------------------------------------------------

    def progress(
        self,
        bytes_in: int,
        bytes_out: int,
        *,
        stage: Stage | None = None,
        total: int | None = None,
        estimated: bool = False,
        final: bool = False,
        database: str = "",
    ) -> None:
        """Tell how far the bytes are; throttled unless `final`. The percentage never runs backwards."""
        now = time.monotonic()
        with self._lock:
            if not self._due("progress", now, final):
                return
            event = self._measured(
                Progress(
                    self.execution_id,
                    stage or self._stage,
                    bytes_in,
                    bytes_out,
                    speed=self._speed.at(now, bytes_out),
                    total=total,
                    estimated=estimated,
                    database=database,
                ),
                now,
                final,
            )
            self._dumped = event if final and bytes_out == total else None
            to_store = self._due_to_store(now, final)
        self._emit(event)
        if to_store:
            self._store.executions.set_progress(
                self.execution_id,
                stage=str(event.stage),
                percent=event.percent,
                bytes_in=bytes_in,
                bytes_out=bytes_out,
            )

    def destination(
        self,
        name: str,
        state: DestinationState,
        *,
        bytes_sent: int = 0,
        total: int | None = None,
        retry_in: float | None = None,
        message: str = "",
        remedy: str = "",
        attempt: int = 1,
        attempts: int = 1,
        database: str = "",
    ) -> None:
        """Tell of one destination's row: of each change of state, of its bytes about five times a second."""
        with self._lock:
            changed = state is not self._states.get(name) or state not in _MOVING
            if not self._due(f"destination {name}", time.monotonic(), changed):
                return
            self._states[name] = state
            self._take_copy(name, state, database, bytes_sent, total)  # as it is told: both say the same
        self._emit(
            DestinationProgress(
                self.execution_id,
                name,
                state,
                bytes_sent=bytes_sent,
                total=total,
                retry_in=retry_in,
                message=self.clean(message),
                remedy=self.clean(remedy),
                attempt=attempt,
                attempts=attempts,
                database=database,
            )
        )
        self._tell_of_copies()

    def emit(self, event: Event) -> None:
        """Send an event of another kind."""
        self._emit(event)

    def _due(self, what: str, now: float, final: bool) -> bool:
        if not final and now - self._last_event.get(what, -EVENT_INTERVAL) < EVENT_INTERVAL:
            return False
        self._last_event[what] = now
        return True

    def _due_to_store(self, now: float, final: bool) -> bool:
        if not final and now - self._last_store < STORE_INTERVAL:
            return False
        self._last_store = now
        return True

    # -- the copies ----------------------------------------------------------------------------------

    def _take_copy(
        self, name: str, state: DestinationState, database: str, sent: int, total: int | None
    ) -> None:
        copies = self._copies.setdefault(name, {})
        if state is not DestinationState.WAITING:
            copies[database] = (state, sent)
        if total is not None:
            self._sizes[database] = total

    def _tell_of_copies(self) -> None:
        """Once the dump has ended, nobody but the uploads can say how far the run is."""
        now = time.monotonic()
        with self._lock:
            dumped = self._dumped
            if dumped is None or not self._due("progress", now, final=False):
                return
            event = self._measured(replace(dumped, stage=Stage.UPLOAD, speed=0.0), now, final=False)
            to_store = self._due_to_store(now, final=False)
        self._emit(event)
        if to_store:
            with suppress(StoreError):  # the next one says it as well; no upload fails by it
                self._store.executions.set_progress(self.execution_id, percent=event.percent)

    def _measured(self, event: Progress, now: float, final: bool) -> Progress:
        """The event with its percentage, and with the time that is left for all of it."""
        uploads = bool(self._copies)
        reached = self._slowest() if uploads else event.bytes_out
        pace = self._pace.at(now, reached) if reached is not None else 0.0
        if reached is None or not event.total:
            return replace(event, percent=self._highest, seconds_left=None)
        # An estimate may be too low, and what is sent is not proven yet: only an end is a hundred.
        most = 100.0 if final and not uploads else 99.0
        whole = max(event.total, event.bytes_out)
        self._highest = max(self._highest or 0.0, min(reached / whole * 100, most))
        left = (whole - reached) / pace if pace > 0 and whole > reached else None
        return replace(event, percent=self._highest, seconds_left=left)

    def _slowest(self) -> int | None:
        """The bytes that each destination has at least, of those that still take any.

        None while one waits for its first turn, when nothing is known of the slowest, and when none is left.
        A copy that failed keeps nobody waiting any more.
        """
        found: list[int] = []
        for copies in self._copies.values():
            if not copies:
                return None
            if all(state in _LOST for state, _ in copies.values()):
                continue
            found.append(
                sum(
                    self._sizes.get(database, sent) if state in _LOST else sent
                    for database, (state, sent) in copies.items()
                )
            )
        return min(found, default=None)


def _parts(secret: str) -> Iterator[str]:
    """A secret, and where it has lines (a key, an environment), what each of them would give away."""
    yield secret
    for line in secret.splitlines():
        if not line.lstrip().startswith("#"):
            name, _, value = line.partition("=")
            yield value if value and name.strip().isidentifier() else line.strip()


class _Speed:
    """Bytes a second over the last seconds; 0 until there was time to measure."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def at(self, now: float, position: int) -> float:
        """Take a position, and return the speed there. One that lies further back begins anew."""
        if self._samples and position < self._samples[-1][1]:
            self._samples.clear()
        self._samples.append((now, position))
        while len(self._samples) > 2 and now - self._samples[0][0] > SPEED_WINDOW:
            self._samples.popleft()
        since, before = self._samples[0]
        return (position - before) / (now - since) if now - since >= LEAST_SPAN else 0.0
