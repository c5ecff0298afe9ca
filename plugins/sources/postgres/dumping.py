"""pg_dump in a snapshot that a psql session holds open, so that the same snapshot can be counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from plugins.sources.postgres import catalogue
from plugins.sources.postgres.connection import conninfo
from plugins.sources.postgres.failures import failure
from plugins.sources.postgres.session import Psql, Session
from plugins.sources.postgres.tools import Found, Version
from strongroom import (
    CancelToken,
    Dump,
    DumpIncomplete,
    Fingerprint,
    Host,
    LogLevel,
    LogType,
    Process,
    SourceError,
)
from strongroom import Context as AdapterContext

MAGIC = b"PGDMP"
_NO_COMPRESSION = "-Z0"  # ours is multi-threaded, and comes after


def begin_dump(
    context: AdapterContext, psql: Psql, tool: Found, version: Version, database: str, *, fingerprint: bool
) -> Dump:
    """Start pg_dump; the dump ends well only with exit status 0. Raises `SourceError`s."""
    resources = ExitStack()
    try:
        session: Session | None = None
        argv = [tool.path, "-Fc", _NO_COMPRESSION, "--no-password"]
        if fingerprint:
            session = psql.session(database)
            resources.callback(session.close)
            session.begin_snapshot()
            if (name := _exported(context, session)) is not None:
                argv.append(f"--snapshot={name}")
            else:
                session = None
        argv.append(f"--dbname={conninfo(database)}")
        process = context.host.run(argv, env=psql.connection.environment())
        resources.callback(process.kill)
    except BaseException:
        resources.close()
        raise

    def count() -> Fingerprint | None:
        if session is None:
            return None
        try:
            return catalogue.count_rows(session, version)
        except SourceError as error:
            # The dump is whole; only the count is lost, and a wrong one would be worse than none.
            context.log(
                f"The rows of {database} could not be counted in the dump's snapshot: {error.message}",
                LogLevel.WARNING,
                LogType.GENERAL,
                error.remedy,
            )
            return None

    return Dump(
        _chunks(context.host, context.cancel, process, psql, tool, database),
        engine_version=str(version),
        tool_version=f"pg_dump {tool.version}",
        fingerprint=count if fingerprint else None,
        close=resources.close,
        details=" ".join(argv),
    )


def _exported(context: AdapterContext, session: Session) -> str | None:
    try:
        return session.export_snapshot()
    except SourceError as error:
        # A standby before version 10, or a pooler between: the dump is still one snapshot of its own.
        context.log(
            "The server does not export its snapshot, so the rows are not counted.",
            LogLevel.WARNING,
            LogType.GENERAL,
            error.message,
        )
        return None


def _chunks(
    host: Host, cancel: CancelToken, process: Process, psql: Psql, tool: Found, database: str
) -> Iterator[bytes]:
    head = b""
    for chunk in process:
        if len(head) < len(MAGIC):
            head += chunk[: len(MAGIC)]
        yield chunk
    status = process.wait()
    cancel.raise_if_cancelled()
    # The exit status decides: pg_dump can fail after its last byte, and `pg_restore -l` passes a cut file.
    if status != 0:
        raise failure("pg_dump", status, process.stderr(), psql.connection, database)
    if not head.startswith(MAGIC):
        raise DumpIncomplete(
            f"{tool.path} ended well, and what it wrote is no dump.",
            remedy="See whether it is PostgreSQL's own pg_dump.",
        )
