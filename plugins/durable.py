"""What makes a file last: synced to the disk, read back from there, and named only when it is whole."""

from __future__ import annotations

import errno
import hashlib
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import strongroom

WRITEBACK = 32 << 20
"""Bytes after which the kernel is asked to begin writing."""

_NO_LINKS = frozenset(
    {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL, errno.EACCES}
)
"""How file systems without hard links answer: FAT and exFAT EPERM, network and FUSE ones the others."""


def create(path: Path) -> int:
    """Make a new file (0600) for writing and return its descriptor; a link of that name is not followed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    return os.open(path, flags | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0), 0o600)


def open_plain(path: Path) -> int:
    """Open a file for reading and return its descriptor; a link of that name is not followed."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


class Writer:
    """A new file that grows chunk by chunk; the kernel is kept writing, so that the last sync is short."""

    def __init__(self, path: Path) -> None:
        self._descriptor = create(path)
        self._asked = 0
        self.size = 0

    def add(self, chunk: bytes) -> None:
        """Append all of `chunk`."""
        view = memoryview(chunk)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self.size += len(chunk)
        if self.size - self._asked >= WRITEBACK:
            _forget(self._descriptor, self._asked, self.size - self._asked)
            self._asked = self.size

    def finish(self) -> None:
        """Return when the disk holds all of it."""
        sync(self._descriptor)

    def close(self) -> None:
        """Let go of the file; safe to call twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor != -1:
            os.close(descriptor)


def sync(descriptor: int) -> None:
    """Have the disk hold the file. macOS's own fsync stops at the disk's cache; F_FULLFSYNC does not."""
    if sys.platform == "darwin":
        import fcntl

        with suppress(OSError):  # network file systems lack it
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Have the disk hold the names in a folder; where folders cannot be synced, there is nothing to do."""
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return  # a folder that we may write in and not read
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EACCES):
            raise
    finally:
        os.close(descriptor)


def digest(path: Path, alive: Callable[[], None]) -> tuple[int, str]:
    """Read a file from the disk, not from the page cache, and return its bytes and SHA-256."""
    descriptor = open_plain(path)
    try:
        _forget(descriptor, 0, 0)
        if sys.platform == "darwin":
            import fcntl

            fcntl.fcntl(descriptor, fcntl.F_NOCACHE, 1)
        sha, size = hashlib.sha256(), 0
        while chunk := os.read(descriptor, strongroom.CHUNK):
            alive()
            sha.update(chunk)
            size += len(chunk)
        _forget(descriptor, 0, 0)  # a backup should not push the database out of the cache
        return size, sha.hexdigest()
    finally:
        os.close(descriptor)


def publish(temporary: Path, target: Path, *, overwrite: bool) -> None:
    """Give a whole file its name, at once and for good. Raises `FileExistsError` without `overwrite`."""
    if overwrite:
        temporary.replace(target)
    elif not _link(temporary, target):
        _reserve(temporary, target)
    try:
        sync_folder(target.parent)
    except OSError:
        if not overwrite:
            target.unlink(missing_ok=True)
        raise


def _link(temporary: Path, target: Path) -> bool:
    """Rename by a hard link, the one portable rename that never replaces; False where there are none."""
    try:
        os.link(temporary, target, follow_symlinks=False)
    except NotImplementedError:
        return False
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise
    try:
        temporary.unlink()
    except OSError:
        with suppress(OSError):
            target.unlink()
        raise
    return True


def _reserve(temporary: Path, target: Path) -> None:
    """Rename without hard links: take the name with an empty file that only one process can make."""
    if sys.platform == "win32":
        temporary.rename(target)  # never replaces there
        return
    os.close(create(target))
    try:
        temporary.replace(target)
    except OSError:
        with suppress(OSError):
            target.unlink()
        raise


def _forget(descriptor: int, offset: int, length: int) -> None:
    """Drop (after writing) a part of the file from the page cache; `length` 0 means to its end."""
    if sys.platform == "linux":
        with suppress(OSError):  # advice only: some file systems take none
            os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)
