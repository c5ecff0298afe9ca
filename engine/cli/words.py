"""How the command line says sizes, durations and moments, and how it shows text that others wrote."""

from __future__ import annotations

from datetime import datetime

from engine.units import size_text, span_text

NOTHING = "-"
"""What a table shows where there is no value."""


def size(count: float | None) -> str:
    """Bytes, `1.4 MB`; a dash for None."""
    return NOTHING if count is None else size_text(count)


def duration(seconds: float | None) -> str:
    """Seconds, `3 min 20 s`; a dash for None."""
    return NOTHING if seconds is None else span_text(max(seconds, 0.0))


def moment(value: datetime | None) -> str:
    """A UTC moment on this machine's clock, `2026-11-24 03:00:05`; a dash for None."""
    return NOTHING if value is None else value.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def safe(text: object) -> str:
    """Text that others may have written (a sidecar, a tool, a file's name), fit for a terminal.

    Control characters, which could move the cursor or colour the screen, and those that turn the
    direction of writing are shown as a mark of their own; line ends stay.
    """
    return "".join(
        char if char.isprintable() or char == "\n" else " " if char == "\t" else "\N{REPLACEMENT CHARACTER}"
        for char in str(text)
    )


def cut(text: str, longest: int = 60) -> str:
    """The first line of a text, cut to `longest` characters where a table has no room for all of it."""
    line = text.splitlines()[0] if text.strip() else ""
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"
