"""One sink for the engine to send to, and any number of listeners behind it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from engine.events import Event, EventSink

_log = logging.getLogger(__name__)


class EventBus:
    """Passes each event to every subscriber, in the thread that sent it.

    A subscriber that raises is logged and costs neither the engine nor the other subscribers anything.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sinks: tuple[EventSink, ...] = ()

    def subscribe(self, sink: EventSink) -> Callable[[], None]:
        """Add a listener; calling the answer removes it."""
        with self._lock:
            self._sinks = (*self._sinks, sink)

        def unsubscribe() -> None:
            with self._lock:
                self._sinks = tuple(each for each in self._sinks if each is not sink)

        return unsubscribe

    def emit(self, event: Event) -> None:
        """Send an event to all who listen now."""
        for sink in self._sinks:
            try:
                sink(event)
            except Exception:  # a broken listener must not stop a backup
                _log.exception("a listener failed on %s", type(event).__name__)
