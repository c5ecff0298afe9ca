"""Folders of this machine for secrets and plain data: nobody else's to read, and none outlives its process.

Whoever makes one holds the lock within it, which the kernel frees when the process dies. So what a killed
process leaves can be told from what is in use, and the next one removes it.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "strongroom-private-"
_NAME = re.compile(re.escape(_PREFIX) + r"[a-z0-9_]{8}")
_LOCK = ".lock"
# Seconds between making a folder and holding its lock that no process needs.
_BEGUN = 5.0


@contextmanager
def private_folder(where: str | None = None) -> Iterator[str]:
    """A new folder of mode 0700 within `where` (None: the temporary folder), gone at the end of the block.

    The hidden file in it is its lock. Raises `OSError`.
    """
    from filelock import FileLock

    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=where, ignore_cleanup_errors=True) as folder:
        lock = FileLock(Path(folder, _LOCK), mode=0o600, thread_local=False, fallback_to_soft=False)
        with suppress(OSError):  # where there are no locks, no sweep takes one for left behind
            lock.acquire(blocking=False)
        try:
            yield folder
        finally:
            lock.release()


def in_memory() -> str | None:
    """This user's folder in memory; None where there is none."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return runtime if runtime and os.access(runtime, os.W_OK) else None


def sweep_private() -> list[str]:
    """Remove the private folders whose process is dead; return their paths."""
    places = dict.fromkeys(filter(None, (tempfile.gettempdir(), in_memory())))
    return [str(folder) for place in places for folder in _left_in(Path(place)) if _removed(folder)]


def _left_in(place: Path) -> list[Path]:
    with suppress(OSError):
        return [entry for entry in place.iterdir() if _NAME.fullmatch(entry.name)]
    return []


def _removed(folder: Path) -> bool:
    from filelock import FileLock, Timeout

    path = folder / _LOCK
    try:
        about, its_lock = folder.lstat(), path.lstat()
        ours = not hasattr(os, "getuid") or about.st_uid == os.getuid()
        if folder.is_symlink() or not ours or time.time() - its_lock.st_mtime < _BEGUN:
            return False
        with FileLock(path, thread_local=False, blocking=False, fallback_to_soft=False):
            shutil.rmtree(folder, ignore_errors=True)
    except (OSError, Timeout):  # in use, or another process swept it in the same moment
        return False
    shutil.rmtree(folder, ignore_errors=True)  # Windows removes no open file: the lock's goes now
    return True
