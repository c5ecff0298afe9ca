"""Sizes, speeds and spans of time as people read them, one way everywhere."""

from __future__ import annotations

_UNITS = ("B", "kB", "MB", "GB", "TB")


def size_text(count: float) -> str:
    """Bytes with a decimal unit, as storage is sold and billed: `763 MB`, `1.9 GB`."""
    value = float(count)
    for unit in _UNITS:
        if abs(value) < 999.5 or unit == _UNITS[-1]:
            break
        value /= 1000
    return f"{value:.0f} {unit}" if value >= 99.95 or unit == "B" else f"{value:.1f} {unit}"


def speed_text(bytes_a_second: float) -> str:
    """`212 MB/s`."""
    return f"{size_text(bytes_a_second)}/s"


def span_text(seconds: float) -> str:
    """A span of time: `0.4 s`, `14 s`, `2 min 41 s`, `3 h 5 min`, `2 d 4 h`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _pair(whole, 60, "min", 1, "s")
    if whole < 86400:
        return _pair(whole, 3600, "h", 60, "min")
    return _pair(whole, 86400, "d", 3600, "h")


def _pair(whole: int, large: int, large_unit: str, small: int, small_unit: str) -> str:
    count, rest = whole // large, whole % large // small
    return f"{count} {large_unit} {rest} {small_unit}" if rest else f"{count} {large_unit}"


def counted(count: int, what: str) -> str:
    """`1 backup`, `3 backups`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def sentence(text: object) -> str:
    """The words with one stop at their end: what a tool or another error said may have its own."""
    words = str(text).strip()
    return words if words.endswith((".", "!", "?")) else f"{words}."
