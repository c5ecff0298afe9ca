"""The names that a folder takes: which ones leave it, which ones are the system's, which are temporary."""

from __future__ import annotations

import re
import secrets
import sys

import strongroom

_PARTIAL = re.compile(r"\..+\.[0-9a-f]{16}\.partial", re.DOTALL)
_LONGEST = 255
"""Bytes in a file name, on nearly all file systems."""

_SYSTEMS = frozenset(
    {
        "#snapshot",
        "$RECYCLE.BIN",
        ".DocumentRevisions-V100",
        ".Spotlight-V100",
        ".Trashes",
        ".fseventsd",
        ".snapshot",
        ".snapshots",
        "@eaDir",
        "System Volume Information",
        "lost+found",
    }
)
"""What systems keep at the top of a disk: often unreadable to us, or full of copies of our own files."""


def parts(name: str) -> list[str]:
    """Split a name into its folders and its file; raises `NameEscapes` for one that is not to be used."""
    found = _split(name)
    if is_foreign(name) or is_temporary(name):
        raise strongroom.NameEscapes(f"{name!r} is a name that this destination keeps for other files.")
    return found


def temporary_parts(name: str) -> list[str]:
    """Split the name of an upload's temporary file; raises `NameEscapes` for any other name."""
    found = _split(name)
    if is_foreign(name) or not is_temporary(name):
        raise strongroom.NameEscapes(f"{name!r} is not the name of an upload under way.")
    return found


def temporary(name: str) -> str:
    """A name for the file (without folders) while it is being written; no two are alike."""
    end = f".{secrets.token_hex(8)}.partial"
    return "." + name.encode()[: _LONGEST - 1 - len(end)].decode(errors="ignore") + end


def is_temporary(name: str) -> bool:
    """Whether a name is one that `temporary` gave."""
    return _PARTIAL.fullmatch(name.rpartition("/")[2]) is not None


def is_foreign(name: str) -> bool:
    """Whether a name is not one of ours: the system's own folders, and bytes that are not Unicode."""
    top = name.split("/", 1)[0]
    return top in _SYSTEMS or top.startswith(".Trash-") or not _is_unicode(name)


def _split(name: str) -> list[str]:
    found = name.split("/")
    bad = "\0\\:" if sys.platform == "win32" else "\0"
    if set(found) & {"", ".", ".."} or set(name) & set(bad) or not _is_unicode(name):
        raise strongroom.NameEscapes(f"{name!r} is no proper name for a file at a destination.")
    return found


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
