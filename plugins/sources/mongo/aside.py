"""A thread that waits for the driver in our place: the driver knows no way to be called off."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from strongroom import CancelToken

T = TypeVar("T")
_STEP = 0.1  # seconds


class Aside:
    """Runs calls one after the other in a thread of its own; who asked goes on when a cancel comes.

    The call itself goes on to its end then, in a thread that nobody waits for.
    """

    def __init__(self, cancel: CancelToken) -> None:
        self._cancel = cancel
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def call(self, function: Callable[[], T], *, to_its_end: float = 0) -> T:
        """What `function` returns or raises; raises `Cancelled` when a cancel comes first.

        A cancel leaves the call so many seconds to come to its end: what a server is in the middle of writing
        would else come in after everybody has looked.
        """
        self._cancel.raise_if_cancelled()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="mongodb", daemon=True)
            self._thread.start()
        done, ended = threading.Event(), threading.Event()
        found: list[Any] = []

        def run() -> None:
            try:
                found.append((True, function()))
            except BaseException as error:
                found.append((False, error))
            ended.set()
            done.set()

        self._calls.put(run)
        with self._cancel.calling(done.set):
            while not done.wait(_STEP):
                pass
        if not ended.is_set():
            ended.wait(to_its_end)
            self._cancel.raise_if_cancelled()
        good, value = found[0]
        if not good:
            raise value
        return value  # type: ignore[no-any-return]

    def close(self) -> None:
        """Let the thread end when it has done what it is doing."""
        self._calls.put(None)
        self._thread = None

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
