"""Start an execution and stay with it to its end: its progress shown, Ctrl-C turned into a cancel."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from engine.cancellation import CancelToken
from engine.cli.output import ExitCode, Output
from engine.cli.progress import ProgressView
from engine.clock import utc_now
from engine.events import Status
from engine.records import Execution
from engine.units import span_text

if TYPE_CHECKING:
    from engine.workspace import Workspace

T = TypeVar("T")

PATIENCE = 1.0
"""Seconds after which a person is told what an execution waits for."""
LEAVE_WITHIN = 2.0
"""Seconds after the third Ctrl-C in which the process is gone, whatever hangs."""
LOOK = 0.2
"""Seconds between two looks at whether somebody pressed Ctrl-C; the end itself is noticed at once."""


class Interruptions:
    """How often somebody asked to stop. A handler only counts: it may run in the middle of anything."""

    def __init__(self) -> None:
        self.count = 0
        self.event = threading.Event()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        self.event.set()
        if self.count > 2:
            # Leaving waits for threads, and one that the system itself holds up never ends.
            end = threading.Timer(LEAVE_WITHIN, os._exit, (int(ExitCode.CANCELLED),))
            end.daemon = True
            end.start()
            raise KeyboardInterrupt("stopped without waiting for the clean-up; the next command does it")


@contextmanager
def interruptions() -> Iterator[Interruptions]:
    """Count SIGINT, SIGTERM and SIGHUP while the block runs, instead of dying of them.

    A signal that whoever started us has ignored stays ignored: `nohup`, and a shell's `&`, mean it.
    """
    stop = Interruptions()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may choose what a signal does
        return
    before: dict[int, Any] = {}
    try:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, stop)
        yield stop
    finally:
        for chosen, handler in before.items():
            signal.signal(chosen, handler)


def follow(
    workspace: Workspace,
    start: Callable[[], str],
    out: Output,
    *,
    verbose: bool = False,
    quiet: bool = False,
) -> Execution:
    """Start what `start` starts, show its progress, and return the execution when it has ended.

    A run that failed and that its job tries again is followed through its retries: the last one counts.
    `verbose` writes every log line on a terminal too; `quiet` only warnings and errors, anywhere.
    """
    with interruptions() as stop, ProgressView(out, verbose=verbose, quiet=quiet) as view:
        unsubscribe = workspace.events.subscribe(view.handle)
        try:
            execution_id = start()
            while True:
                view.watch(execution_id)
                execution = _until_it_ends(workspace, execution_id, stop, out)
                retry = _retry_of(workspace, execution)
                if retry is None:
                    return execution
                wait = f" in {span_text(job_wait)}" if (job_wait := _seconds_until(retry)) else ""
                out.log(f"Failed: {execution.error} It is tried again{wait}.", color="yellow")
                execution_id = retry.id
        finally:
            unsubscribe()


def _until_it_ends(workspace: Workspace, execution_id: str, stop: Interruptions, out: Output) -> Execution:
    asked = waiting_said = False
    begun = time.monotonic()
    while True:
        try:
            return workspace.wait(execution_id, LOOK)
        except TimeoutError:
            if stop.count and not asked:
                asked = True
                out.log("Cancelling; what was written is being removed.", color="yellow")
                workspace.cancel(execution_id)
            if not waiting_said and time.monotonic() - begun > PATIENCE:
                waiting_said = True
                _say_what_it_waits_for(workspace, execution_id, out)


def _say_what_it_waits_for(workspace: Workspace, execution_id: str, out: Output) -> None:
    execution = workspace.store.executions.get(execution_id)
    if execution.status is not Status.PENDING or execution.not_before is not None:
        return
    running = [its for its in workspace.store.executions.active() if its.status is Status.RUNNING]
    names = ", ".join(f"{its.job_name or its.kind} (#{its.seq})" for its in running)
    out.log(f"It waits for its turn{f' behind {names}' if names else ''}.")


def _seconds_until(retry: Execution) -> float:
    return 0.0 if retry.not_before is None else max(0.0, (retry.not_before - utc_now()).total_seconds())


def _retry_of(workspace: Workspace, execution: Execution) -> Execution | None:
    """The execution that tries a failed run again; None for one that stays as it is."""
    if execution.kind != "run" or execution.status is not Status.FAILED:
        return None
    retry = workspace.queue.next_attempt(execution.id)
    return None if retry is None else workspace.store.executions.get(retry)


def cancellable(work: Callable[[CancelToken], T]) -> T:
    """Do work that is no execution on a thread of its own, so that Ctrl-C can cancel its token.

    A signal's handler runs in the main thread, in the middle of anything: were the work there too,
    the cancel could wait for a lock that the work itself holds.
    """
    token = CancelToken()
    done: list[T] = []
    failed: list[BaseException] = []

    def worker() -> None:
        try:
            done.append(work(token))
        except BaseException as error:  # handed on to the main thread, whatever it is
            failed.append(error)

    with interruptions() as stop:
        thread = threading.Thread(target=worker, name="strongroom-work", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(LOOK)
            if stop.count and not token.cancelled:
                token.cancel()
    if failed:
        raise failed[0]
    return done[0]
