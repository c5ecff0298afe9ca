"""Counting rows in a dump as it goes by: what the dump itself holds, whatever happens in the database.

The dump tools write no line feed inside a value (they escape it), so that lines tell rows apart where each
row has its own (MariaDB's tools), and quotes do where a statement is one line (MySQL's).
"""

from __future__ import annotations

import re

_NAMED = re.compile(rb"(?:INSERT INTO|CREATE TABLE) `((?:[^`]|``)*)`(.*)", re.DOTALL)
_BEGUN = re.compile(rb"(?:INSERT INTO|CREATE TABLE) `(?:[^`]|``)*", re.DOTALL)
"""A statement's beginning in which the table's name has not ended yet."""
_TEXT = re.compile(rb"'(?:[^'\\]|\\.|'')*'", re.DOTALL)


class RowCounter:
    """Takes a dump's chunks; `tables` are its tables and their rows so far."""

    def __init__(self) -> None:
        self.tables: dict[str, int] = {}
        self._rest = b""
        self._filling: str | None = None
        """The table of a statement whose rows have lines of their own, while it lasts."""
        self._in_body = False
        """Within a trigger, a routine or an event, whose text is its author's."""

    def feed(self, chunk: bytes) -> None:
        """Count what a chunk holds."""
        data = self._rest + chunk if self._rest else chunk
        at = 0
        while True:
            at_next = self._rows(data, at) if self._filling is not None else self._line(data, at)
            if at_next is None:
                break
            at = at_next
        self._rest = data[self._counted(data, at) :]

    def _counted(self, data: bytes, at: int) -> int:
        """Where what is left to look at begins; the rows of a statement that goes on are counted first."""
        if self._filling is None:
            return at
        stop = max(len(data) - 1, at)  # the last byte may be the semicolon of the end
        self.tables[self._filling] += data.count(b"\n", at, stop)
        return stop

    def _rows(self, data: bytes, at: int) -> int | None:
        """Count to the end of the statement; return what follows it, None when it goes on."""
        end = data.find(b";\n", at)
        if end < 0:
            return None
        assert self._filling is not None  # noqa: S101 - who calls has looked
        self.tables[self._filling] += data.count(b"\n", at, end) + 1
        self._filling = None
        return end + 2

    def _line(self, data: bytes, at: int) -> int | None:
        """Look at a line; return where the next begins, None when this one has no end yet."""
        end = data.find(b"\n", at)
        # The only line feed that the tools write as it is stands in a name.
        while end >= 0 and not self._in_body and _BEGUN.fullmatch(data, at, end):
            end = data.find(b"\n", end + 1)
        if end < 0:
            return None
        if self._in_body:
            self._in_body = data[at:end] != b"DELIMITER ;"
        elif data.startswith(b"INSERT INTO `", at):
            self._insert(data[at:end])
        elif data.startswith(b"CREATE TABLE `", at):
            self.tables.setdefault(_name(data[at:end])[0], 0)
        elif data.startswith(b"DELIMITER ;;", at):
            self._in_body = True
        return end + 1

    def _insert(self, line: bytes) -> None:
        name, rest = _name(line)
        self.tables.setdefault(name, 0)
        if rest.rstrip().endswith(b"VALUES"):
            self._filling = name
        else:
            _, _, values = rest.partition(b"VALUES ")
            self.tables[name] += _TEXT.sub(b"", values).count(b"),(") + 1
            if not rest.rstrip().endswith(b";"):
                # MariaDB's tool, where it names the columns (one is invisible): the first row stands on
                # the statement's line, the others on lines of their own.
                self._filling = name


def _name(line: bytes) -> tuple[str, bytes]:
    """The table that a statement is about, and the rest of the statement."""
    match = _NAMED.match(line)
    if match is None:
        return line.decode("utf-8", "replace"), b""
    return match[1].replace(b"``", b"`").decode("utf-8", "surrogateescape"), match[2]
