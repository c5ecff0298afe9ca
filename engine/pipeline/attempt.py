"""One piece of work at a destination, on a thread of its own, watched by whoever asked for it.

A storage may hang: a dead network, a disk that does not answer. So nobody waits for it unwatched: without a
sign of life it is told to stop, by a cancel token of its own; and what does not come back then is left
alone. The run goes on, whatever a destination does.

    upload (a thread of the fanout)  ->  Attempt  ->  the adapter (the attempt's thread)
                                     <-  result, error, or `abandoned`
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from engine.cancellation import CancelToken
from engine.contract.adapters import Log, no_log
from engine.contract.checked_storage import CheckedStorage
from engine.errors import Cancelled, StorageError, StrongroomError
from engine.events import LogLevel, LogType
from engine.units import span_text

if TYPE_CHECKING:
    from engine.configuration.opening import StorageOpener

T = TypeVar("T")
_log = logging.getLogger(__name__)

GRACE = 2.5
"""Seconds in which what was told to stop has to come back; an adapter is asked to do so within two."""


class Attempt(Generic[T]):
    """Work that is watched. Made for one call of `run` or `at`.

    The work looks at `token`; `alive` is its sign of life, and `waiting` says that it is not the storage
    that is waited for. An `abandoned` attempt was told to stop and has not come back: its thread may still
    be at work, and whatever it does later must do no harm.
    """

    def __init__(
        self,
        run: CancelToken,
        *,
        patience: float = math.inf,
        limit: float = math.inf,
        linger: float = 0.0,
        grace: float | None = None,
    ) -> None:
        """It is stopped `linger` seconds after a cancel of the `run`, after `patience` seconds without a
        sign of life, and after `limit` seconds in all; and is left alone `grace` seconds after that."""
        self.token = CancelToken()
        self.abandoned = False
        self._run = run
        self._patience, self._limit = patience, limit
        self._linger, self._grace = linger, GRACE if grace is None else grace
        self._changed = threading.Condition()
        self._begun = self._sign = 0.0
        self._waits = 0
        self._stopped_at: float | None = None
        self._failure: StorageError | None = None
        self._ended = False
        self._results: list[T] = []
        self._error: BaseException | None = None

    # -- for the work --------------------------------------------------------------------------------

    def alive(self, moved: int = 0) -> None:
        """A sign of life; `moved` bytes are the adapter's to tell, and nobody's to need."""
        self._sign = time.monotonic()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The block waits for somebody else, such as the dump: meanwhile no sign of life is expected."""
        with self._changed:
            self._waits += 1
        try:
            yield
        finally:
            with self._changed:
                self._waits -= 1
                self._sign = time.monotonic()

    # -- for whoever asks for it ---------------------------------------------------------------------

    def at(self, opener: StorageOpener, work: Callable[[CheckedStorage], T], log: Log = no_log) -> T:
        """`run` with a storage that is opened for this alone."""

        def heard(message: str, level: LogLevel, type: LogType, details: str) -> None:
            if not self.abandoned:
                log(message, level, type, details)

        def opened() -> T:
            with opener.open(cancel=self.token, log=heard, alive=self.alive) as storage:
                return work(storage)

        return self.run(opened)

    def run(self, work: Callable[[], T]) -> T:
        """Do the work; return what it returns, and raise what it raises.

        Raises `Cancelled` when the run is cancelled, and a transient `StorageError` when the work was
        stopped for want of life. One that was abandoned raises the same, but not as transient.
        """
        self._begun = self._sign = time.monotonic()
        threading.Thread(target=self._perform, args=(work,), name="strongroom-attempt", daemon=True).start()
        with self._run.calling(self._wake):
            self._watch()
        return self._outcome()

    def _perform(self, work: Callable[[], T]) -> None:
        try:
            self._results.append(work())
        except BaseException as error:  # handed to whoever waits, whatever it is
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _watch(self) -> None:
        """Wait for the end of the work; stop it when that is due, and give it up when it does not stop."""
        with self._changed:
            while not self._ended:
                now = time.monotonic()
                due = self._stop_if_due(now) if self._stopped_at is None else None
                if self._stopped_at is not None:
                    due = self._stopped_at + self._grace
                    if now >= due:
                        self.abandoned = True
                        return
                self._changed.wait(None if due is None or math.isinf(due) else due - now)

    def _stop_if_due(self, now: float) -> float:
        """Stop the work when that is due, else return when to look again.

        A sign of life in the meantime only moves that further away, so it need not wake anybody up.
        """
        cancelled = self._run.cancelled_at
        last = now if self._waits else self._sign
        if cancelled is not None and now >= cancelled + self._linger:
            self._stop(now, None)
        elif now >= self._begun + self._limit:
            self._stop(now, _slow(f"It was not done in {span_text(self._limit)}"))
        elif now >= last + self._patience:
            self._stop(now, _slow(f"There was no progress for {span_text(self._patience)}"))
        dues = [self._begun + self._limit, last + self._patience]
        if cancelled is not None:
            dues.append(cancelled + self._linger)
        return min(dues)

    def _stop(self, now: float, failure: StorageError | None) -> None:
        self._stopped_at, self._failure = now, failure
        reason = failure.message if failure is not None else self._run.reason
        # On a thread of its own: what an adapter does when it is cancelled may hang as well.
        threading.Thread(
            target=_cancel, args=(self.token, reason, failure), name="strongroom-stop", daemon=True
        ).start()

    def _outcome(self) -> T:
        if self._results:
            return self._results[0]  # what is done is done, though it was told to stop in that moment
        cause = self._error
        if self._failure is not None:
            if self.abandoned:
                raise StorageError(
                    f"{self._failure.message}, and it could not be stopped", remedy=self._failure.remedy
                ) from cause
            raise self._failure from cause
        if self._stopped_at is not None or (self._run.cancelled and not self._linger):
            raise Cancelled(self._run.reason) from cause
        if isinstance(cause, Cancelled):
            raise StrongroomError("It was stopped by itself, though nobody had asked for that.") from cause
        assert cause is not None  # noqa: S101 - it has ended, and without a result
        raise cause


def _slow(message: str) -> StorageError:
    remedy = "Look at the connection and at the server; test the destination."
    return StorageError(message, remedy=remedy, transient=True)


def _cancel(token: CancelToken, reason: str, failure: StrongroomError | None) -> None:
    try:
        token.cancel(reason, failure=failure)
    except Exception as error:  # of a callback: the storage is being left anyhow
        _log.debug("stopping a storage met an error: %s", error)
