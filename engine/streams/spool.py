"""The spool: the local file in which an artifact grows while the uploads follow it.

One thread writes and many read, each from the start; a reader waits at the tail, and raises what ended
the writing. The SHA-256 is computed while it is written. One file descriptor serves all.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.cancellation import CancelToken
from engine.contract.readers import CHUNK, Reader
from engine.errors import SpoolError
from engine.units import size_text

_CHECK_EVERY = 16 << 20
_RESERVE = 32 << 20
"""Bytes that the spool leaves free: the store, mostly on the same disk, still has to say what went wrong."""


def free_bytes(folder: Path) -> int:
    """Bytes that this user may still write below `folder`."""
    return shutil.disk_usage(folder).free


def make_spool_folder(folder: Path, *, allow_tmpfs: bool = False) -> Path:
    """Make the folder (mode 0700) if it is missing, and return it.

    Raises `SpoolError` when that fails, and for a folder in memory unless `allow_tmpfs`: an artifact of
    the database's size would push the machine out of memory.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
        in_memory = not allow_tmpfs and _filesystem(folder) in ("tmpfs", "ramfs")
    except OSError as error:
        raise SpoolError(
            f"The spool folder {folder} cannot be used: {error.strerror}.",
            remedy="Make it writable, or name another folder by STRONGROOM_SPOOL.",
        ) from error
    if in_memory:
        raise SpoolError(
            f"The spool folder {folder} lies in memory (tmpfs): a large dump would exhaust it.",
            remedy="Name a folder on a disk by STRONGROOM_SPOOL; STRONGROOM_SPOOL_TMPFS=allow allows memory.",
        )
    return folder


def _filesystem(folder: Path) -> str:
    """The type of the file system that holds `folder`; "" where the system does not tell (Linux does)."""
    if not sys.platform.startswith("linux"):
        return ""
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:  # noqa: PTH123
        for line in mounts:
            left, _, right = line.partition(" - ")
            if left.split(" ", 3)[2] == wanted:
                return right.split(" ", 1)[0]
    return ""


class Spool:
    """The growing file. `write`, then `finish` or `fail`, then `close`, which removes it."""

    def __init__(self, path: Path, cancel: CancelToken) -> None:
        """Make the file, which must not exist (mode 0600). Raises `SpoolError`."""
        self.path = path
        self._cancel = cancel
        self._hash = hashlib.sha256()
        self._changed = threading.Condition()
        self._size = 0
        self._next_check = _CHECK_EVERY
        self._users = 0
        self._finished = False
        self._error: BaseException | None = None
        self._closed = False
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            self._fd = os.open(path, flags, 0o600)
        except OSError as error:
            raise self._failed(error) from error

    @property
    def size(self) -> int:
        """Bytes written so far; the artifact's size once finished."""
        return self._size

    @property
    def finished(self) -> bool:
        """Whether the artifact is whole."""
        return self._finished

    @property
    def failed(self) -> bool:
        """Whether the writing has ended with an error, or the file is gone."""
        return self._error is not None

    @property
    def sha256(self) -> str:
        """The SHA-256 of what is written so far, in lower-case hex; the artifact's once finished."""
        return self._hash.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Append a chunk.

        Raises `SpoolError` when the disk is full or fails, what `fail` was given, and `Cancelled`.
        """
        with self._in_use():
            if self._size >= self._next_check:
                self._check_room()
            rest = memoryview(chunk)
            try:
                while rest:
                    rest = rest[os.write(self._fd, rest) :]
            except OSError as error:
                raise self._failed(error) from error
        self._hash.update(chunk)
        with self._changed:
            self._size += len(chunk)
            self._changed.notify_all()

    def finish(self) -> None:
        """Say that the artifact is whole: readers get their end of file."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Make every reader raise `error`, at once; the first error stays."""
        with self._changed:
            if self._error is None:
                self._error = error
            self._changed.notify_all()

    def reader(self) -> SpoolReader:
        """A reader of its own, from the start; as many as one likes, from any thread."""
        return SpoolReader(self)

    def close(self) -> None:
        """Remove the file. Readers that are still at it raise. Safe to call twice."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            if self._error is None:
                self._error = SpoolError("The spool was closed.")
            self._changed.notify_all()
            # A descriptor closed under a reader, or the writer, could be another file's a moment later.
            self._changed.wait_for(lambda: self._users == 0)
        os.close(self._fd)
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def wait_beyond(self, position: int) -> int:
        """Wait until there are more than `position` bytes or the artifact is whole; return its size now.

        Raises what `fail` was given, and `Cancelled`.
        """
        with self._cancel.calling(self._wake), self._changed:
            self._changed.wait_for(
                lambda: (
                    self._size > position
                    or self._finished
                    or self._error is not None
                    or self._cancel.cancelled
                )
            )
            self._raise_if_stopped()
            return self._size

    def read_at(self, position: int, size: int) -> bytes:
        """Read bytes that are there, without waiting."""
        try:
            with self._in_use():
                if sys.platform == "win32":  # no pread there
                    with self.path.open("rb", buffering=0) as file:
                        file.seek(position)
                        return file.read(size)
                return os.pread(self._fd, size, position)
        except OSError as error:
            raise SpoolError(
                f"The spool {self.path} cannot be read: {error.strerror}.", remedy="Check the disk."
            ) from error

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """Keep the descriptor open for the block; raises when there is none to be used any more."""
        with self._changed:
            self._raise_if_stopped()
            self._users += 1
        try:
            yield
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify_all()

    def _raise_if_stopped(self) -> None:
        self._cancel.raise_if_cancelled()
        if self._error is not None:
            raise self._error

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _check_room(self) -> None:
        self._next_check = self._size + _CHECK_EVERY
        if free_bytes(self.path.parent) < _RESERVE:
            raise self._failed(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    def _failed(self, error: OSError) -> SpoolError:
        folder = self.path.parent
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            try:
                free = f"{size_text(free_bytes(folder))} free"
            except OSError:
                free = "free space unknown"
            return SpoolError(
                f"The spool folder {folder} is full ({free}) after {size_text(self._size)} of this artifact.",
                remedy="Free some space there, or choose a spool folder on a larger disk.",
            )
        return SpoolError(
            f"The spool {self.path} cannot be written: {error.strerror}.",
            remedy=f"Check the folder {folder} and its disk.",
        )


class SpoolReader(Reader):
    """One upload attempt's view of a spool, from the start."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.position = 0

    def read(self, size: int = CHUNK, /) -> bytes:
        available = self._spool.wait_beyond(self.position)
        data = b""
        if available > self.position:
            data = self._spool.read_at(self.position, min(size, available - self.position))
            if not data:
                raise SpoolError(f"The spool {self._spool.path} was cut short by somebody else.")
        self.position += len(data)
        return data

    @property
    def size(self) -> int | None:
        return self._spool.size if self._spool.finished else None

    def sha256(self) -> str:
        if not self._spool.finished:
            raise SpoolError("The artifact's SHA-256 is known only at its end.")
        return self._spool.sha256

    @property
    def path(self) -> Path:
        return self._spool.path

    def wait_for(self, offset: int) -> int:
        return self._spool.wait_beyond(offset - 1)
