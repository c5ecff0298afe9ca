"""pg_dump in a snapshot that a psql session holds open, so that the same snapshot can be counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from plugins.sources.postgres import catalogue
from plugins.sources.postgres.choosing import Relation, Selection
from plugins.sources.postgres.connection import conninfo, shown
from plugins.sources.postgres.failures import failure
from plugins.sources.postgres.session import Psql, Session
from plugins.sources.postgres.tools import Found, Version
from strongroom import Context, Dump, DumpIncomplete, Fingerprint, LogLevel, LogType, SourceError

MAGIC = b"PGDMP"
_NO_COMPRESSION = "-Z0"  # ours is multi-threaded, and comes after


@dataclass(frozen=True, slots=True)
class Order:
    """One dump: of which database, by which pg_dump, and what of it."""

    database: str
    tool: Found
    version: Version
    selection: Selection
    fingerprint: bool
    encoding: str = "UTF8"


Write = Callable[[list[str], ExitStack], Iterator[bytes]]
"""Starts pg_dump with those arguments and gives its bytes; what is put on the stack ends with the dump."""


def begin_dump(context: Context, psql: Psql, order: Order, write: Write) -> Dump:
    """Start pg_dump in a snapshot of ours; `write` says in which format. Raises `SourceError`s."""
    resources = ExitStack()
    try:
        counting: Session | None = None
        relations: dict[str, Relation] = {}
        argv = [order.tool.path, _NO_COMPRESSION, "--no-password"]
        if order.fingerprint or order.selection.names_tables:
            session = psql.session(order.database)
            resources.callback(session.close)
            session.begin_snapshot()
            relations = catalogue.tables(session, order.version)
            if (name := _exported(context, session)) is not None:
                argv.append(f"--snapshot={name}")
                counting = session if order.fingerprint else None
        argv += order.selection.arguments(relations)
        argv.append(f"--dbname={conninfo(order.database)}")
        chunks = write(argv, resources)
    except BaseException:
        resources.close()
        raise

    def count() -> Fingerprint | None:
        if counting is None:
            return None
        try:
            return catalogue.count_rows(counting, relations, order.selection)
        except SourceError as error:
            # The dump is whole; only the count is lost, and a wrong one would be worse than none.
            context.log(
                f"The rows of {order.database} could not be counted in the dump's snapshot: {error.message}",
                LogLevel.WARNING,
                LogType.GENERAL,
                error.remedy,
            )
            return None

    return Dump(
        chunks,
        engine_version=str(order.version),
        tool_version=f"pg_dump {order.tool.version}",
        fingerprint=count if order.fingerprint else None,
        close=resources.close,
        details=shown(" ".join(argv)),
    )


def custom(context: Context, psql: Psql, order: Order) -> Write:
    """Writes the custom format, which goes out while it is made."""

    def write(argv: list[str], resources: ExitStack) -> Iterator[bytes]:
        tool, *rest = argv
        process = context.host.run([tool, "-Fc", *rest], env=psql.connection.environment(order.encoding))
        resources.callback(process.kill)

        def chunks() -> Iterator[bytes]:
            head = b""
            for chunk in process:
                if len(head) < len(MAGIC):
                    head += chunk[: len(MAGIC)]
                yield chunk
            status = process.wait()
            context.cancel.raise_if_cancelled()
            # The exit status decides: pg_dump can fail after its last byte, and `pg_restore -l` passes a
            # cut file.
            if status != 0:
                raise failure("pg_dump", status, process.stderr(), psql.connection, order.database)
            if not head.startswith(MAGIC):
                raise no_dump(order.tool)

        return chunks()

    return write


def no_dump(tool: Found) -> DumpIncomplete:
    """The error for a tool that ended well, and wrote something else."""
    return DumpIncomplete(
        f"{tool.path} ended well, and what it wrote is no dump.",
        remedy="See whether it is PostgreSQL's own pg_dump.",
    )


def _exported(context: Context, session: Session) -> str | None:
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
