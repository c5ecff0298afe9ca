"""Stops what must stop: what other processes asked to cancel, and what is past its time limit."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from engine.errors import StrongroomError, TimeLimit
from engine.events import EventSink, ExecutionFinished
from engine.queue.entries import Entries, Entry
from engine.units import span_text

if TYPE_CHECKING:
    from engine.store.database import Store

_log = logging.getLogger(__name__)

WATCH = 0.5
"""Seconds between two looks, while this process has an execution."""


class Watcher:
    """Looks twice a second. A thread of its own: an executor that is full may hold the dispatcher up."""

    def __init__(self, store: Store, entries: Entries, *, emit: EventSink) -> None:
        self._store = store
        self._entries = entries
        self._emit = emit

    def loop(self) -> None:
        """Look until the queue is stopped; asleep while this process has nothing."""
        while True:
            with self._entries.changed:
                if self._entries.stopped:
                    return
                self._entries.changed.wait(WATCH if self._entries.all() else None)
            try:
                self.look()
            except Exception as error:  # the next look may do better
                _log.warning("the queue could not look for cancels: %s", error)

    def look(self) -> None:
        """Stop what must stop now."""
        entries = {entry.id: entry for entry in self._entries.all()}
        now = time.monotonic()
        for entry in entries.values():
            if entry.deadline is not None and now >= entry.deadline:
                limit = span_text(entry.time_limit or 0)
                failure = TimeLimit(
                    f"It took longer than its time limit of {limit}.",
                    remedy="Give the job a longer time limit, or see in the log what took so long.",
                )
                self._stop(entry, "time limit", failure)
        requested, over = self._store.claims.asked_to_stop(entries.keys())
        for execution_id in requested:
            self._stop(entries[execution_id], "cancelled from another process")
        for execution_id in over:
            entry = entries[execution_id]
            if not entry.claimed:  # another process cancelled it while it waited
                ended = self._store.executions.get(execution_id)
                self._emit(ExecutionFinished(execution_id, ended.status, ended.error or ""))
                self._entries.drop(entry)

    def _stop(self, entry: Entry, reason: str, failure: StrongroomError | None = None) -> None:
        if entry.token.cancelled:
            return
        # On a thread of its own: a callback that ends a process may take seconds.
        threading.Thread(
            target=entry.stop, args=(reason, failure), name="strongroom-stop", daemon=True
        ).start()
