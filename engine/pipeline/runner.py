"""The runner: one run of a job from Initialize to Retention, each step one function of one module.

run_before -> initialize
           -> dump_all (dump, compress, encrypt, hash, spool) with the uploads beside it
           -> status settled -> run_after -> complete (store, notify, clean up) -> retain, per destination
"""

from __future__ import annotations

from contextlib import ExitStack

from engine.cancellation import CancelToken
from engine.errors import Cancelled
from engine.events import ExecutionStarted, LogLevel, Stage, Status
from engine.pipeline.completion import complete, fail
from engine.pipeline.context import Artifact, RunnerContext
from engine.pipeline.dump import dump_all
from engine.pipeline.fanout import Abandoned, Fanout
from engine.pipeline.hooks import run_after, run_before
from engine.pipeline.initialize import initialize
from engine.pipeline.outcome import settle_status
from engine.pipeline.retention import retain
from engine.pipeline.upload import upload
from engine.recorder import Recorder
from engine.services import Services


def run(services: Services, execution_id: str, cancel: CancelToken) -> None:
    """Run one execution of a job that was claimed. Its row says how it ended, whatever happened."""
    execution = services.store.executions.get(execution_id)
    job = services.store.jobs.get(execution.job_id or "")
    recorder = Recorder(execution_id, services.store, services.emit, clock=services.clock)
    with ExitStack() as stack:
        ctx = RunnerContext(
            services=services,
            execution=execution,
            job=job,
            recorder=recorder,
            cancel=cancel,
            stack=stack,
            started_at=execution.started_at or services.clock(),
        )
        names = tuple(destination.name for destination in job.destinations)
        services.emit(ExecutionStarted(execution_id, job.name, names))
        try:
            _back_up(ctx)
        except Cancelled as cancelled:
            fail(ctx, cancelled)
        except Exception as error:  # whatever it was, the execution ends, and says why
            fail(ctx, error)
        run_after(ctx)
        complete(ctx)
        retain(ctx)


def _back_up(ctx: RunnerContext) -> None:
    if ctx.execution.trigger_reason:
        ctx.recorder.log(ctx.execution.trigger_reason)
    with ctx.recorder.stage(Stage.INITIALIZE):
        run_before(ctx)
        initialize(ctx)
    ctx.cancel.raise_if_cancelled()
    fanout = Fanout(
        ctx.destinations,
        lambda destination, artifact: upload(ctx, destination, artifact),
        parallel=ctx.job.options.parallel_uploads,
        done=_close_spool,
    )
    try:
        with ctx.recorder.stage(Stage.DUMP):
            dump_all(ctx, fanout)
    finally:
        with ctx.recorder.stage(Stage.UPLOAD):
            fanout.finish()
    ctx.status = settle_status(ctx)
    if ctx.status is not Status.SUCCESS:  # a cancel that came when all was stored has nothing to stop
        ctx.cancel.raise_if_cancelled()
    if ctx.status is Status.PARTIAL:
        ctx.recorder.log("Some destinations or databases failed; the others are whole.", LogLevel.WARNING)


def _close_spool(artifact: Artifact) -> None:
    if artifact.spool is None:
        return
    if not artifact.spool.finished:
        # A dump that nobody takes any more need not go on; where it failed by itself, that error stays.
        artifact.spool.fail(Abandoned("Every destination has failed."))
    artifact.spool.close()
