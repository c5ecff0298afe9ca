"""HTTP/1.1 requests on their way through a proxy: where each head ends, and where its body does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

MOST_HEAD = 1 << 20
"""Bytes after which a head without an end is no HTTP."""


@dataclass(frozen=True)
class Head:
    """A request's first lines, as they came."""

    raw: bytes
    method: str
    target: str
    headers: dict[str, str]

    @classmethod
    def parse(cls, raw: bytes) -> Head:
        first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines)
        return cls(raw, method, target, {name.strip().lower(): its.strip() for name, _, its in pairs})

    @property
    def line(self) -> str:
        """Method and target, by which rules know it."""
        return f"{self.method} {self.target}"

    @property
    def waits_for_leave(self) -> bool:
        """Whether its body comes only after `100 Continue`."""
        return self.headers.get("expect", "").lower() == "100-continue"


@dataclass(frozen=True)
class Body:
    """Some bytes of the body, framing of chunks included."""

    raw: bytes


@dataclass(frozen=True)
class End:
    """The request is whole."""


class _State(Enum):
    HEAD = auto()
    BODY = auto()
    CHUNK_SIZE = auto()
    CHUNK = auto()
    TRAILER = auto()


class Requests:
    """Cuts one connection's bytes into requests. All that is fed comes out again, in order."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._state = _State.HEAD
        self._left = 0

    def feed(self, data: bytes) -> Iterator[Head | Body | End]:
        """The pieces that are complete by now. Raises ValueError for what is no HTTP."""
        self._buffer += data
        while (pieces := self._next()) is not None:
            yield from pieces

    def _next(self) -> list[Head | Body | End] | None:
        match self._state:
            case _State.HEAD:
                raw = self._until(b"\r\n\r\n")
                return None if raw is None else self._begin(Head.parse(raw))
            case _State.BODY | _State.CHUNK:
                return self._more_body()
            case _State.CHUNK_SIZE:
                raw = self._until(b"\r\n")
                if raw is None:
                    return None
                size = int(raw.split(b";", 1)[0], 16)
                self._state = _State.CHUNK if size else _State.TRAILER
                self._left = size + 2  # with the line's end after it
                return [Body(raw)]
            case _State.TRAILER:
                raw = self._until(b"\r\n")
                if raw is None:
                    return None
                if raw != b"\r\n":
                    return [Body(raw)]
                self._state = _State.HEAD
                return [Body(raw), End()]

    def _begin(self, head: Head) -> list[Head | Body | End]:
        self._left = int(head.headers.get("content-length", "0"))
        if "chunked" in head.headers.get("transfer-encoding", "").lower():
            self._state = _State.CHUNK_SIZE
            return [head]
        if self._left:
            self._state = _State.BODY
            return [head]
        return [head, End()]

    def _more_body(self) -> list[Head | Body | End] | None:
        if not self._buffer:
            return None
        raw = bytes(self._buffer[: self._left])
        del self._buffer[: len(raw)]
        self._left -= len(raw)
        if self._left:
            return [Body(raw)]
        if self._state is _State.CHUNK:
            self._state = _State.CHUNK_SIZE
            return [Body(raw)]
        self._state = _State.HEAD
        return [Body(raw), End()]

    def _until(self, end: bytes) -> bytes | None:
        at = self._buffer.find(end)
        if at < 0:
            if len(self._buffer) > MOST_HEAD:
                raise ValueError("this is no HTTP")
            return None
        raw = bytes(self._buffer[: at + len(end)])
        del self._buffer[: len(raw)]
        return raw
