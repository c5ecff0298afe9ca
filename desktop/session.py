"""The window's one way to the engine: it opens the `Workspace` in a thread and asks it in threads.

No view holds a `Workspace`. It hands `ask` a function and gets the answer later, on the UI thread.
Twice a second it looks, in a thread, at what is active, so that runs of other processes show too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakSet

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from desktop.bridge import EventBridge, LiveRuns
from desktop.snapshot import Beat, Snapshot, read_beat, read_snapshot
from desktop.worker import Background, Problem, QtExecutor
from engine.cancellation import CancelToken
from engine.contract.registry import Registry
from engine.errors import Cancelled

if TYPE_CHECKING:
    from engine.workspace import Workspace

_log = logging.getLogger("strongroom.desktop")
T = TypeVar("T")
Opener = Callable[[QtExecutor], "Workspace"]

BEAT_MS = 500
BEATS_A_REFRESH = 10
"""What other processes changed without running anything (`strongroom apply`) shows after so many beats."""


class Session(QObject):
    """An installation as the window sees it."""

    ready = Signal()
    failed = Signal(object)
    """The installation could not be opened: a `Problem`."""
    problem = Signal(object)
    """A `Problem` that the asker did not want to show itself."""
    snapshot_changed = Signal(object)
    active_changed = Signal(object)
    """The active executions as the store tells them, twice a second while there are any."""
    said = Signal(str)
    """A word for whoever looks at the window, from what nobody waits for any more."""
    closed = Signal()

    def __init__(self, opener: Opener, *, scheduled: bool = True, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._opener = opener
        self._scheduled = scheduled
        self._workspace: Workspace | None = None
        self.background = Background(self)
        self.background.problem.connect(self.problem)
        self.executor = QtExecutor()
        self.bridge = EventBridge(self)
        self.live = LiveRuns(self.bridge)
        self.snapshot = Snapshot()
        self.registry = Registry()
        self._beat = Beat()
        self._beats = 0
        self._looking = False
        self._blind = False
        self._closing = False
        self._tokens: WeakSet[CancelToken] = WeakSet()
        self._timer = QTimer(self)
        self._timer.setInterval(BEAT_MS)
        self._timer.timeout.connect(self._look)
        self.live.queued.connect(self.refresh)
        self.live.started.connect(self.refresh)
        self.live.finished.connect(self.refresh)

    @property
    def is_open(self) -> bool:
        """Whether the installation is open, and is not being closed."""
        return self._workspace is not None and not self._closing

    # ------------------------------------------------------------------------------- open, close

    def open(self) -> None:
        """Open the installation in a thread; `ready` or `failed` tells."""

        def work() -> tuple[Workspace, Registry, Snapshot]:
            workspace = self._opener(self.executor)
            try:
                workspace.events.subscribe(self.bridge.sink)
                registry = workspace.registry
                if self._closing:
                    raise Cancelled("the window was closed while it opened")
                return workspace, registry, read_snapshot(workspace)
            except BaseException:
                workspace.close()
                raise

        self.background.run(self, work, self._opened, self.failed.emit)

    def _opened(self, answer: tuple[Workspace, Registry, Snapshot]) -> None:
        self._workspace, self.registry, snapshot = answer
        self.ready.emit()
        self._show(snapshot)
        self._timer.start()
        self.ask(self, _begin_with_schedule if self._scheduled else _begin, self._begun)

    def _begun(self, settled: int) -> None:
        if settled:
            self.refresh()

    def close(self, *, cancel: bool) -> None:
        """Wait for what runs (or cancel it) and close, in a thread; `closed` tells."""
        if self._closing:
            if cancel:
                self.cancel_all()
            return
        self._closing = True
        self._timer.stop()
        self._stop_looking()
        workspace = self._workspace
        if workspace is None:
            QTimer.singleShot(0, self.closed.emit)  # not from within the window's own closing
            return

        def work() -> None:
            if "scheduler" in vars(workspace):
                workspace.scheduler.stop()
            workspace.close(cancel=cancel)

        self.background.run(self, work, lambda _: self._closed(), lambda _: self._closed())

    def _closed(self) -> None:
        self._stop_looking()  # what was begun while a run was waited for
        self.closed.emit()

    def token(self) -> CancelToken:
        """A token for work that only looks at something: closing the window ends it.

        A server that takes a connection and says nothing would keep the process alive for minutes.
        """
        token = CancelToken()
        self._tokens.add(token)
        return token

    def _stop_looking(self) -> None:
        for token in list(self._tokens):
            try:
                token.cancel("the window was closed")
            except Exception:  # of what stops an adapter: it must not keep the window open
                _log.debug("stopping a look met an error", exc_info=True)

    def cancel_all(self) -> None:
        """Cancel all that this process runs, also while it is being waited for."""
        for run in self.live.active():
            self.cancel(run.id)

    # ------------------------------------------------------------------------------------- asking

    def ask(
        self,
        owner: QObject,
        work: Callable[[Workspace], T],
        done: Callable[[T], None],
        failed: Callable[[Problem], None] | None = None,
        *,
        key: str = "",
    ) -> None:
        """Run `work` with the workspace in a thread, then `done` or `failed` here, while `owner` lives."""
        workspace = self._workspace
        if workspace is None:
            return
        self.background.run(owner, lambda: work(workspace), done, failed, key=key)

    def cancel(self, execution_id: str) -> None:
        """Ask an execution to stop, whichever process runs it."""
        self.ask(self, lambda workspace: workspace.cancel(execution_id), lambda _: None)

    def run_job(
        self,
        job_id: str,
        started: Callable[[str], None] | None = None,
        failed: Callable[[Problem], None] | None = None,
    ) -> None:
        """Queue a run of a job; `started` gets the execution's ID."""
        self.ask(self, lambda workspace: workspace.run_job(job_id), started or (lambda _: None), failed)

    @Slot()
    def refresh(self) -> None:
        """Read the lists anew; `snapshot_changed` tells."""
        if self.is_open:
            self.ask(self, read_snapshot, self._show, key="snapshot")

    def _show(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.snapshot_changed.emit(snapshot)

    # ----------------------------------------------------------------------------- other processes

    def _look(self) -> None:
        if not self.is_open or self._looking:
            return
        self._looking = True
        self.ask(self, read_beat, self._looked, self._could_not_look)

    def _looked(self, beat: Beat) -> None:
        self._looking = self._blind = False
        before, self._beat = self._beat, beat
        self._beats += 1
        if not beat.same_runs(before) or self._beats % BEATS_A_REFRESH == 0:
            self.refresh()
        if beat.active or before.active:
            self.active_changed.emit(beat.active)

    def _could_not_look(self, problem: Problem) -> None:
        self._looking = False
        if not self._closing and not self._blind:  # said once, not twice a second
            self._blind = True
            self.problem.emit(problem)


def _begin(workspace: Workspace) -> int:
    """Settle what a crash left behind; how many executions that were."""
    return len(workspace.settle())


def _begin_with_schedule(workspace: Workspace) -> int:
    workspace.scheduler.start()
    return _begin(workspace)
