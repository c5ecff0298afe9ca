"""Dump: one database becomes one artifact in its spool, compressed, encrypted and hashed in passing.

The dump is made once. The uploads follow the spool; a dump that fails makes every one of them abort.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from engine.archive.sidecar import Encryption, Sidecar, seal_fingerprint
from engine.contract.adapters import Source
from engine.contract.values import Dump, Fingerprint
from engine.errors import Cancelled, DumpIncomplete, StrongroomError
from engine.events import LogLevel, LogType, Stage, Status
from engine.pipeline.context import Artifact, RunnerContext
from engine.pipeline.fanout import Abandoned, Fanout
from engine.streams.chain import Encoded, encode
from engine.streams.spool import Spool
from engine.units import size_text, span_text


def dump_all(ctx: RunnerContext, fanout: Fanout) -> None:
    """Dump the run's databases, `parallel_dumps` at once. One that fails leaves the others their chance."""
    moved = _Moved(ctx)
    waiting = deque(enumerate(ctx.artifacts))
    lock = threading.Lock()

    def work(source: Source) -> None:
        while True:
            with lock:  # the destinations get them in the order of their names, whoever dumps them
                ctx.cancel.raise_if_cancelled()
                if not waiting:
                    return
                number, artifact = waiting.popleft()
                artifact.spool = Spool(
                    ctx.services.home.spool / f"{ctx.execution.id}.{number:04d}",
                    ctx.cancel,
                )
                fanout.add(artifact)
            _dump_one(ctx, source, artifact, moved)

    def work_beside() -> None:
        assert ctx.source_endpoint is not None  # noqa: S101 - set by initialize
        # An adapter is for one piece of work at a time: each worker has its own.
        with ctx.services.endpoints.open_source(
            ctx.source_endpoint,
            cancel=ctx.cancel,
            log=ctx.recorder.logger(Stage.DUMP),
            owner=ctx.execution.id,
        ) as source:
            work(source)

    assert ctx.source is not None  # noqa: S101 - set by initialize
    others = min(ctx.job.options.parallel_dumps, len(ctx.artifacts)) - 1
    if others < 1:
        work(ctx.source)
        return
    with ThreadPoolExecutor(others, thread_name_prefix="strongroom-dump") as pool:
        beside = [pool.submit(work_beside) for _ in range(others)]
        work(ctx.source)
        for its in beside:
            try:
                its.result()
            except StrongroomError as error:
                # What it would have dumped, the other workers have: nothing is missing.
                ctx.recorder.log(f"One of the workers could not begin: {error}", LogLevel.WARNING)


def _dump_one(ctx: RunnerContext, source: Source, artifact: Artifact, moved: _Moved) -> None:
    assert artifact.spool is not None  # noqa: S101 - made before it was handed on
    try:
        _dump(ctx, source, artifact, moved)
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


class _Moved:
    """The bytes that all dumps of a run have given and written so far, told to the recorder."""

    def __init__(self, ctx: RunnerContext) -> None:
        self._recorder = ctx.recorder
        self._artifacts = len(ctx.artifacts)
        self._expected = expected_size(ctx)
        self._lock = threading.Lock()
        self._bytes: dict[str, tuple[int, int]] = {}
        self._ended: set[str] = set()

    def tell(self, database: str, bytes_in: int, bytes_out: int, *, ended: bool = False) -> None:
        """One dump has come so far; `ended` says that this is its end."""
        with self._lock:
            self._bytes[database] = (bytes_in, bytes_out)
            if ended:
                self._ended.add(database)
            whole_in, whole_out = (sum(its) for its in zip(*self._bytes.values(), strict=True))
            all_ended = len(self._ended) == self._artifacts
        self._recorder.progress(
            whole_in,
            whole_out,
            stage=Stage.DUMP,
            total=whole_out if all_ended else self._expected,
            estimated=not ended,
            final=ended,
            database=database,
        )


def _dump(ctx: RunnerContext, source: Source, artifact: Artifact, moved: _Moved) -> None:
    recorder = ctx.recorder
    assert ctx.compression is not None and artifact.spool is not None  # noqa: S101
    begun = time.monotonic()

    def progress(bytes_in: int, bytes_out: int) -> None:
        moved.tell(artifact.database, bytes_in, bytes_out)

    if ctx.report is not None and (failing := ctx.report.failing.get(artifact.database)) is not None:
        raise failing
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
        moved.tell(artifact.database, encoded.dump_size, encoded.size, ended=True)
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
