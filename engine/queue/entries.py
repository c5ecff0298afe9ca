"""The executions that this process queued, from their row in the store until the queue has done with them."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field

from engine.cancellation import CancelToken
from engine.errors import StrongroomError
from engine.queue.ownership import Lock
from engine.records import ExecutionKind, Job

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Entry:
    """One of them. `ready_at` and `deadline` are in seconds of the monotonic clock.

    It is `claimed` once its row is Running, and `performing` once a thread of the executor has taken it
    up. `failure` is why the store would not let it start.
    """

    id: str
    kind: ExecutionKind
    job: Job | None
    attempt: int
    first: str
    lock: Lock
    ready_at: float
    token: CancelToken = field(default_factory=CancelToken)
    claimed: bool = False
    performing: bool = False
    deadline: float | None = None
    failure: StrongroomError | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def stop(self, reason: str, failure: StrongroomError | None = None) -> None:
        """Cancel its token. A callback's trouble is logged: it is not that of whoever cancels."""
        try:
            self.token.cancel(reason, failure=failure)
        except Exception:
            _log.exception("stopping the execution %s met an error", self.id)

    @property
    def time_limit(self) -> int | None:
        """Seconds that its job allows it."""
        return self.job.options.time_limit if self.job is not None and self.kind == "run" else None


class Entries:
    """The set of them. `changed` is its lock, and is notified whenever something in it changes."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.stopped = False
        self._entries: dict[str, Entry] = {}

    def add(self, entry: Entry) -> None:
        """Take an entry in. The caller holds `changed`."""
        self._entries[entry.id] = entry
        self.changed.notify_all()

    def get(self, execution_id: str) -> Entry | None:
        """The entry of that execution, if this process has it."""
        with self.changed:
            return self._entries.get(execution_id)

    def all(self) -> list[Entry]:
        """All of them, in the order in which they were queued."""
        with self.changed:
            return list(self._entries.values())

    def waiting(self) -> list[Entry]:
        """Those that are not claimed yet."""
        with self.changed:
            return [entry for entry in self._entries.values() if not entry.claimed]

    def ready_runs(self) -> dict[str, Entry]:
        """The runs that are not claimed yet and need not wait for a time."""
        now = time.monotonic()
        return {entry.id: entry for entry in self.waiting() if entry.kind == "run" and entry.ready_at <= now}

    def begin(self, entry: Entry) -> bool:
        """A thread takes the entry up; False when it was cancelled before."""
        with self.changed:
            if entry.id not in self._entries:
                return False
            entry.performing = True
            if entry.time_limit is not None:
                entry.deadline = time.monotonic() + entry.time_limit
            return True

    def take_back(self, execution_id: str) -> Entry | None:
        """Take an entry out that is claimed, but that no thread has taken up."""
        with self.changed:
            entry = self._entries.get(execution_id)
            if entry is None or not entry.claimed or entry.performing:
                return None
            return self._entries.pop(execution_id)

    def drop(self, entry: Entry) -> None:
        """The queue has done with the entry: its lock is free, and who waits for it goes on."""
        try:
            entry.lock.release()
        finally:
            with self.changed:
                self._entries.pop(entry.id, None)
                entry.done.set()
                self.changed.notify_all()

    def stop(self) -> None:
        """Let the threads of the queue end."""
        with self.changed:
            self.stopped = True
            self.changed.notify_all()
