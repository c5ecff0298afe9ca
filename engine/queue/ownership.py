"""Who runs an execution: an OS lock on a file of its own, which the kernel frees when its process dies.

Only an execution whose lock can be taken may be settled by anybody else: no timeout, no heartbeat and
no process ID (which is used again) could tell as surely that nobody runs it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import StoreError

if TYPE_CHECKING:
    from filelock import BaseFileLock

_SUFFIX = ".lock"


class Lock:
    """A held lock. `release` it when the execution is settled; the end of the process does so too."""

    def __init__(self, held: BaseFileLock, path: Path) -> None:
        self._held = held
        self._path = path

    def release(self) -> None:
        """Let go, and remove the file. Safe to call twice."""
        if not self._held.is_locked:
            return
        # Removed while it is held: whoever opened it before finds that it lost its name, and does not
        # take the nameless file for a lock (filelock looks). Windows removes no open file: afterwards there.
        _remove(self._path)
        self._held.release()
        _remove(self._path)

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


class Ownership:
    """The locks of one installation, all in one folder on a local disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, execution_id: str) -> Lock | None:
        """Take the execution's lock; None when somebody holds it, this process included.

        Raises `StoreError` when the folder cannot hold locks.
        """
        from filelock import FileLock, Timeout

        path = self._path(execution_id)
        # A soft lock would outlive its process, so it is no fallback here.
        held = FileLock(path, mode=0o600, thread_local=False, blocking=False, fallback_to_soft=False)
        try:
            held.acquire()
        except Timeout:
            return None
        except OSError as error:
            raise StoreError(
                f"The lock file {path} cannot be made: {error.strerror}.",
                remedy="STRONGROOM_HOME must be on a local disk that you may write to.",
            ) from error
        return Lock(held, path)

    def is_free(self, execution_id: str) -> bool:
        """Whether nobody runs the execution."""
        if not self._path(execution_id).exists():
            return True
        lock = self.take(execution_id)
        if lock is None:
            return False
        lock.release()
        return True

    def sweep(self, active: Collection[str]) -> int:
        """Remove the lock files of what is not `active` and not held; return how many."""
        removed = 0
        for path in self._folder.glob(f"*{_SUFFIX}"):
            execution_id = path.name.removesuffix(_SUFFIX)
            if execution_id not in active and (lock := self.take(execution_id)) is not None:
                lock.release()
                removed += 1
        return removed

    def _path(self, execution_id: str) -> Path:
        return self._folder / f"{execution_id}{_SUFFIX}"


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # a file that stays costs nothing: it is swept later
        path.unlink(missing_ok=True)
