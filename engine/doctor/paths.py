"""Looking at paths that may be no paths at all: too long, behind a closed folder, below a file."""

from __future__ import annotations

from pathlib import Path


def is_there(path: Path) -> bool:
    """Whether it is there, as far as can be told: a path that is no path is not."""
    try:
        return path.exists()
    except OSError:
        return False


def nearest(path: Path) -> Path:
    """The nearest folder above that is there."""
    return next(folder for folder in path.parents if is_there(folder))


def short(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 120 else f"{text[:117]}..."
