"""Scratch folders: for what a tool can write only as plain files, emptied in every outcome."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_STRAY_AFTER = 24 * 3600.0
"""Seconds after which a folder that belongs to no execution is a stray: no check takes that long."""


@contextmanager
def scratch_folder(root: Path, owner: str) -> Iterator[Path]:
    """Make a folder of mode 0700 under `root`, named after its `owner` (an execution's ID), and remove it."""
    folder = root / f"{owner}.{secrets.token_hex(4)}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(root: Path, is_dead: Callable[[str], bool]) -> list[str]:
    """Remove the folders and spool files under `root` whose owner is dead; return their names.

    `is_dead` is asked with the part before the first dot. What was made outside any execution has the
    owner `adhoc` and goes after a day.
    """
    removed = []
    for entry in sorted(root.iterdir()):
        owner = entry.name.split(".", 1)[0]
        try:
            stray = time.time() - entry.stat().st_mtime > _STRAY_AFTER
            if not (stray if owner == "adhoc" else is_dead(owner)):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        except FileNotFoundError:
            continue  # another process swept it in the same moment
        removed.append(entry.name)
    return removed
