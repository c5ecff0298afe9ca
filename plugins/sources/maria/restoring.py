"""Restore a dump through the command-line client, into a database that is made for it or is empty."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain

from plugins.sources.feeding import feed
from plugins.sources.maria import catalogue
from plugins.sources.maria.catalogue import DatabaseOptions
from plugins.sources.maria.client import Client
from plugins.sources.maria.connection import identifier
from plugins.sources.maria.dumping import OPTIONS, is_ended
from plugins.sources.maria.failures import REFUSED, failure
from plugins.sources.maria.own_name import database_of, without_own_name
from strongroom import Cancelled, Context, DumpIncomplete, SourceError

_ENOUGH = 4096
_TAIL = 4096
_HEAD = re.compile(rb"(/\*M?!999999\\- enable the sandbox mode \*/ ?\n)?-- (MariaDB|MySQL) dump ")
_CREATED = re.compile(rb"CHARACTER SET (\w+) COLLATE (\w+)\n")
_COMMENT = re.compile(rb"/\*M?!999999\\- enable the sandbox mode \*/ ?\n")
# The dump's own words for how its session takes values. Without the second one, a date that is in no
# calendar (2023-02-30, which a server takes where it was told to) would become 0000-00-00.
_MODE = b"SQL_MODE='NO_AUTO_VALUE_ON_ZERO'"
_LENIENT = b"SQL_MODE='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'"
# MariaDB alone knows it. A row may break a check that came after it, or that was switched off for it.
_UNCHECKED = b"/*M!100201 SET SESSION check_constraint_checks = 0 */;\n"
_ARGUMENTS = (
    *("--batch", "--binary-mode", "--default-character-set=utf8mb4", "--max-allowed-packet=1G"),
    "--skip-auto-rehash",
)
"""In binary mode the client takes no commands of its own from a dump, a shell's least of all."""


class Restorer:
    """Restores through one server. Raises `SourceError`s, and `Cancelled`."""

    def __init__(self, context: Context, client: Client) -> None:
        self._context = context
        self._client = client

    def restore(self, database: str, chunks: Iterable[bytes], *, trial: bool = False) -> None:
        """Restore into a missing or empty database; on any error it is missing or empty again.

        In one for a `trial` no event runs.
        """
        recorded, name, whole = _peek(chunks)
        there = catalogue.options_of(self._client, database)
        if there is None:
            self._create(database, recorded)
        try:
            self._fill(database, without_own_name(whole, name, resting=trial))
        except BaseException:
            self._undo(database, there)
            raise

    def _create(self, database: str, made: DatabaseOptions | None) -> None:
        plain = f"CREATE DATABASE {identifier(database)}"
        if made is None:
            self._client.ask(f"{plain} CHARACTER SET utf8mb4;")
            return
        try:
            self._client.ask(f"{plain} {made.words};")
        except SourceError as error:
            # 1273, 1115: a collation or character set that this server has not, as from MySQL to MariaDB.
            if not re.search(r"\b(1273|1115|1253)\b", error.message):
                raise
            self._client.ask(f"{plain} CHARACTER SET utf8mb4;")

    def _fill(self, database: str, chunks: Iterable[bytes]) -> None:
        client = self._client
        with client.options(client.tool) as options:
            argv = [client.tool.path, options, *_ARGUMENTS, f"--database={database}"]
            process = self._context.host.run(argv, stdin=True)
            with process:
                tail = bytearray()
                if feed(process, _noting(chunks, tail), self._context.cancel) and not is_ended(tail):
                    raise DumpIncomplete(
                        "The dump lacks its end mark: it is not whole.", remedy="Restore another backup."
                    )
                process.close_stdin()
                status = process.wait()
                self._context.cancel.raise_if_cancelled()
                if status != 0:
                    said = process.stderr()
                    raise failure(client.tool.name, status, said, client.connection, database, remedy=REFUSED)

    def _undo(self, database: str, there: DatabaseOptions | None) -> None:
        # The error that is under way says what happened. A cancelled host starts nothing any more: then
        # whoever asked for the restore drops what is left.
        with suppress(SourceError, Cancelled):
            drop(self._client, database)
            if there is not None:
                self._create(database, there)


def _noting(chunks: Iterable[bytes], tail: bytearray) -> Iterator[bytes]:
    """The same chunks; `tail` always holds the last bytes of what went by."""
    for chunk in chunks:
        tail += chunk[-_TAIL:]
        del tail[:-_TAIL]
        yield chunk


def drop(client: Client, database: str) -> None:
    """Drop a database. A missing one is fine."""
    client.ask(f"DROP DATABASE IF EXISTS {identifier(database)};", timeout=600)


def _peek(chunks: Iterable[bytes]) -> tuple[DatabaseOptions | None, str | None, Iterator[bytes]]:
    """Read a dump's beginning; return how its database was made, its name, and what the client is to get."""
    rest = iter(chunks)
    head = b""
    for chunk in rest:
        head += chunk
        if len(head) >= _ENOUGH:
            break
    made = None
    if head.startswith(OPTIONS):
        if match := _CREATED.match(head, len(OPTIONS)):
            made = DatabaseOptions(match[1].decode(), match[2].decode())
        head = head.partition(b"\n")[2]
    if not _HEAD.match(head):
        raise DumpIncomplete(
            "What came is not a dump of mariadb-dump or mysqldump.",
            remedy="Restore another backup, or one that such a source made.",
        )
    # A comment that only newer clients of MariaDB understand; binary mode forbids more than it does.
    head = _COMMENT.sub(b"", head, count=1)
    return made, database_of(head), chain([_UNCHECKED, head.replace(_MODE, _LENIENT, 1)], rest)
