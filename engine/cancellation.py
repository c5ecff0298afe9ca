"""One token a run: who asks to stop sets it, what works or waits looks at it or is called by it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.errors import Cancelled, StrongroomError
from engine.units import sentence

REASON = "cancelled"
"""The reason of a cancel that gave none."""


def cancel_words(said: str, how: str = "Cancelled") -> str:
    """A cancel in sentences, by what its `Cancelled` said: "Cancelled.", or "Cancelled: the reason."."""
    behind = said.removeprefix(REASON)
    if not said or (behind != said and behind[:1] in ("", ".")):
        return how + (behind or ".")
    return sentence(f"{how}: {said}")


class CancelToken:
    """A latch from "go on" to "stop", safe to use from any thread.

    Work that polls calls `raise_if_cancelled`; work that blocks (a process, a socket, a condition)
    registers a callback that unblocks it. Callbacks run once, in the thread that cancels, or at once
    when the token is cancelled already. `failure` is set when the stop is nobody's wish but the run's
    own failure (its time limit): such a run ends as Failed with that error, not as Cancelled.
    `cancelled_at` is when it was cancelled, in seconds of the monotonic clock: whoever winds up after
    that shares one time limit with the others.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._next = 0
        self.reason = ""
        self.cancelled_at: float | None = None
        self.failure: StrongroomError | None = None

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        return self._event.is_set()

    def cancel(self, reason: str = REASON, *, failure: StrongroomError | None = None) -> None:
        """Ask to stop; the first reason stays. Errors of callbacks do not keep the others from running."""
        with self._lock:
            if self._event.is_set():
                return
            self.reason = reason
            self.failure = failure
            self.cancelled_at = time.monotonic()
            self._event.set()
            callbacks = list(self._callbacks.values())
            self._callbacks.clear()
        errors = []
        for callback in callbacks:
            try:
                callback()
            except Exception as error:  # one callback must not keep the next from unblocking its thread
                errors.append(error)
        if errors:
            raise errors[0]

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` when somebody asked to stop."""
        if self._event.is_set():
            raise Cancelled(self.reason)

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds`; True when it was cancelled meanwhile. A sleep that a cancel ends."""
        return self._event.wait(seconds)

    @contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call `callback` if a cancel comes while the block runs (at once, if it came before)."""
        with self._lock:
            late = self._event.is_set()
            self._next += 1
            handle = self._next
            if not late:
                self._callbacks[handle] = callback
        if late:
            callback()
        try:
            yield
        finally:
            with self._lock:
                self._callbacks.pop(handle, None)
