"""Starts what is next: claims it in the store, hands it to the executor, sees to its end whatever happens."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from engine.cancellation import CancelToken
from engine.errors import BUG, Cancelled, StrongroomError
from engine.events import EventSink, ExecutionFinished, Status
from engine.queue.entries import Entries, Entry
from engine.records import Execution

if TYPE_CHECKING:
    from engine.store.database import Store

_log = logging.getLogger(__name__)

POLL = 0.25
"""Seconds between two looks at what other processes did, while something here waits for its turn."""
PATIENCE = 3
"""How often the store may fail in a row before what waits is given up."""

Perform = Callable[[str, CancelToken], None]
"""Does the work of a claimed execution and writes its outcome (`executions.finish`)."""


class Executor(Protocol):
    """Whatever runs whole executions on threads: the desktop's QThreadPool, the agent's thread pool."""

    def submit(self, work: Callable[[], None], /) -> object:
        """Run `work` on a thread, sooner or later. `work` never raises."""
        ...


class Dispatcher:
    """Claims and starts. `loop` is its thread; `settle_if_dead` clears what stands in the way."""

    def __init__(
        self,
        store: Store,
        entries: Entries,
        executor: Executor,
        perform: Perform,
        *,
        settle_if_dead: Callable[[str], Execution | None],
        retry: Callable[[Entry], None],
        emit: EventSink,
    ) -> None:
        self._store = store
        self._entries = entries
        self._executor = executor
        self._perform = perform
        self._settle_if_dead = settle_if_dead
        self._retry = retry
        self._emit = emit
        self._failures = 0

    def loop(self) -> None:
        """Start what may start until the queue is stopped; asleep while nothing waits."""
        while True:
            with self._entries.changed:
                if self._entries.stopped:
                    return
                due = [entry.ready_at for entry in self._entries.waiting()]
                pause = min(due) - time.monotonic() if due else None
                if pause is None or pause > 0:
                    self._entries.changed.wait(pause)
                    continue
            try:
                self.start_all()
                self._failures = 0
            except Exception as error:  # the queue outlives whatever the store says
                _log.warning("the queue could not look at the store: %s", error)
                self._give_up_after(error)
            with self._entries.changed:
                if self._entries.waiting() and not self._entries.stopped:
                    self._entries.changed.wait(POLL)

    def start_all(self) -> None:
        """Start all that may start now."""
        for entry in self._entries.waiting():
            if entry.kind != "run" and self._store.claims.start(entry.id) is not None:
                self._submit(entry)
        while ready := self._entries.ready_runs():
            claim = self._store.claims.next_run(ready.keys())
            if claim.claimed is not None:
                self._submit(ready[claim.claimed.id])
            elif not self._clear(claim.waits_for):
                break

    def _clear(self, waits_for: tuple[str, ...]) -> bool:
        """Whether something that stood in the way turned out to be dead."""
        strangers = [its for its in waits_for if self._entries.get(its) is None]
        return any(self._settle_if_dead(its) is not None for its in strangers)

    def _submit(self, entry: Entry) -> None:
        with self._entries.changed:
            entry.claimed = True
        try:
            self._executor.submit(lambda: self._work(entry))
        except Exception as error:  # an executor that was shut down
            if self._entries.take_back(entry.id) is not None:
                said = f"The executor did not take it: {error}"
                self.end(entry, Status.FAILED, said, type(error).__name__)

    def _give_up_after(self, error: Exception) -> None:
        self._failures += 1
        if self._failures < PATIENCE:
            return
        self._failures = 0
        for entry in self._entries.waiting():
            # Its row stays Pending and its lock is free: whoever looks next settles it.
            entry.failure = error if isinstance(error, StrongroomError) else StrongroomError(str(error))
            self._entries.drop(entry)

    # -- the work, on a thread of the executor -------------------------------------------------------

    def _work(self, entry: Entry) -> None:
        if not self._entries.begin(entry):
            return  # cancelled before a thread was free for it
        try:
            settled = self._outcome(entry)
            if settled is not None:
                error, remedy = settled.error or "", settled.remedy or ""
                self._emit(ExecutionFinished(entry.id, settled.status, error, remedy))
            self._store.claims.release(entry.id)
            self._retry(entry)
        except Exception:  # the store is gone: with the lock free, the next look settles the row
            _log.exception("the execution %s could not be settled", entry.id)
        finally:
            self._entries.drop(entry)

    def _outcome(self, entry: Entry) -> Execution | None:
        """Perform the execution; settle and return it if that did not write an outcome itself."""
        settle = self._store.executions.settle
        try:
            entry.token.raise_if_cancelled()
            self._perform(entry.id, entry.token)
        except Cancelled as cancelled:
            said = str(cancelled) or "cancelled"
            settled = settle(entry.id, Status.CANCELLED, error=said, error_kind="Cancelled")
        except BaseException as error:  # whatever it was, the execution ends, and says why
            _log.exception("the execution %s failed outside of its steps", entry.id)
            said = str(error) or type(error).__name__
            remedy = error.remedy if isinstance(error, StrongroomError) else BUG
            settled = settle(
                entry.id, Status.FAILED, error=said, error_kind=type(error).__name__, remedy=remedy
            )
        else:
            said = "It ended without an outcome."
            settled = settle(entry.id, Status.FAILED, error=said, error_kind="RuntimeError")
        failure = entry.token.failure
        if failure is not None:
            # Stopped by its time limit: it has failed, also where its steps saw a cancel.
            failed = settle(
                entry.id,
                Status.FAILED,
                error=failure.message,
                error_kind=failure.kind,
                remedy=failure.remedy,
                only_if=(Status.CANCELLED,),
            )
            settled = failed or settled
        return settled

    def end(self, entry: Entry, status: Status, error: str, kind: str) -> None:
        """Settle what was claimed and that no thread took up."""
        try:
            if self._store.executions.settle(entry.id, status, error=error, error_kind=kind) is not None:
                self._emit(ExecutionFinished(entry.id, status, error))
        finally:
            self._entries.drop(entry)
