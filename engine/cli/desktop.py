"""How the command line starts the window: by its name, when it is asked for, and kindly where it cannot."""

from __future__ import annotations

import importlib
import importlib.util

from engine.errors import UsageError
from engine.screen import require_screen

DESKTOP = "desktop.app"
"""The module of the window. The engine knows its name and nothing else about it."""


def start_desktop() -> int:
    """Start the window; returns its exit code. Raises `UsageError` where it cannot be shown."""
    require_desktop()
    window = importlib.import_module(DESKTOP)
    return int(window.main([]) or 0)


def require_desktop() -> None:
    """Raise `UsageError` where no window can be shown."""
    if importlib.util.find_spec("PySide6") is None:
        raise UsageError(
            "The desktop needs PySide6, which is not installed.",
            remedy='`pip install "strongroom[desktop]"` brings it. '
            "The command line does all of the same: see `strongroom --help`.",
        )
    require_screen()
