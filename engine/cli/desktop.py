"""How the command line starts the window: by its name, when it is asked for, and kindly where it cannot."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

from engine.errors import UsageError

DESKTOP = "desktop.app"
"""The module of the window. The engine knows its name and nothing else about it."""


def start_desktop() -> int:
    """Start the window; returns its exit code. Raises `UsageError` where it cannot be shown."""
    require_desktop()
    window = importlib.import_module(DESKTOP)
    return int(window.main([]) or 0)


def require_desktop() -> None:
    """Raise `UsageError` where no window can be shown."""
    instead = "The command line does all of the same: see `strongroom --help`."
    if importlib.util.find_spec("PySide6") is None:
        raise UsageError(
            "The desktop needs PySide6, which is not installed.",
            remedy=f'`pip install "strongroom[desktop]"` brings it. {instead}',
        )
    if not has_display():
        raise UsageError(
            "There is no screen for the desktop: neither DISPLAY nor WAYLAND_DISPLAY is set.",
            remedy=f"Start it in a graphical session. {instead}",
        )


def has_display() -> bool:
    """Whether a window could be shown; only X11 and Wayland can be asked without starting one."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))
