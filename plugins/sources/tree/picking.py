"""Restoring some paths of a backup into a folder that is in use: each takes the place of what is there.

All of them are unpacked beside the folder first, so that a backup without one of them, or one that is cut,
changes nothing. Then each is renamed into its place, what was there being kept until all have theirs.
"""

from __future__ import annotations

import posixpath
import secrets
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress

from plugins.sources.tree import archiving, placing
from plugins.sources.tree.archiving import Tools
from strongroom import Cancelled, Context, LogLevel, LogType, SourceError


def restore(
    context: Context, tools: Tools, folder: str, paths: Sequence[str], chunks: Iterable[bytes]
) -> None:
    """Put `paths` of the archive into a filled folder. Raises `SourceError`s; then all is as before.

    Nothing outside the folder is touched: a link on the way to a path is refused, not followed.
    """
    host = context.host
    label = f"restore_{secrets.token_hex(4)}"
    beside = placing.fit(folder, f"_{label}")
    picked = [path for path in dict.fromkeys(paths) if not _is_below(path, paths)]
    with placing.filling(host, beside, made=True):
        archiving.unpack(context, tools, beside, chunks, picked)
        for path in picked:
            _look_at_way(context, tools, folder, path)
        _place(context, tools, folder, beside, picked, label)
    placing.remove(host, beside)


def _is_below(path: str, paths: Sequence[str]) -> bool:
    return any(path.startswith(f"{other}/") for other in paths)


def _look_at_way(context: Context, tools: Tools, folder: str, path: str) -> None:
    """See that the folders on the way are folders, as far as they are there."""
    way = ""
    for part in path.split("/")[:-1]:
        way = posixpath.join(way, part)
        kind = placing.kind(context.host, tools, posixpath.join(folder, way))
        if not kind:
            return
        if kind != "d":
            raise SourceError(
                f"{folder}/{way} is no folder (any more), but a link or a file.",
                remedy="Restore under another name (--as NAME), and take from there what you need.",
            )


def _place(
    context: Context, tools: Tools, folder: str, beside: str, paths: Sequence[str], label: str
) -> None:
    """Rename each path into its place; on an error whatever was moved goes back."""
    host = context.host
    kept: list[str] = []
    with ExitStack() as undo:
        for path in paths:
            target, new = posixpath.join(folder, path), posixpath.join(beside, path)
            _make_way(context, folder, path)
            old = placing.fit(target, f"_before_{label}")
            if placing.kind(host, tools, target):
                placing.rename(host, target, old)
                undo.callback(_back, context, old, target)
                kept.append(old)
            placing.rename(host, new, target)
            undo.callback(_back, context, target, new)
        context.cancel.raise_if_cancelled()
        undo.pop_all()
    for old in kept:
        try:
            placing.remove(host, old)
        except SourceError as error:
            context.log(
                f"What was there is still there as {old}: {error.message}",
                LogLevel.WARNING,
                LogType.GENERAL,
                "Remove it when you have looked at what was restored.",
            )


def _make_way(context: Context, folder: str, path: str) -> None:
    """Make the folders on the way that are missing, as any new folder is made: they were not chosen."""
    way = posixpath.join(folder, posixpath.dirname(path))
    if not context.host.exists(way):
        done = context.host.capture(["mkdir", "--parents", "--", way], env={"LC_ALL": "C"})
        if done.exit_status != 0:
            raise SourceError(f"{way} cannot be made: {done.stderr.strip()}")


def _back(context: Context, old: str, new: str) -> None:
    with suppress(SourceError, Cancelled):
        placing.rename(context.host.aside(), old, new)
