"""Retention, the last step: at each destination that received and verified a backup in this same run.

It runs after the status was settled, and changes none: an error in here is logged, and is an event of
its own that people are told of.
"""

from __future__ import annotations

from engine.events import LogLevel, LogType, RetentionFinished, Stage, Status
from engine.pipeline.context import DestinationContext, RunnerContext
from engine.pipeline.outcome import destination_status
from engine.retaining import Retained, retain_at
from engine.units import counted


def retain(ctx: RunnerContext) -> None:
    """Apply each destination's own retention, or log why it is skipped. Never raises."""
    with ctx.recorder.stage(Stage.RETENTION):
        problems: dict[str, str] = {}
        for destination in ctx.destinations:
            if (reason := _skipped(ctx, destination)) is not None:
                if reason:
                    ctx.recorder.log(
                        f"[{destination.name}] Retention skipped: {reason}.", type=LogType.STORAGE
                    )
                continue
            done = retain_at(
                ctx.services,
                ctx.job,
                destination.endpoint,
                destination.retention,
                log=ctx.recorder.logger(Stage.RETENTION),
                expect=ctx.set_id,
            )
            _say(ctx, done)
            if done.problem:
                problems[destination.name] = done.problem
        if problems:
            ctx.services.notify_retention(ctx.job, problems, ctx.recorder)


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
