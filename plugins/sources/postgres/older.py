"""Restore into a server that is older than the only pg_restore which reads the archive.

pg_restore 17 and newer begin by setting a parameter that older servers do not know, and would stop
there. So pg_restore writes SQL, that one line is left out, and psql runs the rest in its restricted
mode, in which a dump can start no command of psql's.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress

from plugins.sources.feeding import feed
from plugins.sources.postgres.connection import Connection, conninfo
from plugins.sources.postgres.failures import REFUSED, failure
from plugins.sources.postgres.tools import Found, Version
from strongroom import CancelToken, Context, Process, ToolMissing

_UNKNOWN = re.compile(rb"^SET transaction_timeout = 0;$", re.MULTILINE)
_RESTRICTED = re.compile(rb"^\\restrict \w+$", re.MULTILINE)
_HEAD = 4096  # the settings come within the first kilobyte


def sets_what_is_unknown(tool: Version, server: Version) -> bool:
    """Whether that pg_restore sets a parameter that the server lacks (transaction_timeout, from 17 on)."""
    return tool.first >= 17 > server.first


def restore_through_psql(
    context: Context,
    pg_restore: list[str],
    psql: Found,
    connection: Connection,
    database: str,
    chunks: Iterable[bytes],
    *,
    encoding: str = "UTF8",
    first: str = "",
    last: str = "",
) -> None:
    """Restore in one transaction, which begins with the statements `first` and ends with `last`.

    `pg_restore` reads the archive from its standard input, where it names none. Raises `SourceError`s,
    `Cancelled`, and whatever `chunks` raise.
    """
    environment = connection.environment(encoding)
    argv = [
        *(psql.path, "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1"),
        *("--single-transaction", f"--output={os.devnull}", f"--dbname={conninfo(database)}"),
    ]
    with context.host.run(argv, env=environment, stdin=True) as writer:
        with context.host.run(pg_restore, env=environment, stdin=True) as reader:
            feeder = _Feeder(reader, chunks, context.cancel)
            stopped = not _pump(reader, writer, psql, first.encode("utf-8", "surrogateescape"))
            reader_status = 0 if stopped else reader.wait()
        feeder.join()  # it stops when its tool does
        context.cancel.raise_if_cancelled()
        # The end of psql's input would commit: it is given only after a whole archive.
        if feeder.error is not None:
            raise feeder.error
        if reader_status != 0:
            raise failure("pg_restore", reader_status, reader.stderr(), connection, database, remedy=REFUSED)
        if last:
            with suppress(BrokenPipeError):  # then its exit status says why
                writer.write(f"\n{last}\n".encode("utf-8", "surrogateescape"))
        writer.close_stdin()
        status = writer.wait()
        if status != 0:
            raise failure("psql", status, writer.stderr(), connection, database, remedy=REFUSED)


def _pump(reader: Process, writer: Process, psql: Found, first: bytes) -> bool:
    """Carry the SQL from one tool to the other; False when psql has stopped."""
    try:
        if first:
            writer.write(first + b"\n")
        for text in _without_unknown(reader, psql):
            writer.write(text)
    except BrokenPipeError:
        return False
    return True


def _without_unknown(texts: Iterable[bytes], psql: Found) -> Iterator[bytes]:
    head: bytes | None = b""
    for text in texts:
        if head is None:
            yield text
            continue
        head += text
        if len(head) >= _HEAD:
            yield _corrected(head, psql)
            head = None
    if head:
        yield _corrected(head, psql)


def _corrected(head: bytes, psql: Found) -> bytes:
    if not _RESTRICTED.search(head[:_HEAD]):
        raise ToolMissing(
            f"psql {psql.version} cannot be kept from running commands that a dump may hold.",
            remedy="Update the PostgreSQL client tools: the releases since August 2025 can.",
        )
    return _UNKNOWN.sub(b"", head, count=1)


class _Feeder:
    """Gives a tool its input from a thread, while the caller reads its output."""

    def __init__(self, process: Process, chunks: Iterable[bytes], cancel: CancelToken) -> None:
        self.error: BaseException | None = None
        self._process = process
        self._chunks = chunks
        self._cancel = cancel
        self._thread = threading.Thread(target=self._feed, name="pg_restore-input", daemon=True)
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def _feed(self) -> None:
        try:
            feed(self._process, self._chunks, self._cancel)
        except BaseException as error:
            self.error = error
        finally:
            self._process.close_stdin()
