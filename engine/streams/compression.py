"""Compression stages: `feed(chunk)` and `finish()`, for zstd (multi-threaded), gzip, brotli and none.

Decompressors hand out bounded pieces, so that a small chunk that grows a thousandfold costs no memory;
they read several frames or members in a row, and refuse a cut stream and trailing garbage.
"""

from __future__ import annotations

import os
import sys
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from engine.errors import ConfigError, StreamError
from engine.readers import CHUNK


class _Algorithm(NamedTuple):
    suffix: str
    lowest: int
    highest: int
    default: int


ALGORITHMS = {
    # Above 19 ("ultra") a worker takes some 700 MB; that is no backup that runs beside other work.
    "zstd": _Algorithm(".zst", 1, 19, 3),
    "gzip": _Algorithm(".gz", 1, 9, 2),
    "brotli": _Algorithm(".br", 0, 11, 4),
    "none": _Algorithm("", 0, 0, 0),
}


@dataclass(frozen=True, slots=True)
class Compression:
    """How an artifact is compressed: an algorithm of `ALGORITHMS` and its level."""

    algorithm: str
    level: int

    @property
    def suffix(self) -> str:
        """What the artifact's name gets: `.zst`, `.gz`, `.br`, or nothing."""
        return ALGORITHMS[self.algorithm].suffix

    def describe(self) -> str:
        """For people: "zstd, level 3"."""
        return "not compressed" if self.algorithm == "none" else f"{self.algorithm}, level {self.level}"

    def __str__(self) -> str:
        return self.algorithm if self.algorithm == "none" else f"{self.algorithm}:{self.level}"


def parse_compression(text: str) -> Compression:
    """Read "zstd", "zstd:9", "gzip", "brotli:11" or "none". Raises `ConfigError` naming what is allowed."""
    algorithm, colon, level_text = text.strip().lower().partition(":")
    found = ALGORITHMS.get(algorithm)
    if found is None:
        raise ConfigError(
            f"{text!r} is no compression that Strongroom knows.",
            remedy=f"Use one of {', '.join(ALGORITHMS)}, with a level if you like: zstd:9.",
        )
    if not colon:
        return Compression(algorithm, found.default)
    if algorithm == "none":
        raise ConfigError("The compression none has no level.", remedy='Write "none".')
    try:
        level = int(level_text)
    except ValueError:
        level = found.lowest - 1
    if not found.lowest <= level <= found.highest:
        raise ConfigError(
            f"{level_text!r} is not a level of {algorithm}.",
            remedy=f"Use {algorithm}:{found.lowest} to {algorithm}:{found.highest}.",
        )
    return Compression(algorithm, level)


class Compressor(ABC):
    """A stage of the dump's stream."""

    @abstractmethod
    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk; return what is ready, perhaps nothing."""

    @abstractmethod
    def finish(self) -> bytes:
        """Return the rest, with the end mark. Called once."""


class Decompressor(ABC):
    """A stage of a restore's stream. Errors are `StreamError`s."""

    @abstractmethod
    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take a chunk; yield what it holds in pieces of about 1 MiB."""

    @abstractmethod
    def finish(self) -> None:
        """The input has ended: raise `StreamError` unless the compressed stream has ended too."""


def compressor(compression: Compression) -> Compressor:
    """A fresh stage for one artifact."""
    match compression.algorithm:
        case "zstd":
            return _ZstdCompressor(compression.level)
        case "gzip":
            return _GzipCompressor(compression.level)
        case "brotli":
            return _BrotliCompressor(compression.level)
        case _:
            return _Plain()


def decompressor(algorithm: str) -> Decompressor:
    """A fresh stage that reads what `compressor` or the standard tool wrote. Raises `StreamError`."""
    makers: dict[str, type[Decompressor]] = {
        "zstd": _ZstdDecompressor,
        "gzip": _GzipDecompressor,
        "brotli": _BrotliDecompressor,
        "none": _PlainDecompressor,
    }
    if algorithm not in makers:
        raise StreamError(
            f"The compression {algorithm!r} is not known here.",
            remedy="The backup may come from a newer Strongroom; update this one.",
        )
    return makers[algorithm]()


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


class _Plain(Compressor):
    def feed(self, chunk: bytes) -> bytes:
        return chunk

    def finish(self) -> bytes:
        return b""


class _ZstdCompressor(Compressor):
    def __init__(self, level: int) -> None:
        zstd = _zstd()
        self._compressor = zstd.ZstdCompressor(
            options={
                zstd.CompressionParameter.compression_level: level,
                zstd.CompressionParameter.checksum_flag: 1,
                zstd.CompressionParameter.nb_workers: min(os.cpu_count() or 1, 4),
            }
        )

    def feed(self, chunk: bytes) -> bytes:
        out: bytes = self._compressor.compress(chunk)
        return out

    def finish(self) -> bytes:
        out: bytes = self._compressor.flush()
        return out


class _GzipCompressor(Compressor):
    def __init__(self, level: int) -> None:
        # Intel's isal is ten times as fast as zlib and knows levels up to 3; who asks for more wants size.
        if level <= 3:
            from isal import isal_zlib

            self._compressor: Any = isal_zlib.compressobj(level, zlib.DEFLATED, 31)
        else:
            self._compressor = zlib.compressobj(level, zlib.DEFLATED, 31)

    def feed(self, chunk: bytes) -> bytes:
        out: bytes = self._compressor.compress(chunk)
        return out

    def finish(self) -> bytes:
        out: bytes = self._compressor.flush()
        return out


class _BrotliCompressor(Compressor):
    def __init__(self, level: int) -> None:
        import brotli

        self._compressor: Any = brotli.Compressor(quality=level)

    def feed(self, chunk: bytes) -> bytes:
        out: bytes = self._compressor.process(chunk)
        return out

    def finish(self) -> bytes:
        out: bytes = self._compressor.finish()
        return out


class _PlainDecompressor(Decompressor):
    def feed(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk

    def finish(self) -> None:
        """A plain stream has no end mark; its checksum tells."""


class _ZstdDecompressor(Decompressor):
    def __init__(self) -> None:
        self._zstd = _zstd()
        self._frame: Any = None
        self._seen = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._frame is None:
                self._frame = self._zstd.ZstdDecompressor()
                self._seen = True
            try:
                out = self._frame.decompress(chunk, CHUNK)
                while out:
                    yield out
                    out = b"" if self._frame.eof else self._frame.decompress(b"", CHUNK)
            except self._zstd.ZstdError as error:
                raise _damaged("zstd") from error
            chunk = b""
            if self._frame.eof:
                chunk, self._frame = self._frame.unused_data, None

    def finish(self) -> None:
        if self._frame is not None or not self._seen:
            raise _cut("zstd")


class _GzipDecompressor(Decompressor):
    def __init__(self) -> None:
        from isal import isal_zlib

        self._isal: Any = isal_zlib
        self._member: Any = None
        self._seen = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._member is None:
                self._member = self._isal.decompressobj(31)
                self._seen = True
            try:
                out = self._member.decompress(chunk, CHUNK)
            except self._isal.error as error:
                raise _damaged("gzip") from error
            if out:
                yield out
            chunk = self._member.unconsumed_tail
            if self._member.eof:
                chunk, self._member = self._member.unused_data, None

    def finish(self) -> None:
        if self._member is not None or not self._seen:
            raise _cut("gzip")


class _BrotliDecompressor(Decompressor):
    def __init__(self) -> None:
        import brotli

        self._error: Any = brotli.error
        self._stream: Any = brotli.Decompressor()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        if chunk and self._stream.is_finished():
            raise _damaged("brotli")
        try:
            out = self._stream.process(chunk, output_buffer_limit=CHUNK)
            while out:
                yield out
                if self._stream.can_accept_more_data():
                    break
                out = self._stream.process(b"", output_buffer_limit=CHUNK)
        except self._error as error:
            raise _damaged("brotli") from error

    def finish(self) -> None:
        if not self._stream.is_finished():
            raise _cut("brotli")


def _damaged(algorithm: str) -> StreamError:
    return StreamError(
        f"The {algorithm} stream is damaged.", remedy="Take another copy, or another backup of this database."
    )


def _cut(algorithm: str) -> StreamError:
    return StreamError(
        f"The {algorithm} stream is cut: its end is missing.",
        remedy="Take another copy, or another backup of this database.",
    )
