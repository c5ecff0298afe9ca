"""Looking through what is chosen of a folder before it is archived, by one walk of find."""

from __future__ import annotations

from collections.abc import Sequence

from plugins.sources.tree import archiving, choosing
from plugins.sources.tree.archiving import Tools
from plugins.sources.tree.choosing import Wanted
from plugins.sources.tree.wording import listed
from strongroom import Context, SourceError

LONGEST = 4095 - len("./")
"""Bytes that a path below the folder has at most: tar opens it from there, and Linux takes no more."""
_DENIED, _LONG = b"-", b"+"  # among find's letters for what an entry is
_SOME = 5


def look(context: Context, tools: Tools, folder: str, chosen: list[str], include: Sequence[str]) -> str:
    """See that all that is chosen can be read; `chosen` is find's command line.

    Returns what to say of patterns that have chosen no file. Raises `SourceError` for files that this user
    may not read, for paths that nobody can open, and when nothing is chosen at all.
    """
    *line, _, printed = chosen
    line += _told(["!", "-type", "l", "!", "-type", "d", "!", "-readable"], _DENIED)
    line += _told(choosing.longer(folder, LONGEST), _LONG)
    wanted = Wanted(include)
    told: dict[bytes, list[str]] = {_DENIED: [], _LONG: []}
    counts = dict.fromkeys(told, 0)
    # Without patterns to wait for, what is all right need not be told.
    last = ["-printf", printed] if include else []
    with context.host.run([tools.find, *line, *last], env={"LC_ALL": "C"}) as finder:
        for entries in archiving.found(finder):
            for entry in entries:
                kind, name = entry[:1], entry[1:]
                if kind not in told:
                    wanted.see(kind, name)
                    continue
                counts[kind] += 1
                if counts[kind] <= _SOME:
                    told[kind].append(name.decode("utf-8", "replace"))
        finder.wait()
        said = finder.stderr()
    # Folders that it may not look into, find itself complains of.
    closed = [text.removeprefix("find: ") for text in said.splitlines() if "Permission denied" in text]
    if denied := [*told[_DENIED], *closed]:
        total = counts[_DENIED] + len(closed)
        raise SourceError(
            f"Not all of {folder} is open to this user: {listed(denied, total)}.",
            remedy="Run as a user that may read them (the owner, or root), or leave them out (exclude).",
        )
    if told[_LONG]:
        raise archiving.too_long(folder, listed(told[_LONG], counts[_LONG]) + ".")
    wanted.refuse_nothing(folder)
    return wanted.words(folder)


def _told(tests: list[str], mark: bytes) -> list[str]:
    """Print what passes the tests, with a mark in front, and go on with every entry."""
    return ["(", *tests, "-printf", rf"{mark.decode()}%P\0", "-o", "-true", ")"]
