"""Read an archive's table of contents: what pg_restore would make, before it makes anything.

The layout is that of ReadHead and ReadToc in PostgreSQL's pg_backup_archiver.c, for the format versions
1.12 to 1.16 (pg_dump 9.0 to 18), in the custom and the directory format. The archive is input, not a friend:
numbers are bounded, and what is read is only looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

_CUSTOM, _DIRECTORY = 1, 3  # pg_dump's directory format calls itself a tar's in its head
_MOST = 64 << 20
"""Bytes of a table of contents at most; a million tables come to less."""
_KNOWN = (1, 12), (1, 16)


@dataclass(frozen=True, slots=True)
class OfDatabase:
    """An entry about the database itself: DATABASE, DATABASE PROPERTIES, ACL, COMMENT ..."""

    kind: str
    owner: str
    text: str


@dataclass(frozen=True, slots=True)
class Contents:
    """Entries by kind: (kind, schema, name). The kinds are pg_dump's: TABLE, TABLE DATA, SCHEMA ...

    `database` are those about the database itself, with their statements, in which a backslash means itself
    where it is `conforming`.
    """

    entries: tuple[tuple[str, str, str], ...] = field(default=())
    database: tuple[OfDatabase, ...] = ()
    conforming: bool = True

    def of(self, kind: str) -> set[tuple[str, str]]:
        """The schema and name of every entry of a kind."""
        return {(schema, name) for its, schema, name in self.entries if its == kind}

    @property
    def rows_alone(self) -> bool:
        """Whether it holds the rows of tables that it does not make."""
        return bool(self.of("TABLE DATA")) and not self.of("TABLE")

    @property
    def missing_schemas(self) -> list[str]:
        """The schemas that it makes something in, and does not make: it was made of chosen tables."""
        made = {name for _, name in self.of("SCHEMA")}
        used = {schema for kind, schema, _ in self.entries if schema and kind != "SCHEMA"}
        return sorted(used - made - {"public", "pg_catalog", "information_schema"})


class Pulled:
    """Bytes taken from the beginning of a stream; `whole` gives the stream with them."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._rest = iter(chunks)
        self._head: list[bytes] = []
        self._size = 0
        self._joined = b""

    def have(self, size: int) -> bool:
        """Whether the stream has that many bytes; they are there then."""
        while self._size < size:
            chunk = next(self._rest, None)
            if chunk is None:
                return False
            self._head.append(chunk)
            self._size += len(chunk)
        return True

    @property
    def head(self) -> bytes:
        """All that was taken so far."""
        if len(self._joined) != self._size:
            self._joined = b"".join(self._head)
        return self._joined

    def whole(self) -> Iterator[bytes]:
        return chain(self._head, self._rest)


class _Unreadable(Exception):
    """It is cut, or of a layout that is not known here."""


class _Reader:
    def __init__(self, pulled: Pulled) -> None:
        self._pulled = pulled
        self._at = 0
        self.int_size = 4

    def take(self, size: int) -> bytes:
        end = self._at + size
        if size < 0 or end > _MOST or not self._pulled.have(end):
            raise _Unreadable
        data = self._pulled.head[self._at : end]
        self._at = end
        return data

    def number(self) -> int:
        data = self.take(1 + self.int_size)
        value = int.from_bytes(data[1:], "little")
        return -value if data[0] else value

    def text(self) -> str | None:
        size = self.number()
        return None if size < 0 else self.take(size).decode("utf-8", "surrogateescape")

    def skip_texts(self, count: int) -> None:
        for _ in range(count):
            self.text()


def contents_of(pulled: Pulled) -> Contents | None:
    """The contents of the archive that begins there; None where they cannot be read."""
    try:
        found = list(_entries(_Reader(pulled)))
    except _Unreadable:
        return None
    return Contents(
        tuple((each.kind, each.schema, each.name) for each in found),
        tuple(OfDatabase(each.kind, each.owner, each.text) for each in found if each.is_of_database),
        not any(each.kind == "STDSTRINGS" and "off" in each.text for each in found),
    )


class _Entry(NamedTuple):
    kind: str
    schema: str
    name: str
    owner: str
    text: str

    @property
    def is_of_database(self) -> bool:
        return self.kind in ("DATABASE", "DATABASE PROPERTIES") or (
            self.kind in ("ACL", "COMMENT", "SECURITY LABEL") and self.name.startswith("DATABASE ")
        )


def _entries(reader: _Reader) -> Iterator[_Entry]:
    if reader.take(5) != b"PGDMP":
        raise _Unreadable
    major, minor, _, int_size, offset_size, form = reader.take(6)
    version = (major, minor)
    if not _KNOWN[0] <= version <= _KNOWN[1] or form not in (_CUSTOM, _DIRECTORY) or not 1 <= int_size <= 8:
        raise _Unreadable
    reader.int_size = int_size
    if version >= (1, 15):
        reader.take(1)  # the compression's algorithm
    else:
        reader.number()  # its level
    for _ in range(7):
        reader.number()  # when it was made
    reader.skip_texts(3)  # the database, the server's version, pg_dump's
    for _ in range(reader.number()):
        reader.number()  # its ID
        reader.number()  # whether it has data
        reader.skip_texts(2)  # two OIDs
        name, kind = reader.text(), reader.text()
        reader.number()  # the section
        text = reader.text()
        reader.skip_texts(2)  # the statements that drop it, and copy into it
        schema = reader.text()
        reader.skip_texts(1)  # the tablespace
        if version >= (1, 14):
            reader.skip_texts(1)  # the access method
        if version >= (1, 16):
            reader.number()  # the kind of relation
        owner = reader.text()
        reader.skip_texts(1)  # a flag of old
        while reader.text() is not None:
            pass  # what it depends on
        if form == _CUSTOM:
            reader.take(1 + offset_size)
        else:
            reader.text()  # the file of its data
        yield _Entry(kind or "", schema or "", name or "", owner or "", text or "")
