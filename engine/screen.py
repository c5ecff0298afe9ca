"""Whether a window could be shown here, asked without Qt, which would end the process where it cannot."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from engine.errors import UsageError

WAIT = 2.0
"""Seconds for a display to take the call; one at the other end of an SSH connection may need some."""
X_SOCKETS = "/tmp/.X11-unix/X"  # noqa: S108 - the X protocol's own place (X(7))
X_PORT = 6000
_SCREENS = ("xcb", "wayland")
"""Qt's platforms that need a display; the others (offscreen, vnc ...) bring their own."""


def require_screen(environ: Mapping[str, str] | None = None) -> None:
    """Raise `UsageError`, with what to do instead, where no window can be shown."""
    if reason := screen_problem(os.environ if environ is None else environ):
        raise UsageError(
            f"There is no screen for the desktop: {reason}.",
            remedy="Start it in a graphical session. The command line does all of the same: see "
            "`strongroom --help`; `strongroom agent` runs the schedule.",
        )


def screen_problem(environ: Mapping[str, str]) -> str:
    """Why no window can be shown here, as the end of a sentence; empty when one can.

    Only X11 and Wayland can be asked. One that answers may still refuse this user, which Qt alone finds.
    """
    if sys.platform in ("win32", "darwin"):
        return ""
    platforms = [its.partition(":")[0] for its in environ.get("QT_QPA_PLATFORM", "").split(";") if its]
    if any(not its.startswith(_SCREENS) for its in platforms):
        return ""
    wayland, display = environ.get("WAYLAND_DISPLAY", ""), environ.get("DISPLAY", "")
    if not wayland and not display:
        return "neither DISPLAY nor WAYLAND_DISPLAY is set"
    if wayland and _answers(str(Path(environ.get("XDG_RUNTIME_DIR", ""), wayland))):
        return ""
    if display and _x_answers(display):
        return ""
    silent = [f"WAYLAND_DISPLAY is {wayland}"] * bool(wayland) + [f"DISPLAY is {display}"] * bool(display)
    return f"{' and '.join(silent)}, and nothing answers there"


def _x_answers(display: str) -> bool:
    """Whether an X server takes a call: `[host]:number[.screen]`, without a host by its socket (X(7))."""
    parsed = re.fullmatch(r"(?:.*/)?([^/]*):(\d+)(?:\.\d+)?", display)
    if parsed is None:
        return False
    host, number = parsed[1], int(parsed[2])
    if host not in ("", "unix"):
        try:
            socket.create_connection((host.strip("[]"), X_PORT + number), WAIT).close()
        except (OSError, OverflowError):
            return False
        return True
    path = f"{X_SOCKETS}{number}"
    return _answers(path) or (sys.platform == "linux" and _answers(f"\0{path}"))


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as calling:
        calling.settimeout(WAIT)
        try:
            calling.connect(path)
        except OSError:
            return False
    return True
