"""Initialize: resolve the adapters, test the source, and settle all that the run needs before it dumps."""

from __future__ import annotations

from engine.contract.values import SourceReport
from engine.errors import ConfigError, SourceError, SpoolError, StrongroomError
from engine.events import DestinationState, LogLevel, LogType, Stage, Status
from engine.pipeline.context import Artifact, DestinationContext, RunnerContext
from engine.records import VANISHED, JobDestination
from engine.rules.naming import artifact_names
from engine.rules.retention import parse_retention
from engine.streams.compression import parse_compression
from engine.streams.spool import free_bytes, make_spool_folder
from engine.units import size_text


def initialize(ctx: RunnerContext) -> None:
    """Fill the context. A source whose test fails ends the run with its message.

    A destination that cannot be opened fails alone; when none can, so does the run.
    """
    services, job, recorder = ctx.services, ctx.job, ctx.recorder
    ctx.compression = parse_compression(job.compression)
    if job.encryption != "none":
        ctx.recipients = (services.keys.recipient(job.encryption),)
        ctx.key_names = (job.encryption,)
    _look_at_keys(ctx)
    make_spool_folder(services.home.spool, allow_tmpfs=services.home.spool_in_memory)

    ctx.source_endpoint = services.endpoints.get("source", job.source_id)
    ctx.source = ctx.stack.enter_context(
        services.endpoints.open_source(
            ctx.source_endpoint, cancel=ctx.cancel, log=recorder.logger(Stage.DUMP), owner=ctx.execution.id
        )
    )
    recorder.hide(*services.endpoints.secrets(ctx.source_endpoint))
    ctx.report = ctx.source.check()
    recorder.log(_describe(ctx.report), details="\n".join(ctx.report.notes))
    ctx.databases = tuple(ctx.source.databases())
    if not ctx.databases:
        raise SourceError(
            f"The source {ctx.source_endpoint.name!r} has no database to back up.",
            remedy="Create one, or name the databases in the source's configuration.",
        )
    _look_for_vanished(ctx)
    ctx.cancel.raise_if_cancelled()

    ctx.destinations = [_destination(ctx, chosen) for chosen in job.destinations]
    ready = [destination for destination in ctx.destinations if destination.opener is not None]
    if not ready:
        reasons = "; ".join(f"{failed.name}: {failed.error}" for failed in ctx.destinations)
        raise ConfigError(
            f"No destination can be used. {reasons or 'The job names none.'}",
            remedy="Test the job's destinations.",
        )
    names = artifact_names(
        job.naming,
        job=job.name,
        source=ctx.source_endpoint.name,
        databases=ctx.databases,
        moment=ctx.started_at,
        zone=job.timezone,
        extension=ctx.source.extension_for,
        suffixes=(ctx.compression.suffix, ".age" if ctx.recipients else ""),
        token=ctx.execution.id,
    )
    ctx.artifacts = [Artifact(database, names[database]) for database in ctx.databases]
    _check_room(ctx)
    recorder.log(
        f"{len(ready)} of {len(ctx.destinations)} destinations ready; "
        f"{'encrypted to ' + ', '.join(ctx.key_names) if ctx.recipients else 'not encrypted'}, "
        f"{ctx.compression.describe()}.",
        type=LogType.SECURITY if ctx.recipients else LogType.GENERAL,
    )


def _look_for_vanished(ctx: RunnerContext) -> None:
    """Say which databases the last run backed up and nobody asked to leave out, but which are gone."""
    last = ctx.services.store.executions.list(
        1, job=ctx.job.id, kind="run", statuses=(Status.SUCCESS, Status.PARTIAL)
    )
    before = {artifact.database for execution in last for artifact in execution.artifacts}
    if gone := sorted(before - set(ctx.databases)):
        ctx.services.store.executions.set_labels(ctx.execution.id, {VANISHED: gone})
        ctx.recorder.log(
            f"Not there any more, or not chosen: {', '.join(gone)}. The last run backed that up.",
            LogLevel.WARNING,
            details="Its older backups stay for as long as retention keeps them.",
        )


def _look_at_keys(ctx: RunnerContext) -> None:
    """Ask for the signing key: a keyring that is locked is told now, not when the dump is done. Warn of keys
    that the keyring has lost; a backup can still be made, for it needs their public halves alone."""
    keys, log = ctx.services.keys, ctx.recorder.log
    keys.signer()
    if keys.replaced_signer:
        log(
            "The signing key was gone, and a new one was made.",
            LogLevel.WARNING,
            LogType.SECURITY,
            f"What {keys.replaced_signer} has signed still counts here.",
        )
    if ctx.recipients and (loss := keys.loss(keys.get(ctx.job.encryption))) is not None:
        log(str(loss), LogLevel.WARNING, LogType.SECURITY, loss.remedy)


def _check_room(ctx: RunnerContext) -> None:
    """Refuse a run whose largest artifact, as it was last time, would not fit into the spool."""
    last = ctx.last_sizes = _last_sizes(ctx)
    largest = max((last.get(database, 0) for database in ctx.databases), default=0)
    folder = ctx.services.home.spool
    free = free_bytes(folder)
    if largest > free:
        raise SpoolError(
            f"The spool folder {folder} has {size_text(free)} free, and the last backup took "
            f"{size_text(largest)}.",
            remedy="Free some space there, or name another folder by STRONGROOM_SPOOL.",
        )


def _destination(ctx: RunnerContext, chosen: JobDestination) -> DestinationContext:
    """Find its adapter and its secrets, so that a dump need not be made to learn that they are missing.

    It is not spoken to yet: one that does not answer holds nothing up but its own upload.
    """
    services, recorder = ctx.services, ctx.recorder
    endpoint = services.endpoints.get("destination", chosen.destination_id)
    destination = DestinationContext(endpoint, chosen.priority, parse_retention(chosen.retention))
    recorder.destination(endpoint.name, DestinationState.WAITING)
    try:
        destination.opener = services.endpoints.storage_opener(
            endpoint, cancel=ctx.cancel, owner=ctx.execution.id
        )
        recorder.hide(*destination.opener.secrets)
    except StrongroomError as error:
        destination.error, destination.remedy = recorder.clean(str(error)), error.remedy
        recorder.log(
            f"[{endpoint.name}] This destination cannot be opened: {error}",
            LogLevel.ERROR,
            LogType.STORAGE,
            error.remedy,
        )
        recorder.destination(
            endpoint.name, DestinationState.FAILED, message=destination.error, remedy=error.remedy
        )
    return destination


def _describe(report: SourceReport) -> str:
    tools = ", ".join(f"{tool.name} {tool.version}" for tool in report.tools)
    found = f"The source answers: {report.engine} {report.version}".rstrip()
    return f"{found}, with {tools}." if tools else f"{found}."


def _last_sizes(ctx: RunnerContext) -> dict[str, int]:
    """What each database's artifact came to when it was last made, in bytes."""
    last: dict[str, int] = {}
    for execution in ctx.services.store.executions.list(
        10, job=ctx.job.id, kind="run", statuses=(Status.SUCCESS, Status.PARTIAL)
    ):
        for artifact in execution.artifacts:
            if artifact.size is not None and artifact.status is Status.SUCCESS:
                last.setdefault(artifact.database, artifact.size)
    return last
