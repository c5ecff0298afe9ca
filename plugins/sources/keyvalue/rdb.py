"""Reads an RDB file as it goes by: where it ends, and what keys it holds.

Only the structure is walked; values are skipped, not decoded. The format is that of Redis's and Valkey's
`rdb.h`: opcodes from 0xF3 on, types below, lengths of 6, 14, 32 or 64 bits. What no rule here knows (a type
of a newer server) ends the counting, not the dump: `known` is then False, and the server's own checksum has
to do, which whoever loads the file compares.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from plugins.sources.keyvalue.walking import HEAD, ROOM, Number, Unknown, Walk, Walker, unpacked
from strongroom import DumpIncomplete

_MASK = (1 << 64) - 1
_INTEGERS = {0xC0: 1, 0xC1: 2, 0xC2: 4}
# Of types that are one string: where its head has the number of its parts, and how many make one element.
_PACKED = {
    10: (8, 2, 1),
    11: (4, 4, 1),
    12: (8, 2, 2),
    13: (8, 2, 2),
    16: (4, 2, 2),
    17: (4, 2, 2),
    20: (4, 2, 1),
}

# What a person calls them; an encoding is nobody's data, for a server chooses it anew when it loads.
_KINDS = {
    "string": (0,),
    "list": (1, 10, 14, 18),
    "set": (2, 11, 20),
    "zset": (3, 5, 12, 17),
    "hash": (4, 9, 13, 16, 22, 24, 25),
    "stream": (15, 19, 21),
    "module": (7,),
}
_KIND_OF = {kind: number for number, kinds in enumerate(_KINDS.values(), 1) for kind in kinds}


class RdbReader(Walker):
    """Takes a file's chunks; `feed` gives back those of them that belong to the file."""

    def __init__(self) -> None:
        super().__init__()
        self.version = ""
        self.keys: dict[int, int] = {}
        """Keys for each numbered database, those with a time limit included."""
        self.timed: dict[int, int] = {}
        """Of these, the keys with a time limit."""
        self.sum = 0
        """Over database, name, kind and size of the keys without a time limit, modulo 2^64."""
        self.sum_timed = 0
        """The same over those with one, and over its moment."""
        self.functions = 0
        self.known = True
        self.ended = False
        self.gap = b""
        """What came after the end: the mark that `redis-cli --rdb -` copies from the wire."""
        self._size = 0
        self._database = 0
        self._walk = self._file()

    def feed(self, chunk: bytes) -> bytes:
        """Walk over a chunk. Raises `DumpIncomplete` for what is no RDB file."""
        if not self.known:
            return chunk
        if self.ended:
            self.gap += chunk[:256]
            return b""
        held = len(self._data) - self._at
        self._data = self._data[self._at :] + chunk if held else chunk
        self._at = 0
        try:
            next(self._walk)
        except StopIteration:
            self.ended = True
            own = max(self._at - held, 0)
            self.gap = chunk[own : own + 256]
            return chunk[:own]
        except Unknown:
            self.known = False
        self.sum &= _MASK
        self.sum_timed &= _MASK
        return chunk

    def finish(self) -> None:
        """Raise `DumpIncomplete` unless the file's end has been seen, where that can be told."""
        if self.known and not self.ended:
            raise DumpIncomplete(
                "The RDB file lacks its end mark: it is not whole.",
                remedy="Run again; of a backup, restore another one.",
            )

    @property
    def databases(self) -> int | None:
        """How many numbered databases a server must have to load the file; None where that is not known."""
        return max(self.keys, default=0) + 1 if self.known else None

    # ----------------------------------------------------------------------------- the file

    def _file(self) -> Walk:
        yield from self._need(9)
        head = self._data[:9]
        if not (head.startswith(b"REDIS") and head[5:].isdigit()) and not (
            head.startswith(b"VALKEY") and head[6:].isdigit()
        ):
            raise DumpIncomplete(
                "What came is not an RDB file.",
                remedy="Restore another backup, or one that a source of Redis or Valkey made.",
            )
        self.version = head.decode()
        self._at = 9
        moment = 0
        while True:
            if not moment:
                self._plain_keys()
            yield from self._need(1)
            code = self._data[self._at]
            self._at += 1
            if code <= 0xF2:
                yield from self._key(code, moment)
                moment = 0
            elif code == 0xFF:
                yield from self._need(8)
                self._at += 8
                return
            elif code == 0xFC:
                moment = yield from self._integer(8)
            elif code == 0xFD:
                moment = 1000 * (yield from self._integer(4))
            elif code == 0xFE:
                self._database = yield from self._length()
            else:
                yield from self._other(code)

    def _other(self, code: int) -> Walk:
        match code:
            case 0xFA:  # a fact about the file
                yield from self._strings(2)
            case 0xFB:  # how many keys come, and how many of them with a time limit
                yield from self._lengths(2)
            case 0xF9:
                yield from self._skip(1)  # how often a key was used
            case 0xF8:
                yield from self._length()  # for how long a key was not
            case 0xF5:
                self.functions += 1
                yield from self._strings(1)
            case 0xF4:
                yield from self._lengths(3)  # how many keys a slot has
            case 0xF7:
                yield from self._length()
                yield from self._module()
            case _:
                raise Unknown

    # ------------------------------------------------------------------------------- keys

    def _key(self, code: int, moment: int) -> Walk:
        kind = _KIND_OF.get(code)
        if kind is None:
            raise Unknown
        name = yield from self._text()
        self._size = 0
        if code == 0:
            self._size = yield from self._string()
        else:
            yield from _VALUES[code](self)
        self._count(zlib.crc32(name, self._database & 0xFFFFFFFF) * (self._size * 16 + kind), moment)

    def _count(self, mark: int, moment: int) -> None:
        database = self._database
        self.keys[database] = self.keys.get(database, 0) + 1
        if moment:
            self.timed[database] = self.timed.get(database, 0) + 1
            self.sum_timed += mark * (moment | 1)
        else:
            self.sum += mark

    def _plain_keys(self) -> None:
        """Walk over small values under short names, as far as they come one after the other: most are such.

        Without this, a file of small keys takes three times as long as the server needs to write it.
        """
        data, at, start = self._data, self._at, self._database & 0xFFFFFFFF
        safe = len(data) - 3 * ROOM
        while at < safe:
            moment, on = 0, at
            if data[on] == 0xFC:
                moment = int.from_bytes(data[on + 1 : on + 9], "little")
                on += 9
            code = data[on]
            form = _PACKED.get(code)
            if code and form is None:
                break
            length = data[on + 1]
            on += 2
            if length >= 0x40:
                if length >= 0x80:
                    break
                length = (length & 0x3F) << 8 | data[on]
                on += 1
            name = data[on : on + length]
            on += length
            size = stored = data[on]
            on += 1
            if stored >= 0x40:
                if stored < 0x80:
                    size = stored = (stored & 0x3F) << 8 | data[on]
                    on += 1
                elif stored == 0xC3:  # packed: how long it is so, and written out
                    stored, size = data[on], data[on + 1]
                    on += 2
                    if stored >= 0x80:
                        break
                    if stored >= 0x40:
                        stored, size = (stored & 0x3F) << 8 | size, data[on]
                        on += 1
                    if size >= 0x80:
                        break
                    if size >= 0x40:
                        size = (size & 0x3F) << 8 | data[on]
                        on += 1
                else:
                    width = _INTEGERS.get(stored)
                    if width is None or form is not None:
                        break
                    size = len(str(int.from_bytes(data[on : on + width], "little", signed=True)))
                    stored = width
            if form is not None:
                offset, width, divisor = form
                head = data[on : on + HEAD] if size == stored else unpacked(data[on : on + 40], HEAD)
                size = int.from_bytes(head[offset : offset + width], "little") // divisor
                if size >= 0xFFFF // divisor:
                    break
            on += stored
            at = on
            self._count(zlib.crc32(name, start) * (size * 16 + _KIND_OF[code]), moment)
        self._at = at

    def _items(self, strings: int, more: int = 0) -> Walk:
        """A collection of items of so many strings, and so many bytes more behind the last."""
        self._size = yield from self._length()
        if more:
            yield from self._strings(self._size, more, each=strings)
        else:
            yield from self._strings(self._size * strings)

    def _scored(self) -> Walk:
        """A sorted set as old servers wrote it: scores as texts."""
        self._size = yield from self._length()
        for _ in range(self._size):
            yield from self._string()
            size = yield from self._integer(1)
            yield from self._skip(size if size < 253 else 0)

    def _packed(self, offset: int, width: int, divisor: int = 1) -> Walk:
        """One string that holds a whole small collection, and in its head how many parts it has.

        Servers pack by their settings: the count is the same in every encoding, the bytes are not.
        """
        self._size += (yield from self._parts(offset, width)) // divisor

    def _parts(self, offset: int, width: int) -> Number:
        head = yield from self._begin()
        count = int.from_bytes(head[offset : offset + width], "little")
        if (width == 1 and count >= 254) or (width == 2 and count == 0xFFFF):
            raise Unknown  # too many for the head; settings that lead there are rare
        return count

    def _quicklist(self) -> Walk:
        for _ in range((yield from self._length())):
            yield from self._packed(8, 2)

    def _quicklist2(self) -> Walk:
        for _ in range((yield from self._length())):
            if (yield from self._length()) == 1:  # a long element by itself
                self._size += 1
                yield from self._strings(1)
            else:
                yield from self._packed(4, 2)

    def _hash_with_times(self) -> Walk:
        """Redis 7.4: the earliest moment, and before each field its own."""
        yield from self._skip(8)
        self._size = yield from self._length()
        for _ in range(self._size):
            yield from self._length()
            yield from self._strings(2)

    def _packed_with_times(self) -> Walk:
        yield from self._skip(8)
        yield from self._packed(4, 2, 3)

    def _stream(self, version: int) -> Walk:
        yield from self._strings(2 * (yield from self._length()))
        self._size = yield from self._length()
        yield from self._lengths(2 if version == 1 else 7)
        for _ in range((yield from self._length())):  # groups
            yield from self._strings(1)
            yield from self._lengths(2 if version == 1 else 3)
            for _ in range((yield from self._length())):  # entries that wait for their acknowledgement
                yield from self._skip(24)
                yield from self._length()
            for _ in range((yield from self._length())):  # consumers
                yield from self._strings(1)
                yield from self._skip(8 if version < 3 else 16)
                yield from self._skip(16 * (yield from self._length()))

    def _module(self) -> Walk:
        """What a module keeps; its own first length has the module's name."""
        yield from self._length()
        while code := (yield from self._length()):
            if code in (1, 2):
                yield from self._length()
            elif code in (3, 4):
                yield from self._skip(4 if code == 3 else 8)
            elif code == 5:
                yield from self._strings(1)
            else:
                raise Unknown


_VALUES: dict[int, Callable[[RdbReader], Walk]] = {
    **dict.fromkeys((1, 2), lambda reader: reader._items(1)),
    3: RdbReader._scored,
    4: lambda reader: reader._items(2),
    5: lambda reader: reader._items(1, 8),
    7: RdbReader._module,
    9: lambda reader: reader._packed(0, 1),
    10: lambda reader: reader._packed(*_PACKED[10]),
    11: lambda reader: reader._packed(*_PACKED[11]),
    **dict.fromkeys((12, 13), lambda reader: reader._packed(*_PACKED[12])),
    **dict.fromkeys((16, 17), lambda reader: reader._packed(*_PACKED[16])),
    20: lambda reader: reader._packed(*_PACKED[20]),
    14: RdbReader._quicklist,
    15: lambda reader: reader._stream(1),
    18: RdbReader._quicklist2,
    19: lambda reader: reader._stream(2),
    21: lambda reader: reader._stream(3),
    22: lambda reader: reader._items(2, 8),
    24: RdbReader._hash_with_times,
    25: RdbReader._packed_with_times,
}
