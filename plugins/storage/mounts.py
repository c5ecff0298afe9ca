"""Tells a folder that is not there yet from a disk that is not mounted.

A backup that lands in the empty mount point of an unplugged disk lies on the very disk that it should
outlive, and nobody notices. So a folder is made only where nothing hints at a missing disk.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

FSTAB = Path("/etc/fstab")
MOUNTINFO = Path("/proc/self/mountinfo")
REMOVABLE = (Path("/media"), Path("/run/media"), Path("/mnt"), Path("/Volumes"))
"""Where systems mount disks that come and go."""
TEMPORARY = Path(os.path.realpath(tempfile.gettempdir()))
"""Nobody mounts a disk for backups below this one."""

_OCTAL = re.compile(r"\\([0-7]{3})")


def missing_disk(folder: Path) -> str | None:
    """Say in words which disk seems not to be mounted for `folder`, or None when nothing hints at that.

    A mount point of /etc/fstab at or above the folder that is not mounted and empty is such a disk; a
    filled one is not (an image or a container may carry a foreign fstab). A folder that does not exist
    is suspected in the places where removable disks appear, and below an empty folder, which is what
    the mount point of an unmounted disk looks like.
    """
    real = Path(os.path.realpath(folder))
    for point in _planned_mounts():
        if (real == point or point in real.parents) and not is_mount(point) and _is_empty(point):
            return f"/etc/fstab mounts a disk at {point}, which is not mounted now"
    if real.exists():
        return None
    above = [parent for parent in real.parents if parent.exists()]
    for base in REMOVABLE:
        if base in real.parents:
            inside = [place for place in above if place == base or base in place.parents]
            if not any(is_mount(place) for place in inside):
                return f"{base} is where removable disks appear, and none is mounted for this folder"
    nearest = above[0]
    if nearest == TEMPORARY or TEMPORARY in nearest.parents or is_mount(nearest):
        return None
    if _is_empty(nearest):
        return f"{nearest} is empty, as the mount point of a disk that is not mounted is"
    return None


def is_mount(folder: Path) -> bool:
    """Whether something is mounted at `folder` itself, bind mounts included where the system tells."""
    try:
        lines = MOUNTINFO.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return os.path.ismount(folder)
    real = os.path.realpath(folder)
    return any(_unescape(line.split(" ")[4]) == real for line in lines if line)


def _planned_mounts() -> list[Path]:
    try:
        lines = FSTAB.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
    rows = [line.split() for line in lines if not line.lstrip().startswith("#")]
    points = [Path(_unescape(row[1])) for row in rows if len(row) >= 3]
    return [point for point in points if point.is_absolute() and point != Path("/")]


def _is_empty(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _unescape(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
