"""Dump: one database becomes one artifact in its spool, compressed, encrypted and hashed in passing.

The dump is made once. The uploads follow the spool; a dump that fails makes every one of them abort.
"""

from __future__ import annotations

import time
from dataclasses import replace

from engine.archive.sidecar import Encryption, Sidecar, seal_fingerprint
from engine.contract.values import Dump, Fingerprint
from engine.errors import Cancelled, DumpIncomplete, StrongroomError
from engine.events import LogLevel, LogType, Stage, Status
from engine.pipeline.context import Artifact, RunnerContext
from engine.pipeline.fanout import Abandoned, Fanout
from engine.streams.chain import Encoded, encode
from engine.streams.spool import Spool
from engine.units import size_text, span_text


def dump_all(ctx: RunnerContext, fanout: Fanout) -> None:
    """Dump the run's databases one after another. One that fails leaves the others their chance."""
    done_in = done_out = 0
    total = expected_size(ctx)
    for number, artifact in enumerate(ctx.artifacts):
        ctx.cancel.raise_if_cancelled()
        artifact.spool = Spool(
            ctx.services.home.spool / f"{ctx.execution.id}.{number:04d}",
            ctx.cancel,
        )
        fanout.add(artifact)
        try:
            _dump(ctx, artifact, done_in, done_out, total)
        except Cancelled as cancelled:
            artifact.status, artifact.error = Status.CANCELLED, str(cancelled)
            artifact.spool.fail(cancelled)
            raise
        except Abandoned as error:
            # What the destinations failed of is the run's error, and theirs to tell.
            artifact.status, artifact.error, artifact.abandoned = Status.FAILED, error.message, True
            ctx.recorder.log(
                f"The dump of {artifact.database} was stopped: every destination has failed.",
                LogLevel.WARNING,
            )
        except Exception as error:  # an adapter's surprise fails this database, loudly, not the others
            _failed(ctx, artifact, error)
            artifact.spool.fail(error)
        finally:
            artifact.sealed.set()
        done_in += artifact.dump_size or 0
        done_out += artifact.size or 0


def _dump(ctx: RunnerContext, artifact: Artifact, done_in: int, done_out: int, total: int | None) -> None:
    recorder, source = ctx.recorder, ctx.source
    assert source is not None and ctx.compression is not None and artifact.spool is not None  # noqa: S101
    begun = time.monotonic()

    def progress(bytes_in: int, bytes_out: int) -> None:
        recorder.progress(
            done_in + bytes_in,
            done_out + bytes_out,
            stage=Stage.DUMP,
            total=total,
            estimated=True,
            database=artifact.database,
        )

    with source.dump(artifact.database, fingerprint=ctx.job.options.fingerprint) as dump:
        recorder.log(f"Dumping {artifact.database}.", type=LogType.COMMAND, details=dump.details)
        encoded = encode(
            dump,
            ctx.compression,
            ctx.recipients,
            artifact.spool,
            cancel=ctx.cancel,
            on_progress=progress,
        )
        if encoded.dump_size == 0:
            raise DumpIncomplete(
                f"The dump of {artifact.database} is empty: not one byte came out.",
                remedy="Look at the log for what its tool said.",
            )
        artifact.size, artifact.dump_size, artifact.sha256 = encoded.size, encoded.dump_size, encoded.sha256
        recorder.progress(
            done_in + encoded.dump_size,
            done_out + encoded.size,
            stage=Stage.DUMP,
            total=done_out + encoded.size if artifact is ctx.artifacts[-1] else total,
            final=True,
            database=artifact.database,
        )
        fingerprint = _fingerprint(ctx, artifact, dump)
        sidecar = _sidecar(ctx, artifact, dump, encoded, fingerprint)
    artifact.sidecar = sidecar.to_json(ctx.services.keys.signer())
    artifact.status = Status.SUCCESS
    ratio = f"{encoded.dump_size / encoded.size:.1f} to 1"
    seconds = time.monotonic() - begun
    recorder.passed(Stage.COMPRESS, seconds, ratio)
    recorder.passed(Stage.ENCRYPT, seconds, ", ".join(ctx.key_names) or "off")
    recorder.log(
        f"{artifact.database}: {size_text(encoded.dump_size)} dumped, {size_text(encoded.size)} written "
        f"({ratio}) in {span_text(seconds)}.",
        LogLevel.SUCCESS,
        details=f"SHA-256 {encoded.sha256}",
    )


def _fingerprint(ctx: RunnerContext, artifact: Artifact, dump: Dump) -> Fingerprint | None:
    """What the snapshot held. A count that fails costs the later drill its proof, not the dump."""
    if not ctx.job.options.fingerprint:
        return None
    try:
        found = dump.fingerprint()
    except StrongroomError as error:
        ctx.recorder.log(
            f"The rows of {artifact.database} could not be counted: {error}",
            LogLevel.WARNING,
            details="The backup is whole; a drill will have nothing to compare it with.",
        )
        return None
    if found is not None:
        ctx.recorder.log(
            f"Fingerprint of {artifact.database}: {found.words()}"
            + ("." if found.consistent else ", not from the dump's own snapshot.")
        )
    return found


def _sidecar(
    ctx: RunnerContext,
    artifact: Artifact,
    dump: Dump,
    encoded: Encoded,
    fingerprint: Fingerprint | None,
) -> Sidecar:
    source, compression = ctx.source, ctx.compression
    assert source is not None and compression is not None and ctx.report is not None  # noqa: S101
    sidecar = Sidecar(
        installation_id=ctx.services.store.installation_id,
        execution_id=ctx.execution.id,
        job_id=ctx.job.id,
        job=ctx.job.name,
        source=ctx.job.source_name,
        engine=source.engine,
        engine_version=dump.engine_version or ctx.report.version,
        tool_version=dump.tool_version,
        database=artifact.database,
        set_id=ctx.set_id,
        databases=ctx.databases,
        artifact=artifact.name,
        format=source.extension_for(artifact.database),
        created_at=ctx.started_at,
        size=encoded.size,
        dump_size=encoded.dump_size,
        checksum=encoded.sha256,
        compression=str(compression),
        encryption=Encryption("age", ctx.recipients, ctx.key_names) if ctx.recipients else None,
        trigger=ctx.execution.trigger,
        restore_command=source.restore_command(artifact.database),
    )
    return replace(sidecar, fingerprint=seal_fingerprint(fingerprint, ctx.recipients))


def _failed(ctx: RunnerContext, artifact: Artifact, error: Exception) -> None:
    artifact.status = Status.FAILED
    artifact.error = ctx.recorder.clean(str(error) or type(error).__name__)
    if not ctx.error_kind:
        ctx.error_kind = type(error).__name__
        ctx.remedy = error.remedy if isinstance(error, StrongroomError) else ""
    ctx.recorder.log(
        f"The dump of {artifact.database} failed: {artifact.error}",
        LogLevel.ERROR,
        details=error.remedy if isinstance(error, StrongroomError) else type(error).__name__,
    )


def expected_size(ctx: RunnerContext) -> int | None:
    """What the run's artifacts came to last time, in bytes; None unless every database had one."""
    last = ctx.last_sizes
    if any(database not in last for database in ctx.databases):
        return None
    return sum(last[database] for database in ctx.databases)
