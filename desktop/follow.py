"""Follows one execution, whichever process runs it, and hands its page one `LiveRun` after another.

An execution of this process comes by events; one of another process, or one that ended before, comes
from the store, twice a second while it is active.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, Signal, Slot

from desktop.live import LiveRun, from_record
from desktop.session import Session
from desktop.worker import Problem
from engine.events import LogEntry
from engine.records import Execution, StoredLogEntry


class Follower(QObject):
    """One page's view of one execution."""

    run_changed = Signal(object)
    """A `LiveRun`: everything but the log may have changed."""
    log_shown = Signal(object)
    """The whole log so far."""
    log_added = Signal(object)
    """New lines, as a list."""
    record_read = Signal(object)
    """The `Execution` as the store has it."""
    missing = Signal(object)

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._id = ""
        self._record: Execution | None = None
        self._log: list[LogEntry] = []
        self._after = 0
        session.live.changed.connect(self._live_changed)
        session.live.logged.connect(self._live_logged)
        session.live.finished.connect(self._live_finished)
        session.active_changed.connect(self._active_changed)

    @property
    def execution_id(self) -> str:
        """What is followed; empty for nothing."""
        return self._id

    def follow(self, execution_id: str) -> None:
        """Follow this execution from now on; an empty ID follows none."""
        if execution_id == self._id:
            return
        self._id, self._record, self._log, self._after = execution_id, None, [], 0
        if not execution_id:
            return
        live = self._session.live.get(execution_id)
        if live is not None:
            self.log_shown.emit(list(live.log))
            self.run_changed.emit(live)
        self._read()

    def _live(self) -> LiveRun | None:
        return self._session.live.get(self._id) if self._id else None

    # ------------------------------------------------------------------------------ this process

    @Slot(str)
    def _live_changed(self, execution_id: str) -> None:
        if execution_id == self._id and (live := self._live()) is not None:
            if self._record is not None:
                live.kind = self._record.kind
            self.run_changed.emit(live)

    @Slot(str, object)
    def _live_logged(self, execution_id: str, entry: LogEntry) -> None:
        if execution_id == self._id:
            self.log_added.emit([entry])

    @Slot(str, object)
    def _live_finished(self, execution_id: str, event: object) -> None:
        if execution_id == self._id:
            self._read()

    # ---------------------------------------------------------------------- the store, in a thread

    def _read(self) -> None:
        its, after = self._id, self._after
        self._session.ask(
            self,
            lambda workspace: (workspace.store.executions.get(its), workspace.store.logs.list(its, after)),
            self._was_read,
            self._was_not_read,
            key="follow",
        )

    def _was_read(self, answer: tuple[Execution, Sequence[StoredLogEntry]]) -> None:
        record, lines = answer
        if record.id != self._id:
            return
        self._record = record
        self.record_read.emit(record)
        live = self._live()
        if live is not None:
            live.kind = record.kind
            if record.status.ended:
                live.settle(record)
            self.run_changed.emit(live)
            return
        first = self._after == 0
        new = [line.entry for line in lines if line.id > self._after]
        if lines:
            self._after = max(self._after, lines[-1].id)
        self._log.extend(new)
        if first:
            self.log_shown.emit(list(self._log))
        elif new:
            self.log_added.emit(new)
        job = self._session.snapshot.job(record.job_id or "")
        names = [its.name for its in job.destinations] if job is not None else []
        self.run_changed.emit(from_record(record, self._log, names))

    def _was_not_read(self, problem: Problem) -> None:
        self.missing.emit(problem)

    @Slot(object)
    def _active_changed(self, active: Sequence[Execution]) -> None:
        if not self._id or self._live() is not None:
            return
        over = self._record is not None and self._record.status.ended
        if not over:
            self._read()
