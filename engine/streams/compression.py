"""Compression as a job names it, and its stage of the dump's stream: zstd, gzip, brotli or none.

What it writes is the standard format, for `zstd -d`, `gunzip` and `brotli -d`; `decompression.py` is
the way back.
"""

from __future__ import annotations

import os
import sys
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

from engine.contract.readers import CHUNK
from engine.errors import ConfigError


class _Algorithm(NamedTuple):
    suffix: str
    lowest: int
    highest: int
    default: int


ALGORITHMS = {
    # Defaults by measurement on a mixed PostgreSQL dump, one core: zstd:3 193 MB/s to 24.6 %, gzip:3
    # (isal) 312 MB/s to 25.8 %, zlib's level 6 40 MB/s to 24.2 %, brotli:4 43 MB/s to 23.0 %.
    # zstd above 19 ("ultra") takes several hundred MB a worker: no work to do beside a live database.
    "zstd": _Algorithm(".zst", 1, 19, 3),
    "gzip": _Algorithm(".gz", 1, 9, 3),
    "brotli": _Algorithm(".br", 0, 11, 4),
    "none": _Algorithm("", 0, 0, 0),
}


_ZSTD_THREADED = 9
"""The highest level with worker threads. Above it each worker's tables take 30 to 110 MiB, and a cancel
waits seconds, holding up the whole process, for what the workers have begun."""


@dataclass(frozen=True, slots=True)
class Compression:
    """How an artifact is compressed: an algorithm of `ALGORITHMS` and its level."""

    algorithm: str
    level: int

    @property
    def suffix(self) -> str:
        """What the artifact's name gets: `.zst`, `.gz`, `.br`, or nothing."""
        return ALGORITHMS[self.algorithm].suffix

    @property
    def step(self) -> int:
        """Bytes to feed at a time, so that one call takes a fraction of a second and a cancel is noticed."""
        slow = self.algorithm == "brotli" or (self.algorithm == "zstd" and self.level > _ZSTD_THREADED)
        return 64 << 10 if slow else CHUNK

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


def zstd_module() -> Any:
    """The standard library's zstd, or its backport before Python 3.14; loaded when it is needed."""
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
        zstd = zstd_module()
        options = {
            zstd.CompressionParameter.compression_level: level,
            zstd.CompressionParameter.checksum_flag: 1,
        }
        if level <= _ZSTD_THREADED:
            # More than four workers outrun any single dump. Jobs of 2 MiB instead of zstd's own 8 MiB are
            # as fast and as small on real dumps, in 27 MiB of memory instead of 87 (level 3, four workers).
            options[zstd.CompressionParameter.nb_workers] = min(os.cpu_count() or 1, 4)
            options[zstd.CompressionParameter.job_size] = 2 << 20
        if level == ALGORITHMS["zstd"].default:
            # Half of zstd's own tables: they stay in the nearest cache of each core, beside a window of the
            # same 2 MiB. Measured on dumps, rows, programs and source code, that takes 8 to 20 % less
            # processor time from the machine of a live database, for -0.7 to +1.6 % in size.
            options[zstd.CompressionParameter.hash_log] = 16
            options[zstd.CompressionParameter.chain_log] = 15
        self._compressor = zstd.ZstdCompressor(options=options)

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
