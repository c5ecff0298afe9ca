"""Two database files of a server on the same host change places: shut down, renamed, brought back online.

A server that has a file open would go on with it under its new name, and so would its users.
"""

from __future__ import annotations

import posixpath
from contextlib import suppress

from plugins.sources.bird.tools import Toolbox
from strongroom import Cancelled, Host, SourceError

_SHUT = ["-shut", "full", "-force", "0"]


def can_rename(host: Host, path: str) -> bool:
    """Whether that file is here, and its folder takes new names."""
    if not path.startswith("/") or not host.exists(path):
        return False
    return host.capture(["test", "-w", posixpath.dirname(path)], timeout=20).exit_status == 0


def change_places(tools: Toolbox, new: str, path: str, kept: str) -> None:
    """Give `path` the name `kept`, and `new` the name `path`; both end up online.

    Raises `SourceError`; then each has the name that it had.
    """
    host = tools.host
    if host.exists(kept):
        raise SourceError(f"{kept} is there already.", remedy="Move it away, and restore again.")
    for option in ("chown", "chmod"):  # a file that was made without a server has another owner
        host.capture([option, f"--reference={path}", "--", new], timeout=20)
    tools.do("gfix", _SHUT, path)
    done: list[tuple[str, str]] = []
    try:
        tools.do("gfix", _SHUT, new)
        for old, name in ((path, kept), (new, path)):
            rename(host, old, name)
            done.append((old, name))
    except BaseException:
        with suppress(SourceError, Cancelled):
            for old, name in reversed(done):
                rename(host, name, old)
            _online(tools, path, new)
        raise
    _online(tools, path, kept)


def online_again(tools: Toolbox, *databases: str) -> None:
    """Bring online what a swap that died has left shut down; one that is missing is passed over."""
    for database in databases:
        if tools.host.exists(database):
            with suppress(SourceError):
                _online(tools, database)


def _online(tools: Toolbox, *databases: str) -> None:
    for database in databases:
        tools.do("gfix", ["-online"], database)


def rename(host: Host, old: str, new: str) -> None:
    """Rename a file. Raises `SourceError`; a file that is there stays."""
    if host.exists(new):
        raise SourceError(f"{new} is there already.", remedy="Choose another name.")
    done = host.capture(["mv", "--", old, new], timeout=60)
    if done.exit_status != 0:
        raise SourceError(
            f"{old} could not be renamed: {' '.join(done.stderr.split())[:300]}",
            remedy="Give the user that runs the tools the right to write to the folder.",
        )
