"""The bridge from the engine's events to Qt signals, and the live state that the views show.

The engine calls the sink from its own threads; the signal carries each event to the UI thread, where
`LiveRuns` folds it into one `LiveRun` an execution. Byte events come throttled already.
"""

from __future__ import annotations

from collections import OrderedDict

import shiboken6
from PySide6.QtCore import QObject, Signal, Slot

from desktop.live import LiveRun
from engine.clock import Clock, utc_now
from engine.events import Event, ExecutionFinished, ExecutionQueued, ExecutionStarted, LogAdded

KEPT = 50
"""How many ended runs stay in memory, so that their pages need not read the store again."""


class EventBridge(QObject):
    """An `EventSink` whose events arrive as a signal on the thread that the bridge lives in."""

    arrived = Signal(object)

    def sink(self, event: Event) -> None:
        """Take an event from any thread. Never raises, also not while the application goes down."""
        if shiboken6.isValid(self):
            self.arrived.emit(event)


class LiveRuns(QObject):
    """The executions of this process, as their events tell them."""

    changed = Signal(str)
    """An execution's ID: its stages, progress or destinations changed."""
    logged = Signal(str, object)
    """An execution's ID and the new `LogEntry`."""
    queued = Signal(str)
    started = Signal(str)
    finished = Signal(str, object)
    """An execution's ID and its `ExecutionFinished`."""

    def __init__(self, bridge: EventBridge, clock: Clock = utc_now) -> None:
        super().__init__(bridge)
        self._clock = clock
        self._runs: OrderedDict[str, LiveRun] = OrderedDict()
        bridge.arrived.connect(self._take)

    def get(self, execution_id: str) -> LiveRun | None:
        """The live state of an execution of this process; None for one of another process."""
        return self._runs.get(execution_id)

    def active(self) -> list[LiveRun]:
        """The runs that have not ended, oldest first."""
        return [run for run in self._runs.values() if not run.status.ended]

    @Slot(object)
    def _take(self, event: Event) -> None:
        run = self._runs.get(event.execution_id)
        if run is None:
            run = self._runs[event.execution_id] = LiveRun(event.execution_id)
            self._forget_old()
        run.take(event, self._clock())
        if isinstance(event, LogAdded):
            self.logged.emit(event.execution_id, event.entry)
            return
        self.changed.emit(event.execution_id)
        if isinstance(event, ExecutionQueued):
            self.queued.emit(event.execution_id)
        elif isinstance(event, ExecutionStarted):
            self.started.emit(event.execution_id)
        elif isinstance(event, ExecutionFinished):
            self.finished.emit(event.execution_id, event)

    def _forget_old(self) -> None:
        ended = [its for its, run in self._runs.items() if run.status.ended]
        for its in ended[: max(0, len(ended) - KEPT)]:
            del self._runs[its]
