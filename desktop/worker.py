"""Work off the UI thread: whole executions for the engine's queue, and short calls for the views.

`QtExecutor` is what the queue gets as its executor; `Background` runs one call of the engine and
delivers its result, or the problem, back on the UI thread by a signal.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import shiboken6
from PySide6.QtCore import QObject, QRunnable, QThread, QThreadPool, Signal, Slot

from engine.errors import Cancelled, ConfigError, NeedsTrust, StrongroomError

_log = logging.getLogger("strongroom.desktop")
T = TypeVar("T")

EXECUTION_THREADS = 64
"""More than anybody lets run at once: the queue's own `maxConcurrentJobs` decides, not the pool."""
CALL_THREADS = 6


class ExecutionTask(QRunnable):
    """One whole execution, in a thread of the pool."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__()
        self._work = work

    def run(self) -> None:
        """Do the work. The queue settles what fails; this only keeps the thread pool alive."""
        try:
            self._work()
        except Cancelled:
            pass
        except Exception:
            _log.exception("An execution ended with an error that nobody handled.")


class QtExecutor:
    """The executor of the engine's queue, on a `QThreadPool` of its own. Safe to call from any thread."""

    def __init__(self) -> None:
        self._pool = QThreadPool()
        self._pool.setMaxThreadCount(EXECUTION_THREADS)
        self._pool.setObjectName("executions")

    def submit(self, fn: Callable[[], None]) -> None:
        """Start `fn` in a thread of the pool."""
        self._pool.start(ExecutionTask(fn))

    def wait(self, seconds: float) -> bool:
        """Wait until all threads have ended; False when they have not. Never called on the UI thread."""
        return self._pool.waitForDone(round(seconds * 1000))


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, ready to be shown: what failed, what to do, then details.

    `field` is the configuration field that it is about; `value` what a person's yes would put there.
    """

    message: str
    remedy: str = ""
    kind: str = ""
    field: str = ""
    details: str = ""
    value: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Problem:
        """The problem that an error tells of. An error that is not ours keeps its class as a detail."""
        if isinstance(error, Cancelled):
            return cls("Cancelled.", kind="Cancelled")
        if isinstance(error, StrongroomError):
            cause = error.__cause__
            return cls(
                error.message,
                error.remedy,
                error.kind,
                error.field if isinstance(error, ConfigError | NeedsTrust) else "",
                f"{type(cause).__name__}: {cause}" if cause is not None else "",
                error.value if isinstance(error, NeedsTrust) else "",
            )
        _log.error("Unexpected error", exc_info=error)
        return cls(
            "Something went wrong inside Strongroom.",
            "Try again; if it stays, please report it with the details.",
            type(error).__name__,
            details=f"{type(error).__name__}: {error}",
        )


class _Call(QRunnable):
    def __init__(self, number: int, work: Callable[[], Any], back: Background) -> None:
        super().__init__()
        self._number, self._work, self._back = number, work, back

    def run(self) -> None:
        try:
            outcome: tuple[bool, Any] = (True, self._work())
        except BaseException as error:  # whatever it is, the view that waits must hear of it
            outcome = (False, error)
        if shiboken6.isValid(self._back):
            self._back._ended.emit(self._number, outcome)


@dataclass(frozen=True, slots=True)
class _Waiting:
    owner: QObject
    done: Callable[[Any], None]
    failed: Callable[[Problem], None]
    key: str


class Background(QObject):
    """Runs calls in threads and hands their results to the UI thread.

    A result whose owner is gone is dropped, and so is one that a later call of the same owner and
    `key` overtook: a view only ever sees the newest answer to a question.
    """

    _ended = Signal(int, object)
    busy_changed = Signal(int)
    problem = Signal(object)
    """A `Problem` that no caller wanted to show itself."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = QThreadPool()
        self._pool.setMaxThreadCount(CALL_THREADS)
        self._waiting: dict[int, _Waiting] = {}
        self._newest: dict[tuple[int, str], int] = {}
        self._next = 0
        self._ended.connect(self._deliver)

    def run(
        self,
        owner: QObject,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[Problem], None] | None = None,
        *,
        key: str = "",
    ) -> None:
        """Run `work` in a thread, then `done(result)` or `failed(problem)` here, while `owner` lives.

        Called on the UI thread. Without `failed`, the signal `problem` tells.
        """
        if QThread.currentThread() is not self.thread():
            raise RuntimeError("Background.run belongs to the UI thread")
        self._next += 1
        number = self._next
        self._waiting[number] = _Waiting(owner, done, failed or self.problem.emit, key)
        if key:
            self._newest[(id(owner), key)] = number
        self.busy_changed.emit(len(self._waiting))
        self._pool.start(_Call(number, work, self))

    @property
    def busy(self) -> int:
        """How many calls have not been answered."""
        return len(self._waiting)

    def wait(self, seconds: float) -> bool:
        """Wait for the threads at the very end, when no event loop runs any more."""
        return self._pool.waitForDone(round(seconds * 1000))

    @Slot(int, object)
    def _deliver(self, number: int, outcome: tuple[bool, Any]) -> None:
        waiting = self._waiting.pop(number)
        overtaken = False
        if waiting.key:
            newest = (id(waiting.owner), waiting.key)
            overtaken = self._newest.get(newest) != number
            if not overtaken:
                del self._newest[newest]
        self.busy_changed.emit(len(self._waiting))
        if overtaken or not shiboken6.isValid(waiting.owner):
            return
        fine, value = outcome
        if fine:
            waiting.done(value)
        else:
            waiting.failed(Problem.of(value))
