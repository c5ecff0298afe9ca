"""Retention, the last step: at each destination that received and verified a backup in this same run.

It runs after the status was settled, and changes none: an error in here is logged, and is an event of
its own that people are told of.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from engine.errors import Cancelled, StorageError
from engine.events import LogLevel, LogType, RetentionFinished, Stage, Status
from engine.pipeline.attempt import Attempt
from engine.pipeline.context import DestinationContext, RunnerContext
from engine.pipeline.outcome import destination_status
from engine.retaining import Retained, retain_at
from engine.units import counted


def retain(ctx: RunnerContext) -> None:
    """Apply each destination's own retention, or log why it is skipped. Never raises.

    They do not wait for each other, and one that hangs is left alone.
    """
    with ctx.recorder.stage(Stage.RETENTION):
        chosen = []
        for destination in ctx.destinations:
            reason = _skipped(ctx, destination)
            if reason is None:
                chosen.append(destination)
            elif reason:
                ctx.recorder.log(f"[{destination.name}] Retention skipped: {reason}.", type=LogType.STORAGE)
        if not chosen:
            return
        with ThreadPoolExecutor(len(chosen), thread_name_prefix="strongroom-retention") as pool:
            done = [its for its in pool.map(lambda destination: _retain(ctx, destination), chosen) if its]
        problems = {its.destination: its.problem for its in done if its.problem}
        if problems:
            ctx.services.notify_retention(ctx.job, problems, ctx.recorder)


def _retain(ctx: RunnerContext, destination: DestinationContext) -> Retained | None:
    """What was done there; None when the run was cancelled over it."""
    attempt = Attempt[Retained](ctx.cancel, patience=ctx.job.options.stall_after)
    try:
        done = attempt.run(
            lambda: retain_at(
                ctx.services,
                ctx.job,
                destination.endpoint,
                destination.retention,
                log=ctx.recorder.logger(Stage.RETENTION),
                expect=ctx.set_id,
                cancel=attempt.token,
                alive=attempt.alive,
            )
        )
    except Cancelled:
        ctx.recorder.log(
            f"[{destination.name}] Retention was stopped: {ctx.cancel.reason}.",
            LogLevel.WARNING,
            LogType.STORAGE,
        )
        return None
    except StorageError as error:
        done = Retained(destination.name, None, error=error.message)
    _say(ctx, done)
    return done


def _skipped(ctx: RunnerContext, destination: DestinationContext) -> str | None:
    """Why nothing is deleted there, empty when that needs no words; None when retention acts."""
    if destination.retention.mode == "none":
        return ""
    if ctx.cancel.cancelled:
        return "the run was cancelled"
    if destination_status(ctx, destination) is not Status.SUCCESS:
        return "it received no verified backup in this run"
    return None


def _say(ctx: RunnerContext, done: Retained) -> None:
    kept = len(done.plan.kept) if done.plan else 0
    name = f"[{done.destination}]"
    if done.error:
        ctx.recorder.log(
            f"{name} Retention failed: {done.error}",
            LogLevel.ERROR,
            LogType.STORAGE,
            f"{counted(len(done.deleted), 'backup')} deleted before.",
        )
    elif done.problem:
        ctx.recorder.log(f"{name} Retention is paused: {done.problem}", LogLevel.WARNING, LogType.STORAGE)
    else:
        ctx.recorder.log(
            f"{name} Retention: {counted(kept, 'set')} kept, {counted(len(done.deleted), 'backup')} deleted.",
            LogLevel.SUCCESS,
            LogType.STORAGE,
            "\n".join(
                f"{'keep  ' if its.keep else 'delete'} {its.backup_set.set_id}: {its.reason}"
                for its in (done.plan.decisions if done.plan else ())
            ),
        )
    ctx.recorder.emit(
        RetentionFinished(ctx.execution.id, done.destination, kept, len(done.deleted), done.problem)
    )
