"""What others use of the queue: enqueue, cancel, wait, settle, shut down."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from engine.clock import Clock, utc_now
from engine.errors import StrongroomError
from engine.events import EventSink, ExecutionFinished, ExecutionQueued, Status, no_events
from engine.queue.dispatcher import POLL, Dispatcher, Executor, Perform
from engine.queue.entries import Entries, Entry
from engine.queue.orphans import settle_if_dead
from engine.queue.ownership import Lock, Ownership
from engine.queue.watcher import Watcher
from engine.records import Execution, ExecutionKind, Job, Trigger

if TYPE_CHECKING:
    from engine.store.database import Store


class QueueManager:
    """Queues, starts, cancels and settles executions. Safe to use from any thread."""

    def __init__(
        self,
        store: Store,
        ownership: Ownership,
        executor: Executor,
        perform: Perform,
        *,
        emit: EventSink = no_events,
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self._ownership = ownership
        self._emit = emit
        self._clock = clock
        self._owner = f"{platform.node()}:{os.getpid()}"
        self._entries = Entries()
        self._dispatcher = Dispatcher(
            store,
            self._entries,
            executor,
            perform,
            settle_if_dead=self._settle_if_dead,
            retry=self._retry,
            emit=emit,
        )
        self._watcher = Watcher(store, self._entries, emit=emit)
        self._threads: list[threading.Thread] = []
        self._closed = False

    # -- queueing ------------------------------------------------------------------------------------

    def enqueue_run(
        self,
        job: Job,
        *,
        trigger: Trigger = "manual",
        reason: str = "",
        planned_at: datetime | None = None,
        planned_since: datetime | None = None,
        retry_of: str | None = None,
        attempt: int = 1,
        delay: float = 0.0,
    ) -> str:
        """Queue a run of `job`, to start in `delay` seconds at the earliest; return the execution's ID.

        Raises `SlotTaken` when the run planned for `planned_at` (UTC) was taken already or, with
        `planned_since`, when another one was taken for a time after that.
        """
        return self._enqueue(
            "run",
            job,
            delay,
            trigger=trigger,
            trigger_reason=reason,
            planned_at=planned_at,
            planned_since=planned_since,
            retry_of=retry_of,
            attempt=attempt,
        )

    def enqueue_other(
        self,
        kind: ExecutionKind,
        *,
        job: Job | None = None,
        labels: Mapping[str, Any] | None = None,
        trigger: Trigger = "manual",
        reason: str = "",
        planned_at: datetime | None = None,
        planned_since: datetime | None = None,
    ) -> str:
        """Start a restore, verification, drill or preview, which no limit holds; return its ID.

        A system task has no job; `planned_at` is then as for `enqueue_run`, by the task's kind.
        """
        if kind == "run":
            raise ValueError("runs are queued by enqueue_run")
        return self._enqueue(
            kind,
            job,
            0.0,
            trigger=trigger,
            trigger_reason=reason,
            planned_at=planned_at,
            planned_since=planned_since,
            labels=labels,
        )

    def _enqueue(self, kind: ExecutionKind, job: Job | None, delay: float, **columns: Any) -> str:
        self._refuse_when_closed()
        execution_id, lock = self._new_lock()
        try:
            execution = self._store.executions.add(
                execution_id,
                kind=kind,
                job_id=job.id if job else None,
                job_name=job.name if job else "",
                owner=self._owner,
                not_before=self._clock() + timedelta(seconds=delay) if delay > 0 else None,
                **columns,
            )
        except BaseException:
            lock.release()
            raise
        entry = Entry(
            id=execution.id,
            kind=kind,
            job=job,
            attempt=execution.attempt,
            first=execution.retry_of or execution.id,
            lock=lock,
            ready_at=time.monotonic() + delay,
        )
        self._emit(ExecutionQueued(execution.id, execution.job_name))
        with self._entries.changed:
            accepted = not self._closed
            if accepted:
                self._entries.add(entry)
                self._start_threads()
        if not accepted:
            self._give_back(entry)
            self._refuse_when_closed()
        return entry.id

    def _new_lock(self) -> tuple[str, Lock]:
        from engine.store.ids import new_id

        while True:
            execution_id = new_id()
            lock = self._ownership.take(execution_id)
            if lock is not None:  # None: a sweep of the lock files came between; another ID is free
                return execution_id, lock

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise StrongroomError("Strongroom is being closed, and starts nothing new.")

    def _start_threads(self) -> None:
        if self._threads:
            return
        for name, loop in (("dispatch", self._dispatcher.loop), ("watch", self._watcher.loop)):
            thread = threading.Thread(target=loop, name=f"strongroom-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _retry(self, entry: Entry) -> None:
        """Queue the next attempt of a run that failed, if its job (as it is now) has one left."""
        if entry.kind != "run" or entry.job is None or self._closed:
            return
        ended = self._store.executions.get(entry.id)
        job = self._store.jobs.find(entry.job.id)
        if ended.status is not Status.FAILED or job is None or entry.attempt > job.options.retries:
            return
        self.enqueue_run(
            job,
            trigger="retry",
            reason=f"Retry {entry.attempt} of {job.options.retries}, after: {ended.error or 'a failure'}",
            retry_of=entry.first,
            attempt=entry.attempt + 1,
            delay=job.options.retry_wait,
        )

    # -- asking --------------------------------------------------------------------------------------

    def cancel(self, execution_id: str, *, reason: str = "cancelled") -> bool:
        """Ask an execution to stop, whichever process has it; False when it is over already.

        One that waits is Cancelled at once; one that runs in another process is stopped by that process
        within a second. Raises `NotFound`.
        """
        execution = self._store.executions.get(execution_id)
        unstarted = self._entries.take_back(execution.id)
        if unstarted is not None:
            self._dispatcher.end(unstarted, Status.CANCELLED, reason, "Cancelled")
            return True
        entry = self._entries.get(execution.id)
        if execution.status is Status.PENDING and self._cancel_waiting(execution.id, reason):
            if entry is not None:
                self._entries.drop(entry)
            return True
        if entry is not None:
            entry.stop(reason)
            return True
        if self._store.claims.request_cancel(execution.id) is not Status.RUNNING:
            return False
        self._settle_if_dead(execution.id)
        return True

    def _cancel_waiting(self, execution_id: str, reason: str, *, free_slot: bool = False) -> bool:
        settled = self._store.executions.settle(
            execution_id,
            Status.CANCELLED,
            error=reason,
            error_kind="Cancelled",
            only_if=(Status.PENDING,),
            free_slot=free_slot,
        )
        if settled is None:
            return False  # it was claimed just now, or is over
        self._emit(ExecutionFinished(execution_id, Status.CANCELLED, reason))
        return True

    def wait(self, execution_id: str, timeout: float | None = None) -> Execution:
        """Wait up to `timeout` seconds until an execution is over and nobody works on it any more.

        One whose process died is settled, so that nobody waits for ever. Raises `TimeoutError`,
        `NotFound`, and `StoreError` when the store would not let it start.
        """
        execution_id = self._store.executions.get(execution_id).id
        until = time.monotonic() + (timeout if timeout is not None else threading.TIMEOUT_MAX)
        entry = self._entries.get(execution_id)
        if entry is not None:
            if not entry.done.wait(timeout):
                raise TimeoutError(f"the execution {execution_id} goes on")
            if entry.failure is not None:
                raise entry.failure
            return self._store.executions.get(execution_id)
        while True:
            execution = self._store.executions.get(execution_id)
            if execution.status.ended and self._ownership.is_free(execution_id):
                return execution
            if not execution.status.ended and self._settle_if_dead(execution_id) is not None:
                continue
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"the execution {execution_id} goes on")
            time.sleep(min(POLL, left))

    def next_attempt(self, execution_id: str) -> str | None:
        """The execution that retries this one after its failure, or None. Ask after `wait`."""
        return self._store.executions.next_attempt(execution_id)

    def is_own(self, execution_id: str) -> bool:
        """Whether this process has the execution, waiting or at work."""
        return self._entries.get(execution_id) is not None

    def settle_orphans(self) -> list[Execution]:
        """Settle what no living process has any more, and only that; return what was settled."""
        at_work = self._store.claims.at_work()
        settled = [
            dead
            for execution in at_work
            if not self.is_own(execution.id) and (dead := self._settle_if_dead(execution.id)) is not None
        ]
        self._ownership.sweep({execution.id for execution in at_work})
        return settled

    def _settle_if_dead(self, execution_id: str) -> Execution | None:
        return settle_if_dead(self._store, self._ownership, execution_id, emit=self._emit, clock=self._clock)

    # -- the end -------------------------------------------------------------------------------------

    def shutdown(self, *, cancel: bool = False) -> None:
        """Take nothing new, and return when nothing of this process runs any more.

        Without `cancel`, what runs or waits for its turn is waited for; with it, what runs is cancelled.
        What then has not started is cancelled, as are retries that are not due; a planned run among
        them gives its planned time back, so that whichever process is next catches it up.
        """
        with self._entries.changed:
            self._closed = True
        entries = self._entries.all()
        for entry in entries:
            if cancel or (not entry.claimed and entry.ready_at > time.monotonic()):
                self._give_back(entry)
        for entry in entries:
            entry.done.wait()
        self._entries.stop()
        for thread in self._threads:
            thread.join()

    def _give_back(self, entry: Entry) -> None:
        reason = "Strongroom was closed"
        if self._cancel_waiting(entry.id, reason, free_slot=True):
            self._entries.drop(entry)
        else:
            self.cancel(entry.id, reason=reason)
