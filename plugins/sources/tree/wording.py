"""Paths and command lines in the words that people read."""

from __future__ import annotations

from collections.abc import Iterable


def shortened(text: str, most: int = 240) -> str:
    """A text with its middle left out where it is too long to be read."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}...{text[-half:]}"


def listed(names: Iterable[str], total: int = 0, most: int = 5) -> str:
    """The first names of those (or of `total`), each of a length that can be read, and how many more."""
    names = list(names)
    more = max(total, len(names)) - most
    return ", ".join(shortened(name) for name in names[:most]) + (f", and {more} more" if more > 0 else "")


def shown(argv: Iterable[str]) -> str:
    """A command line; the bytes in it that are no text are spelt out."""
    return " ".join(argv).encode("utf-8", "backslashreplace").decode()
