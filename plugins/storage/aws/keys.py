"""Names of files and the keys of their objects: a key is the configured prefix, a slash, and the name."""

from __future__ import annotations

import strongroom

_LONGEST = 1024
"""Bytes of UTF-8 in a key (the S3 user guide, "Naming Amazon S3 objects")."""


def check(name: str) -> None:
    """Raise `NameEscapes` for a name that is not relative and normalised, or that no key can hold.

    Servers and HTTP libraries may resolve "." and ".." in a path, so these never go out.
    """
    if set(name.split("/")) & {"", ".", ".."} or "\0" in name or not _is_unicode(name):
        raise strongroom.NameEscapes(f"{name!r} is no proper name for a file at a destination.")


def key(prefix: str, name: str) -> str:
    """The key of a file; raises `NameEscapes` for a name that is not to be used."""
    check(name)
    found = f"{prefix}/{name}" if prefix else name
    if len(found.encode()) > _LONGEST:
        raise strongroom.NameEscapes(
            f"{name!r} is too long: with its prefix an object's key has {_LONGEST} bytes at most.",
            remedy="Shorten the job's name, its naming template, or the destination's prefix.",
        )
    return found


def beginning(prefix: str, name: str) -> str:
    """What the keys of all files begin with whose names begin with `name`."""
    return f"{prefix}/{name}" if prefix else name


def name(prefix: str, key: str) -> str | None:
    """The name of the file with that key; None for a key that is none of ours (folder markers, say)."""
    if prefix:
        if not key.startswith(f"{prefix}/"):
            return None
        key = key[len(prefix) + 1 :]
    try:
        check(key)
    except strongroom.NameEscapes:
        return None
    return key


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
