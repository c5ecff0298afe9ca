"""What a running execution says, written down as it comes and sent to whoever listens.

One recorder an execution: log lines go to the store at once and to the event sink; the stage and the
progress go to the sink about five times a second and to the store once a second, for other processes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine.clock import Clock, utc_now
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

_MOVING = (DestinationState.UPLOADING, DestinationState.VERIFYING)
"""The states in which an upload is told of again and again."""
_HIDDEN = "•••"


class Recorder:
    """The log, the stages and the progress of one execution. Safe to use from any thread."""

    def __init__(self, execution_id: str, store: Store, emit: EventSink, *, clock: Clock = utc_now) -> None:
        self.execution_id = execution_id
        self._store = store
        self._emit = emit
        self._clock = clock
        self._lock = threading.Lock()
        self._stage = Stage.INITIALIZE
        self._secrets: set[str] = set()
        self._last_event: dict[str, float] = {}
        self._states: dict[str, DestinationState] = {}
        self._last_store = 0.0
        self._samples: deque[tuple[float, int]] = deque()
        self._highest = 0.0

    # -- log -----------------------------------------------------------------------------------------

    def hide(self, *secrets: str) -> None:
        """Blot these texts out of every later line: the last guard, should a tool repeat its password."""
        self._secrets.update(secret for secret in secrets if len(secret) >= 4)

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
            speed = self._speed(now, bytes_out)
            percent = None
            if total:
                # An estimate may be too low: an unfinished run never claims to be whole.
                reached = min(bytes_out / total * 100, 100.0 if final else 99.0)
                percent = self._highest = max(self._highest, reached)
            left = (total - bytes_out) / speed if total and speed > 0 and total > bytes_out else None
            to_store = final or now - self._last_store >= STORE_INTERVAL
            if to_store:
                self._last_store = now
        self._emit(
            Progress(
                self.execution_id,
                stage or self._stage,
                bytes_in,
                bytes_out,
                percent=percent,
                speed=speed,
                seconds_left=left,
                total=total,
                estimated=estimated,
                database=database,
            )
        )
        if to_store:
            self._store.executions.set_progress(
                self.execution_id,
                stage=str(stage or self._stage),
                percent=percent,
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

    def emit(self, event: Event) -> None:
        """Send an event of another kind."""
        self._emit(event)

    def _due(self, what: str, now: float, final: bool) -> bool:
        if not final and now - self._last_event.get(what, -EVENT_INTERVAL) < EVENT_INTERVAL:
            return False
        self._last_event[what] = now
        return True

    def _speed(self, now: float, bytes_out: int) -> float:
        self._samples.append((now, bytes_out))
        while len(self._samples) > 2 and now - self._samples[0][0] > SPEED_WINDOW:
            self._samples.popleft()
        since, before = self._samples[0]
        return (bytes_out - before) / (now - since) if now > since else 0.0
