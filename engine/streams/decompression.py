"""Decompression stages of a restore's stream: the way back from `compression.py`.

They hand out bounded pieces of 1 to 2 MiB, so that a small chunk that grows a thousandfold costs no memory;
read several frames or members in a row, as the standard tools do; and refuse a cut stream and garbage.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from engine.contract.readers import CHUNK
from engine.errors import StreamError
from engine.streams.compression import zstd_module

_REMEDY = "Take another copy, or another backup of this database."


class Decompressor(ABC):
    """A stage of a restore's stream. Errors are `StreamError`s."""

    @abstractmethod
    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take a chunk; yield what it holds in bounded pieces. To be read to its end."""

    @abstractmethod
    def finish(self) -> None:
        """The input has ended: raise `StreamError` unless the compressed stream has ended too."""


def decompressor(algorithm: str) -> Decompressor:
    """A fresh stage for an artifact of that compression. Raises `StreamError` for an unknown one."""
    match algorithm:
        case "zstd":
            return _Zstd()
        case "gzip":
            return _Gzip()
        case "brotli":
            return _Brotli()
        case "none":
            return _Plain()
        case _:
            raise StreamError(
                f"The compression {algorithm!r} is not known here.",
                remedy="The backup may come from a newer Strongroom: update this one.",
            )


class _Plain(Decompressor):
    def feed(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk

    def finish(self) -> None:
        """A plain stream has no end mark: only its checksum tells whether it is whole."""


class _Framed(Decompressor):
    """What the formats share: a stream is a row of frames, each with an end mark of its own."""

    name: ClassVar[str]
    error: Any
    """What the format's library raises."""

    def __init__(self) -> None:
        self._frame: Any = None
        self._frames = 0
        self._made = False  # whether the frame has given anything yet

    @abstractmethod
    def _open(self) -> Any:
        """The library's object for one frame."""

    @abstractmethod
    def _step(self, data: bytes) -> tuple[bytes, bytes, bool]:
        """Decompress some: what came out, the input left over, and whether more input is wanted."""

    @abstractmethod
    def _at_end(self) -> bool:
        """Whether the frame has ended."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        hungry = True
        while chunk or not hungry:
            if self._frame is None:
                self._frame = self._open()
                self._frames += 1
                self._made = False
            try:
                out, chunk, hungry = self._step(chunk)
            except self.error as error:
                if self._follows:
                    raise self._something_follows() from error
                raise StreamError(f"The {self.name} stream is damaged.", remedy=_REMEDY) from error
            if out:
                self._made = True
                yield out
            if self._at_end():
                self._frame, hungry = None, True

    def finish(self) -> None:
        if self._frame is not None and self._follows:
            raise self._something_follows()
        if self._frame is not None or not self._frames:
            raise StreamError(f"The {self.name} stream is cut: its end is missing.", remedy=_REMEDY)

    @property
    def _follows(self) -> bool:
        """Whether what is being read lies behind a whole frame, and has not shown to be another one."""
        return self._frames > 1 and not self._made

    def _something_follows(self) -> StreamError:
        return StreamError(f"Something follows the end of the {self.name} stream.", remedy=_REMEDY)


class _Zstd(_Framed):
    name = "zstd"

    def _open(self) -> Any:
        zstd = zstd_module()
        self.error = zstd.ZstdError
        return zstd.ZstdDecompressor()

    def _step(self, data: bytes) -> tuple[bytes, bytes, bool]:
        out = self._frame.decompress(data, CHUNK)
        return (
            (out, self._frame.unused_data, True) if self._frame.eof else (out, b"", self._frame.needs_input)
        )

    def _at_end(self) -> bool:
        return bool(self._frame.eof)


class _Gzip(_Framed):
    name = "gzip"

    def _open(self) -> Any:
        from isal import isal_zlib

        self.error = isal_zlib.error
        return isal_zlib.decompressobj(31)  # 31: a gzip header, and its checksum compared

    def _step(self, data: bytes) -> tuple[bytes, bytes, bool]:
        out = self._frame.decompress(data, CHUNK)
        rest = self._frame.unused_data if self._frame.eof else self._frame.unconsumed_tail
        return out, rest, len(out) < CHUNK

    def _at_end(self) -> bool:
        return bool(self._frame.eof)


class _Brotli(_Framed):
    name = "brotli"

    def _open(self) -> Any:
        import brotli

        self.error = brotli.error
        if self._frames:
            raise self._something_follows()
        return brotli.Decompressor()

    def _step(self, data: bytes) -> tuple[bytes, bytes, bool]:
        out = self._frame.process(data, output_buffer_limit=CHUNK)
        return out, b"", not out  # `can_accept_more_data` is True while output is still held back

    def _at_end(self) -> bool:
        return bool(self._frame.is_finished())
