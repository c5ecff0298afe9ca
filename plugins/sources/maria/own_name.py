"""What of a dump names its own database, and would lead a copy of another name into the original.

The dump tools write names without their database, but for two things that the servers keep as they were:
a trigger's own text up to its body (`CREATE TRIGGER shop.t BEFORE INSERT ON shop.orders`), and a column's
default that asks a sequence (`nextval(`shop`.`numbers`)`). Bodies are their author's, and stay; so an
event, which a server runs by itself, rests in a database that is only a trial.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_TRIGGER = b"\n/*!50003 CREATE*/"
_EVENT = b"\n/*!50106 CREATE*/"
_TABLE = b"\nCREATE TABLE `"
# Between these two lines stand triggers, events and routines, whose bodies may hold whatever they like.
_BODY, _BODY_ENDS = b"\nDELIMITER ;;\n", b"\nDELIMITER ;\n"
_OUTSIDE, _INSIDE = (_TABLE, _BODY), (_TRIGGER, _EVENT, _BODY_ENDS)
_KEPT = max(map(len, (*_OUTSIDE, *_INSIDE)))
_TABLE_ENDS = b"\n) "
_MOST = 4 << 20
"""Bytes of a table's definition, or of a trigger's beginning, that are waited for at most."""

_GAP = rb"(?:\s|/\*(?!!).*?\*/|--\s[^\n]*\n|#[^\n]*\n)"
_NAME = rb"(?:`(?:[^`]|``)*`|\"(?:[^\"]|\"\")*\"|[0-9A-Za-z_$\x80-\xff]+)"
_OWNER = rb"(?:" + _NAME + _GAP + rb"*\." + _GAP + rb"*)?"
_BEGINNING = re.compile(
    _TRIGGER.replace(b"*", rb"\*")
    + rb" (?:/\*!50017 DEFINER=.*?\*/ )?/\*!50003 TRIGGER" + _GAP + rb"+"
    + rb"(?:IF" + _GAP + rb"+NOT" + _GAP + rb"+EXISTS" + _GAP + rb"+)?"
    + rb"(?P<one>" + _OWNER + rb")" + _NAME + _GAP + rb"+(?:BEFORE|AFTER)\b"
    + rb"(?:(?:" + _GAP + rb"|,)+" + _NAME + rb")+?" + _GAP + rb"+ON" + _GAP + rb"+"
    + rb"(?P<two>" + _OWNER + rb")" + _NAME + _GAP + rb"+FOR" + _GAP,
    re.DOTALL | re.IGNORECASE,
)  # fmt: skip
# As the servers write it anew: only the name and the body are anybody's own.
_SCHEDULE = re.compile(
    rb"\n/\*!50106 CREATE\*/ (?:/\*!50117 DEFINER=.*?\*/ )?/\*!50106 EVENT `(?:[^`]|``)*` ON SCHEDULE "
    rb".*?ON COMPLETION (?:NOT )?PRESERVE (?=ENABLE|DISABLE)",
    re.DOTALL,
)
_DATABASE = re.compile(rb"^-- Host: .*?    Database: (.*)$", re.MULTILINE)
# Strings (a column's comment) and other names go by as they are.
_ASKS = re.compile(
    rb"'(?:[^'\\]|\\.|'')*'|(?P<ask>\b(?:next|last)val\()(?P<of>`(?:[^`]|``)*`)\.(?=`)|`(?:[^`]|``)*`",
    re.DOTALL | re.IGNORECASE,
)


def database_of(head: bytes) -> str | None:
    """The database that a dump says it is of, in its first lines; None where it does not."""
    match = _DATABASE.search(head)
    return match[1].decode("utf-8", "surrogateescape") if match and match[1] else None


def without_own_name(
    chunks: Iterable[bytes], database: str | None, *, resting: bool = False
) -> Iterator[bytes]:
    """The dump of that database in which triggers and sequences' defaults do not name it any more.

    With `resting` its events are made, and run no more.
    """
    looker = _Looker(database, resting)
    first = True
    for chunk in chunks:
        out = looker.feed(chunk)
        yield out[1:] if first and out else out
        first = first and not out
    out = looker.feed(b"", is_last=True)
    yield out[1:] if first else out


class _Looker:
    """Looks through a dump chunk by chunk, and keeps what has to wait for what follows it."""

    def __init__(self, database: str | None, resting: bool) -> None:
        self._database = database
        self._resting = resting
        self._held = b"\n"  # so that a dump's very first line begins like any other
        self._inside = False

    def feed(self, chunk: bytes, *, is_last: bool = False) -> bytes:
        """Take a chunk; return what may go on."""
        data = self._held + chunk
        out: list[bytes] = []
        at = 0
        while True:
            marks = _INSIDE if self._inside else _OUTSIDE
            starts = [(start, mark) for mark in marks if (start := data.find(mark, at)) >= 0]
            if not starts:
                stop = len(data) if is_last else max(at, len(data) - _KEPT)
                self._held = data[stop:]
                return b"".join([*out, data[at:stop]])
            start, mark = min(starts)
            out.append(data[at:start])
            found = self._found(data, start, mark)
            if found is None:
                if not is_last and len(data) - start < _MOST:
                    self._held = data[start:]
                    return b"".join(out)
                found = data[start : start + 1], start + 1
            text, at = found
            out.append(text)

    def _found(self, data: bytes, start: int, mark: bytes) -> tuple[bytes, int] | None:
        """What stands for what the mark begins, and where that ends; None when it has not all come yet."""
        if mark in (_BODY, _BODY_ENDS):
            self._inside = mark == _BODY
            return mark[:-1], start + len(mark) - 1  # the line feed may begin the next mark
        if mark == _TRIGGER:
            return _trigger(data, start)
        if mark == _EVENT:
            return _event(data, start, self._resting)
        return _table(data, start, self._database)


def _trigger(data: bytes, start: int) -> tuple[bytes, int] | None:
    """A trigger's beginning without its database, and where it ends; None when that has not come yet."""
    match = _BEGINNING.match(data, start)
    if match is None:
        # An end without a beginning that is understood: it stays as it is.
        end = data.find(b"*/;;\n", start)
        return (data[start:end], end) if end >= 0 else None
    text = data[start : match.start("one")] + data[match.end("one") : match.start("two")]
    return text + data[match.end("two") : match.end()], match.end()


def _table(data: bytes, start: int, database: str | None) -> tuple[bytes, int] | None:
    end = data.find(_TABLE_ENDS, start)
    if end < 0:
        return None
    text = data[start:end]
    if database is None or b"val(`" not in text:
        return text, end
    own = b"`" + database.encode("utf-8", "surrogateescape").replace(b"`", b"``") + b"`"

    def plain(match: re.Match[bytes]) -> bytes:
        return match["ask"] if match["ask"] and match["of"] == own else match[0]

    return _ASKS.sub(plain, text), end


def _event(data: bytes, start: int, resting: bool) -> tuple[bytes, int] | None:
    match = _SCHEDULE.match(data, start)
    if match is None:
        end = data.find(b"*/ ;;\n", start)
        return (data[start:end], end) if end >= 0 else None
    if resting and data.startswith(b"ENABLE", match.end()):
        return match[0] + b"DISABLE", match.end() + len(b"ENABLE")
    return match[0], match.end()
