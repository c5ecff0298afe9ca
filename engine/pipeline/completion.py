"""Completion: the outcome is stored, the spool cleaned, and people are told.

It runs whatever happened before it. Nothing in here changes a status that was settled.
"""

from __future__ import annotations

from engine.archive.backups import backup_id
from engine.cancellation import cancel_words
from engine.errors import BUG, Cancelled, StrongroomError
from engine.events import ExecutionFinished, LogLevel, Stage, Status
from engine.pipeline import outcome
from engine.pipeline.context import RunnerContext
from engine.records import CachedBackup
from engine.units import span_text


def fail(ctx: RunnerContext, error: BaseException) -> None:
    """Let an error, or a cancel, be what the execution ends with.

    A stop that is the run's own failure (its time limit) is no cancel.
    """
    if isinstance(error, Cancelled) and ctx.cancel.failure is not None:
        error = ctx.cancel.failure
    if isinstance(error, Cancelled):
        ctx.status = Status.CANCELLED
        ctx.error, ctx.error_kind, ctx.remedy = str(error) or "cancelled", "Cancelled", ""
        return
    ctx.status = Status.FAILED
    ctx.error = ctx.recorder.clean(str(error) or type(error).__name__)
    ctx.error_kind = type(error).__name__
    ctx.remedy = error.remedy if isinstance(error, StrongroomError) else BUG
    ctx.recorder.log(ctx.error, LogLevel.ERROR, details=ctx.remedy)  # at the stage that failed


def complete(ctx: RunnerContext) -> None:
    """Store the outcome, say it, tell people. Errors in here are logged and go no further."""
    with ctx.recorder.stage(Stage.COMPLETION):
        _explain(ctx)
        _clean_up(ctx)
        _remember(ctx)
        finished = ctx.services.clock()
        ctx.services.store.executions.finish(
            ctx.execution.id,
            status=ctx.status,
            finished_at=finished,
            error=ctx.error or None,
            error_kind=ctx.error_kind or None,
            remedy=ctx.remedy or None,
            artifacts=outcome.artifact_results(ctx),
            destinations=outcome.destination_results(ctx),
            copies=outcome.copy_results(ctx),
        )
        _say(ctx, (finished - ctx.started_at).total_seconds())
        _notify(ctx)
    ctx.recorder.emit(ExecutionFinished(ctx.execution.id, ctx.status, ctx.error, ctx.remedy, _backups(ctx)))


def _backups(ctx: RunnerContext) -> tuple[str, ...]:
    return tuple(
        backup_id(destination.endpoint.id, result.artifact.name)
        for destination in ctx.destinations
        for result in destination.results
        if result.status is Status.SUCCESS
    )


def _explain(ctx: RunnerContext) -> None:
    """Give a run that failed or was partial by its copies the words for it: every cause, and what to do."""
    if ctx.error or ctx.status not in (Status.FAILED, Status.PARTIAL):
        return
    causes = [artifact.error for artifact in ctx.artifacts if outcome.never_dumped(artifact)]
    remedies = [ctx.remedy]
    for destination in ctx.destinations:
        if error := outcome.own_error(destination):
            causes.append(f"{destination.name}: {error}")
            remedies.append(outcome.own_remedy(destination))
    ctx.error = "; ".join(cause.rstrip(".") for cause in causes) if len(causes) > 1 else "".join(causes)
    ctx.error_kind = ctx.error_kind or "StorageError"
    ctx.remedy = " ".join(dict.fromkeys(filter(None, remedies))) or "Its log says more."


def _clean_up(ctx: RunnerContext) -> None:
    for artifact in ctx.artifacts:
        if artifact.spool is not None:
            artifact.spool.close()


def _remember(ctx: RunnerContext) -> None:
    """Let the cache know what was stored, so that it is missed should it be gone at the next look."""
    ctx.services.store.backups.upsert(
        CachedBackup(
            id=backup_id(destination.endpoint.id, result.artifact.name),
            destination_id=destination.endpoint.id,
            artifact=result.artifact.name,
            size=result.artifact.size or 0,
            sidecar=(result.artifact.sidecar or b"").decode(),
            seen_at=ctx.services.clock(),
            job_id=ctx.job.id,
            set_id=ctx.set_id,
            created_at=ctx.started_at,
        )
        for destination in ctx.destinations
        for result in destination.results
        if result.status is Status.SUCCESS
    )


def _say(ctx: RunnerContext, seconds: float) -> None:
    span = span_text(seconds)
    words = {
        Status.SUCCESS: (f"Backed up, stored and verified in {span}.", LogLevel.SUCCESS),
        Status.PARTIAL: (f"Partly backed up in {span}: {ctx.error}", LogLevel.WARNING),
        Status.CANCELLED: (cancel_words(ctx.error, f"Cancelled after {span}"), LogLevel.WARNING),
        Status.FAILED: (f"Failed after {span}: {ctx.error}", LogLevel.ERROR),
    }
    message, level = words[ctx.status]
    ctx.recorder.log(message, level, details=ctx.remedy)


def _notify(ctx: RunnerContext) -> None:
    execution = ctx.services.store.executions.get(ctx.execution.id)
    ctx.services.notify(execution, ctx.job, ctx.recorder)
