"""mariadb-dump or mysqldump of one database, counted as it goes by, whole only with its end mark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from plugins.sources.maria import catalogue
from plugins.sources.maria.catalogue import DatabaseOptions, Server
from plugins.sources.maria.client import Client
from plugins.sources.maria.connection import Connection
from plugins.sources.maria.counting import RowCounter
from plugins.sources.maria.failures import failure
from plugins.sources.maria.tools import Found
from strongroom import Context, Dump, DumpIncomplete, Fingerprint, Process, SourceError

END_MARK = b"-- Dump completed"
OPTIONS = b"-- Database options: "
"""Begins the line that we put first: the character set and collation, which the tool leaves out."""
_TAIL = 4096
_WITH_HISTORY = (10, 11)

_ARGUMENTS = (
    *("--single-transaction", "--quick", "--routines", "--events", "--triggers", "--hex-blob"),
    *("--default-character-set=utf8mb4", "--no-tablespaces", "--max-allowed-packet=1G", "--comments"),
    *("--skip-add-drop-database", "--dump-date", "--extended-insert"),
)
# What MySQL's tool would write into the dump, or ask the server for, and a MariaDB server does not know.
_MYSQLS = ("--column-statistics=0", "--set-gtid-purged=OFF")


def keeps_history(client: Client, tool: Found, server: Server, database: str) -> bool:
    """Whether a dump brings the history of system-versioned tables; 10.11 can write it and take it back."""
    return (
        tool.is_mariadb
        and server.is_mariadb
        and min(tool.numbers, server.numbers) >= _WITH_HISTORY
        and bool(catalogue.versioned(client, database))
        and not catalogue.numbers_transactions(client, database)
    )


def arguments(
    tool: Found, options: str, database: str, excluded: Sequence[str], *, history: bool = False
) -> list[str]:
    """The dump tool's command line, up to what is dumped."""
    left_out = [f"--ignore-table={database}.{table}" for table in excluded]
    return [
        tool.path,
        options,
        *_ARGUMENTS,
        *for_mysql(tool),
        *left_out,
        *(["--dump-history"] if history else []),
    ]


def for_mysql(tool: Found) -> tuple[str, ...]:
    """What MySQL's own dump tool has to be told, and MariaDB's does not know."""
    return () if tool.is_mariadb else _MYSQLS


def begin_dump(
    context: Context,
    client: Client,
    tool: Found,
    server: Server,
    made: DatabaseOptions,
    database: str,
    *,
    excluded: Sequence[str],
    fingerprint: bool,
) -> Dump:
    """Start the tool; the dump ends well only with exit status 0 and the end mark. Raises `SourceError`s."""
    resources = ExitStack()
    try:
        options = resources.enter_context(client.options(tool))
        refuse_endless(client, tool, database)
        refuse_views_without_tables(client, database, excluded)
        history = keeps_history(client, tool, server, database)
        # A restore could not ask a sequence for a default while the table is locked.
        unlocked = ["--skip-add-locks"] if catalogue.has_sequences(client, database) else []
        argv = [*arguments(tool, options, database, excluded, history=history), *unlocked, "--", database]
        process = context.host.run(argv)
        resources.callback(process.kill)
    except BaseException:
        resources.close()
        raise
    counter = RowCounter()

    def chunks() -> Iterator[bytes]:
        first = OPTIONS + f"{made.words}\n".encode()
        for chunk in checked(_tool(context, process, tool, client.connection, database), tool):
            if first:
                yield first
                first = b""
            if fingerprint:
                counter.feed(chunk)
            yield chunk

    return Dump(
        chunks(),
        engine_version=server.version,
        tool_version=f"{tool.name} {tool.version}",
        fingerprint=(lambda: Fingerprint(dict(counter.tables), consistent=True)) if fingerprint else None,
        close=resources.close,
        details=" ".join(argv),
    )


def refuse_endless(client: Client, tool: Found, database: str) -> None:
    """Raise `SourceError` for events at which the tool would never end."""
    events = catalogue.endless_events(client, database) if tool.is_mariadb else []
    if not events:
        return
    raise SourceError(
        f"{tool.name} never ends at the event {', '.join(map(repr, events))} of {database!r}, for `;;` stands"
        " in its body or comment.",
        remedy="Write it otherwise (ALTER EVENT), such as with a space between.",
    )


def refuse_views_without_tables(client: Client, database: str, excluded: Sequence[str]) -> None:
    """Raise `SourceError` for views that no restore could make, as what they use is left out."""
    if found := catalogue.views_on(client, database, excluded):
        raise SourceError(
            "No restore could make "
            + ", ".join(f"the view {view!r}, which uses {name!r}" for view, name in sorted(found.items())[:3])
            + f": that is left out of the backups of {database!r}.",
            remedy="Leave the view out, too (exclude_tables), or take what it uses in.",
        )


def _tool(
    context: Context, process: Process, tool: Found, connection: Connection, database: str
) -> Iterator[bytes]:
    yield from process
    status = process.wait()
    context.cancel.raise_if_cancelled()
    if status != 0:
        raise failure(tool.name, status, process.stderr(), connection, database)


def checked(chunks: Iterator[bytes], tool: Found) -> Iterator[bytes]:
    """The same chunks; at their end, `DumpIncomplete` unless the tool's end mark was the last line."""
    tail = b""
    for chunk in chunks:
        tail = (tail + chunk)[-_TAIL:]
        yield chunk
    if not is_ended(tail):
        raise DumpIncomplete(
            f"What {tool.name} wrote lacks its end mark, although it ended well.",
            remedy="See whether something cuts its output, or an options file switches comments off.",
        )


def is_ended(tail: bytes | bytearray) -> bool:
    """Whether the last line that is not empty is the end mark."""
    return tail.rstrip().rpartition(b"\n")[2].startswith(END_MARK)
