"""How a command comes to the workspace: opened for as long as the command lasts, crashes settled first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.cli.output import Output
    from engine.workspace import Workspace


@contextmanager
def workspace(out: Output, *, working: bool = False) -> Iterator[Workspace]:
    """The installation of this environment.

    What a crash left Running is settled first, so that no command shows or waits for what nobody runs;
    a command that is about to start executions (`working`) also cleans up after the crash.
    """
    from engine.workspace import Workspace

    with Workspace.open() as opened:
        settled = opened.settle() if working else opened.queue.settle_orphans()
        for execution in settled:
            name = f" of {execution.job_name}" if execution.job_name else ""
            out.warn(f"the {execution.kind}{name} (#{execution.seq}) had died, and counts as failed now")
        yield opened
