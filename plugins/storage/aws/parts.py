"""How large the parts of a multipart upload are, and how they are read from the spool's file.

S3 allows 10,000 parts of 5 MiB (the last one less) to 5 GiB each. An upload begins while its length is not
known, so the parts grow: small ones at first, for a short wait and little to send again, large ones when
the file has turned out to be large.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import strongroom

FIRST = 8 << 20
"""Bytes of the first parts; what is known to be smaller goes out in one request."""
MOST = 10_000
"""Parts that an upload may have (the S3 user guide, "Multipart upload limits")."""
BLOCK = 1 << 18
"""Bytes that are read, and handed to the socket, at once."""
_SAME = 1_000


def part_size(number: int) -> int:
    """Bytes of part `number` (from 1), unless the file ends in it: doubled after every thousand parts.

    8 MiB up to 7.8 GiB, 16 MiB up to 23 GiB, 512 MiB from 496 GiB on; in all 7.8 TiB.
    """
    return int(FIRST << ((number - 1) // _SAME))


class Section:
    """A stretch of a file as the body of a request: hashed first, then sent, in blocks of one buffer.

    It is what botocore takes for a file, but hands on blocks of its own size and, in place of bytes, a view
    of its buffer, which is valid until the next `read`. `sha256` is set by `hash`.
    """

    def __init__(
        self,
        file: BinaryIO,
        buffer: memoryview,
        start: int,
        length: int,
        told: Callable[[int], None],
        go_on: Callable[[], None] = lambda: None,
    ) -> None:
        """`told(bytes)` hears what has gone out; `go_on` is called before each block, and raises to stop."""
        self._file = file
        self._buffer = buffer
        self._start = start
        self._length = length
        self._told = told
        self._go_on = go_on
        self._position = 0
        self.sha256 = b""
        self.error: BaseException | None = None

    def hash(self) -> bytes:
        """Read the whole and return its SHA-256 (32 bytes)."""
        digest = hashlib.sha256()
        self.seek(0)
        while block := self._next():
            digest.update(block)
        self.seek(0)
        self.sha256 = digest.digest()
        return self.sha256

    def read(self, size: int = -1) -> memoryview:
        """The next block, whatever `size` says; empty at the end. Tells of what went out before."""
        try:
            # Who asks for more has handed the socket all that it was given.
            self._told(self._position)
            return self._next()
        except BaseException as error:  # what passes through botocore comes out as its own error
            self.error = error
            raise

    def _next(self) -> memoryview:
        self._go_on()
        wanted = min(len(self._buffer), self._length - self._position)
        if wanted == 0:
            return self._buffer[:0]
        try:
            self._file.seek(self._start + self._position)
            found: int = self._file.readinto(self._buffer[:wanted])  # type: ignore[attr-defined]
        except OSError as error:
            raise unreadable(self._file.name, error) from error
        if found == 0:
            raise strongroom.StorageError(
                f"The file {getattr(self._file, 'name', '')} was cut short by somebody else."
            )
        self._position += found
        return self._buffer[:found]

    def seek(self, position: int, whence: int = 0) -> int:
        self._position = position + (0, self._position, self._length)[whence]
        return self._position

    def tell(self) -> int:
        return self._position


def open_file(path: Path) -> BinaryIO:
    """Open a file for sections: a handle of its own for every thread, for it has one position."""
    try:
        return path.open("rb", buffering=0)
    except OSError as error:
        raise unreadable(str(path), error) from error


def unreadable(path: str, error: OSError) -> strongroom.StorageError:
    """The error for a spool that gives nothing any more."""
    return strongroom.StorageError(f"The file {path} cannot be read: {error.strerror}.")
