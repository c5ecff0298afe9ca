"""What a storage's `put` reads from: a finite run of bytes whose length and digest are known at its end."""

from __future__ import annotations

import hashlib
import io
from abc import ABC, abstractmethod
from pathlib import Path

CHUNK = 1 << 20
"""The size of a chunk in bytes, wherever one is free to choose (1 MiB)."""


class Reader(ABC):
    """The bytes of one upload attempt, read once from the start.

    `read` waits for bytes that are still being made. It raises what ended the making, when that failed,
    and `Cancelled` when somebody asked to stop: an end of file is a promise that the bytes are whole.
    """

    @abstractmethod
    def read(self, size: int = CHUNK, /) -> bytes:
        """Return 1 to `size` bytes, waiting for them; b"" at the end alone."""

    @property
    @abstractmethod
    def size(self) -> int | None:
        """The whole length in bytes; None while it is not known yet."""

    @abstractmethod
    def sha256(self) -> str:
        """The SHA-256 of the whole, in lower-case hex; only after `read` has returned b""."""

    @property
    def path(self) -> Path | None:
        """The local file that holds the bytes, for storages that send sections of it; else None."""
        return None

    def taken(self, position: int) -> None:  # noqa: B027 - optional: only who shows progress listens
        """Told by a storage that sends sections of `path`: so many bytes of the whole have gone out.

        It is a sign of life, too: an upload of which nothing is heard for long is taken for stalled. Who
        uses `read` alone need not call it.
        """

    def wait_for(self, offset: int) -> int:
        """Wait until at least `offset` bytes exist or the end is known; return how many exist now."""
        if self.size is None:
            raise io.UnsupportedOperation("this reader cannot wait for an offset")
        return self.size


class BytesReader(Reader):
    """A reader over bytes in memory, for sidecars, locks, proofs and probes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._stream = io.BytesIO(data)

    def read(self, size: int = CHUNK, /) -> bytes:
        return self._stream.read(size)

    @property
    def size(self) -> int:
        return len(self._data)

    def sha256(self) -> str:
        return hashlib.sha256(self._data).hexdigest()
