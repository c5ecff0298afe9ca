"""Folders as targets: what is there, filling one, swapping two, removing what was made."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from plugins.sources.tree.archiving import Tools
from strongroom import Cancelled, Completed, ConfigError, DatabaseMissing, Host, SourceError, TargetState

MOST = 255
"""How many bytes a file's name has at most, on every common file system."""
_LONG = 24 * 3600.0  # seconds for removing a large folder


def fit(name: str, suffix: str) -> str:
    """`name + suffix`, the last part of the name cut so that it stays within the limit."""
    parent, slash, last = name.rpartition("/")
    room = MOST - len(suffix.encode())
    return parent + slash + last.encode()[:room].decode("utf-8", "ignore") + suffix


def state(host: Host, tools: Tools, folder: str) -> TargetState:
    """What a restore into this folder would find; anything but a folder is somebody's."""
    done = _run(host, [tools.find, "-H", folder, "-maxdepth", "1", "-printf", "%y%d\\n"], timeout=300)
    if done.exit_status != 0 and not done.stdout:
        if "No such file" in done.stderr:
            return TargetState.MISSING
        raise _failed(folder, done)
    first, *entries = done.stdout.decode().split()
    return TargetState.FILLED if entries or not first.startswith("d") else TargetState.EMPTY


def real(host: Host, tools: Tools, folder: str) -> str:
    """The folder itself, or the one that it leads to where it is a symbolic link.

    Who replaced the link would leave the data where it is, and everybody else who goes there by another way
    with the old. Raises `SourceError` for a link that leads to no folder.
    """
    if kind(host, tools, folder) != "l":
        return folder
    if kind(host, tools, f"{folder}/") != "d":
        raise SourceError(
            f"{folder} is a symbolic link that leads to no folder.",
            remedy="Remove it or let it lead to a folder, or restore into another place (--as).",
        )
    done = _run(host, ["readlink", "-f", folder])
    path = done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")
    if done.exit_status != 0 or not path.startswith("/"):
        raise _failed(folder, done)
    return path


def kind(host: Host, tools: Tools, path: str) -> str:
    """What lies there, in find's letters (`d`, `f`, `l` ...), links not followed; empty for nothing."""
    done = _run(host, [tools.find, path, "-maxdepth", "0", "-printf", "%y"])
    if done.exit_status != 0 and not any(words in done.stderr for words in _NOTHING_THERE):
        raise SourceError(f"{path} cannot be looked at: {done.stderr.strip()}")
    return done.stdout.decode("ascii", "replace")


_NOTHING_THERE = ("No such file", "Not a directory", "Too many levels of symbolic links")


@contextmanager
def filling(host: Host, folder: str, *, made: bool) -> Iterator[None]:
    """A folder to fill, made where it is missing; on any error it is gone or empty again."""
    if made:
        parent = posixpath.dirname(folder)
        if not host.exists(parent):
            raise SourceError(f"There is no folder {parent}.", remedy="Make it, or choose another place.")
        if (done := _run(host, ["mkdir", "--mode=0700", "--", folder])).exit_status != 0:
            raise _failed(folder, done)
    try:
        yield
    except BaseException:
        # The error that is under way says what happened. A cancelled host starts nothing any more: then
        # whoever asked for the restore removes what is left.
        with suppress(SourceError, Cancelled):
            if made:
                remove(host, folder)
            else:
                _run(host, ["find", folder, "-mindepth", "1", "-delete"], timeout=_LONG)
        raise


def remove(host: Host, folder: str) -> None:
    """Remove a folder with all below it. A missing one is fine."""
    if posixpath.dirname(folder) == folder or not posixpath.basename(folder):
        raise ConfigError(f"{folder} is not removed.", remedy="Name the folder that is meant.")
    line = ["rm", "--recursive", "--force", "--one-file-system", "--preserve-root=all", "--", folder]
    if (done := _run(host, line, timeout=_LONG)).exit_status != 0:
        raise _failed(folder, done)


def swap(host: Host, new: str, folder: str) -> str | None:
    """Give `new` the name `folder`; return the path of the old one, None if there was none.

    Raises `SourceError`; then both have the names that they had.
    """
    if not host.exists(new):
        raise DatabaseMissing(f"There is no folder {new}.", remedy="Restore again.")
    if not host.exists(folder):
        rename(host, new, folder)
        return None
    label = posixpath.basename(new).removeprefix(posixpath.basename(folder)).lstrip("_") or "restore"
    kept = fit(folder, f"_before_{label}")
    if host.exists(kept):
        raise SourceError(f"There is {kept} already.", remedy="Rename or remove it, and restore again.")
    rename(host, folder, kept)
    try:
        rename(host, new, folder)
    except BaseException:
        with suppress(SourceError, Cancelled):
            rename(host, kept, folder)
        raise
    return kept


def rename(host: Host, old: str, new: str) -> None:
    """Rename, without ever moving into a folder that has the new name. Raises `SourceError`."""
    if (done := _run(host, ["mv", "--no-target-directory", "--", old, new])).exit_status != 0:
        raise _failed(old, done)


def _run(host: Host, argv: list[str], *, timeout: float = 120.0) -> Completed:
    return host.capture(argv, env={"LC_ALL": "C"}, timeout=timeout)


def _failed(folder: str, done: Completed) -> SourceError:
    said = " ".join(done.stderr.split())[:400]
    remedy = "See whether this user may do that there."
    if "busy" in said:
        remedy = "It is mounted or in use: restore under another name, or into an absolute path."
    return SourceError(f"{done.argv[0].rpartition('/')[2]} failed at {folder}: {said}", remedy=remedy)
