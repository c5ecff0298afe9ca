"""What work leaves behind in this process: threads that still run, file descriptors that are still open."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ENDED_WITHIN = 2.0
"""Seconds within which every thread of a piece of work has ended, cancelled or not."""

_DESCRIPTORS = Path("/proc/self/fd")


def open_files() -> list[str]:
    """What this process's descriptors point at, on Linux; elsewhere nothing can be told."""
    found = []
    if _DESCRIPTORS.exists():
        for link in _DESCRIPTORS.iterdir():
            try:
                found.append(f"{link.name} {link.readlink()}")
            except FileNotFoundError:
                continue  # the descriptor that listed the folder
    return sorted(found)


@contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Fail if a thread of the block outlives it by `ENDED_WITHIN`, or a descriptor outlives it at all."""
    threads, files = set(threading.enumerate()), open_files()
    yield
    end = time.monotonic() + ENDED_WITHIN
    for thread in set(threading.enumerate()) - threads:
        thread.join(max(0.0, end - time.monotonic()))
        assert not thread.is_alive(), f"the thread {thread.name} was left behind"
    assert [file for file in open_files() if file not in files] == [], "descriptors were left open"
