"""A job's own commands before and after a run: lines for a shell, on the source's host or on this machine.

`before` runs ahead of everything, so that it may start what the source needs (what it leaves in its own
process group ends with it); when it fails, so does the run. `after` runs once the run has been settled, in
every outcome, a cancel included.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from typing import Literal

from engine.cancellation import CancelToken
from engine.clock import iso
from engine.configuration.hosts import LOCAL
from engine.contract.hosts import Host
from engine.errors import Cancelled, StrongroomError, ToolFailed
from engine.events import LogLevel, LogType, Status
from engine.pipeline.context import RunnerContext

_KEPT = 16 << 10
"""Bytes of a command's output that the log keeps: its last ones."""


def run_before(ctx: RunnerContext) -> None:
    """Run the job's command before the run. Raises `ToolFailed` when it fails or takes too long."""
    if ctx.job.options.before:
        _run(ctx, "before", ctx.job.options.before, _facts(ctx), ctx.cancel)


def run_after(ctx: RunnerContext) -> None:
    """Run the job's command after the run. One that fails makes a successful run Partial, and says why."""
    if not ctx.job.options.after:
        return
    facts = {
        **_facts(ctx),
        "STRONGROOM_STATUS": str(ctx.status),
        "STRONGROOM_ERROR": ctx.error,
        "STRONGROOM_DATABASES": "\n".join(ctx.databases),
        "STRONGROOM_BYTES": str(sum(its.size or 0 for its in ctx.artifacts)),
    }
    try:
        # With a token of its own: after a cancel, too, what was stopped before a run is started again.
        _run(ctx, "after", ctx.job.options.after, facts, CancelToken())
    except (StrongroomError, Cancelled) as error:
        words = ctx.recorder.clean(str(error))
        if ctx.status is Status.SUCCESS:
            ctx.status = Status.PARTIAL
            ctx.error = f"Every backup is whole, but: {words}"
            ctx.error_kind = type(error).__name__
            ctx.remedy = error.remedy if isinstance(error, StrongroomError) else ""
        ctx.recorder.log(words, LogLevel.ERROR, LogType.COMMAND)


def _facts(ctx: RunnerContext) -> dict[str, str]:
    return {
        "STRONGROOM_JOB": ctx.job.name,
        "STRONGROOM_EXECUTION": ctx.execution.id,
        "STRONGROOM_SOURCE": ctx.job.source_name,
        "STRONGROOM_TRIGGER": ctx.execution.trigger,
        "STRONGROOM_STARTED_AT": iso(ctx.started_at),
    }


def _run(
    ctx: RunnerContext,
    when: Literal["before", "after"],
    line: str,
    facts: Mapping[str, str],
    cancel: CancelToken,
) -> None:
    limit = ctx.job.options.hook_time_limit
    with _host(ctx, cancel) as host:
        ctx.recorder.log(
            f"Running the command {when} the run on {host.name}.", type=LogType.COMMAND, details=line
        )
        try:
            # Both outputs in the order in which they came, as a terminal would show them.
            told = host.capture(["sh", "-c", f"exec 2>&1\n{line}"], env=facts, timeout=float(limit))
        except ToolFailed as error:
            late = "did not answer" in error.message
            raise ToolFailed(
                f"The command {when} the run "
                + (f"did not end within {limit} s." if late else "printed more than 16 MiB.")
                + " It was ended.",
                remedy="Look at what it waits for, or give it a longer hook_time_limit."
                if late
                else "Let it write that into a file.",
                exit_status=error.exit_status,
            ) from error
    output = told.stdout[-_KEPT:].decode("utf-8", "replace").strip()
    if told.exit_status != 0:
        last = output.rpartition("\n")[2]
        ctx.recorder.log(f"The command {when} the run failed.", LogLevel.ERROR, LogType.COMMAND, output)
        raise ToolFailed(
            f"The command {when} the run failed on {host.name} with exit status {told.exit_status}"
            + (f": {last}" if last else "."),
            remedy="Its output is in the log of this run.",
            exit_status=told.exit_status,
        )
    ctx.recorder.log(f"The command {when} the run is done.", type=LogType.COMMAND, details=output)


def _host(ctx: RunnerContext, cancel: CancelToken) -> AbstractContextManager[Host]:
    endpoints = ctx.services.endpoints
    source = endpoints.get("source", ctx.job.source_id)
    # Wherever it runs, a command may print what it has read of this job's logins.
    ctx.recorder.hide(*endpoints.secrets(source))
    for chosen in ctx.job.destinations:
        with suppress(StrongroomError):  # what is wrong with a destination is told when it is opened
            ctx.recorder.hide(*endpoints.secrets(endpoints.get("destination", chosen.destination_id)))
    return endpoints.open_host(source.host if ctx.job.options.hooks_on == "source" else LOCAL, cancel)
