"""The small parts of an RDB file, walked over in pieces: lengths, strings, numbers, packed texts.

Each walk is a generator that stops where the data at hand end, and goes on when there are more.
"""

from __future__ import annotations

from collections.abc import Generator

Walk = Generator[None, None, None]
Number = Generator[None, None, int]

HEAD = 10
"""How many bytes of a packed collection have to be seen to tell how many parts it has."""
ROOM = 16 << 10
"""More than a string with a length of 14 bits takes."""


class Unknown(Exception):
    """Something that a newer server writes."""


class Walker:
    """Data that come in pieces, and how far they have been walked over."""

    def __init__(self) -> None:
        self._data = b""
        self._at = 0

    def _need(self, size: int) -> Walk:
        while len(self._data) - self._at < size:
            yield

    def _skip(self, size: int) -> Walk:
        while (rest := self._at + size - len(self._data)) > 0:
            size = rest
            self._at = len(self._data)
            yield
        self._at += size

    def _integer(self, size: int) -> Number:
        yield from self._need(size)
        self._at += size
        return int.from_bytes(self._data[self._at - size : self._at], "little")

    def _lengths(self, count: int) -> Walk:
        for _ in range(count):
            yield from self._length()

    def _length(self) -> Number:
        size, special = yield from self._header()
        if special:
            raise Unknown
        return size

    def _header(self) -> Generator[None, None, tuple[int, bool]]:
        """A length; or, with True, the number of an encoding."""
        yield from self._need(1)
        first = self._data[self._at]
        if first < 0x40:
            self._at += 1
            return first, False
        if first < 0x80:
            yield from self._need(2)
            self._at += 2
            return (first & 0x3F) << 8 | self._data[self._at - 1], False
        if first >= 0xC0:
            self._at += 1
            return first & 0x3F, True
        if first not in (0x80, 0x81):
            raise Unknown
        width = 4 if first == 0x80 else 8
        yield from self._need(1 + width)
        self._at += 1 + width
        return int.from_bytes(self._data[self._at - width : self._at], "big"), False

    def _string(self) -> Number:
        """Skip a string; return how long it is, written out."""
        size, special = yield from self._header()
        if not special:
            yield from self._skip(size)
            return size
        if size <= 2:
            width = 1 << size
            yield from self._need(width)
            self._at += width
            value = int.from_bytes(self._data[self._at - width : self._at], "little", signed=True)
            return len(str(value))
        if size != 3:
            raise Unknown
        packed = yield from self._length()
        written = yield from self._length()
        yield from self._skip(packed)
        return written

    def _begin(self) -> Generator[None, None, bytes]:
        """Skip a string; return its first bytes, written out."""
        size, special = yield from self._header()
        if not special:
            yield from self._need(min(size, HEAD))
            head = self._data[self._at : self._at + min(size, HEAD)]
            yield from self._skip(size)
            return head
        if size != 3:
            raise Unknown
        packed = yield from self._length()
        yield from self._length()
        few = min(packed, 4 * HEAD)
        yield from self._need(few)
        head = unpacked(self._data[self._at : self._at + few], HEAD)
        yield from self._skip(packed)
        return head

    def _text(self) -> Generator[None, None, bytes]:
        """A key's name, written out."""
        yield from self._need(1)
        first = self._data[self._at]
        if first < 0xC0:
            size, _ = yield from self._header()
            yield from self._need(size)
            self._at += size
            return self._data[self._at - size : self._at]
        if first == 0xC3:
            self._at += 1
            packed = yield from self._length()
            written = yield from self._length()
            yield from self._need(packed)
            self._at += packed
            return unpacked(self._data[self._at - packed : self._at], written)
        width = 1 << (first & 0x3F)
        if width > 4:
            raise Unknown
        self._at += 1
        yield from self._need(width)
        self._at += width
        value = int.from_bytes(self._data[self._at - width : self._at], "little", signed=True)
        return b"%d" % value

    def _strings(self, count: int, more: int = 0, *, each: int = 1) -> Walk:
        """Skip many strings, `more` bytes behind each `each` of them; most are short, and go fast."""
        if more and each != 1:
            for _ in range(count):
                yield from self._strings(each)
                yield from self._skip(more)
            return
        while count:
            data, at = self._data, self._at
            safe = len(data) - ROOM - more - 16
            while count and at < safe:
                first = data[at]
                if first < 0x40:
                    at += first + 1 + more
                elif first < 0x80:
                    at += ((first & 0x3F) << 8 | data[at + 1]) + 2 + more
                elif 0xC0 <= first <= 0xC2:
                    at += 1 + (1 << (first & 3)) + more
                else:
                    break
                count -= 1
            self._at = at
            if count:
                yield from self._string()
                if more:
                    yield from self._skip(more)
                count -= 1


def unpacked(data: bytes, size: int) -> bytes:
    """The first `size` bytes of LZF, as `lzf_d.c` reads it: literal runs, and copies of what came before."""
    out = bytearray()
    at = 0
    while at < len(data) and len(out) < size:
        control = data[at]
        at += 1
        if control < 32:
            out += data[at : at + control + 1]
            at += control + 1
            continue
        length = control >> 5
        if length == 7:
            length += data[at]
            at += 1
        begin = len(out) - ((control & 0x1F) << 8) - data[at] - 1
        at += 1
        for offset in range(begin, begin + length + 2):
            out.append(out[offset])
    return bytes(out[:size])
