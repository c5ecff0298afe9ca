"""What every list of databases in a configuration has to be."""

from __future__ import annotations


def distinct_names(values: list[str]) -> list[str]:
    """The names, each once, in their order. Raises `ValueError` for one that is blank."""
    if any(not value.strip() for value in values):
        raise ValueError("a name is empty; leave the list empty for every database")
    return list(dict.fromkeys(values))
