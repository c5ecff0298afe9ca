"""`onefile.placing` for a host that is not this machine: the same steps by `mv`, `ln` and `rm`."""

from __future__ import annotations

import posixpath
import secrets
from contextlib import suppress

from plugins.sources.lite.opening import SIDE_SUFFIXES
from strongroom import Cancelled, Completed, Host, SourceError, TargetNotEmpty


def temporary_name(path: str) -> str:
    """A new name in the folder of `path`, for what is to become it."""
    folder, name = posixpath.split(path)
    return posixpath.join(folder, f".{name}.{secrets.token_hex(6)}.partial")


def sides(host: Host, path: str) -> list[str]:
    """SQLite's own files beside `path`."""
    return [path + suffix for suffix in SIDE_SUFFIXES if host.exists(path + suffix)]


def publish(host: Host, temporary: str, path: str, *, over_empty: bool) -> None:
    """Give `temporary` its name. Raises `TargetNotEmpty` when somebody took the name meanwhile."""
    for side in sides(host, path):
        if over_empty:
            _do(host, "rm", "-f", "--", side)
        else:  # left by a database that is gone: kept, for it may hold what was lost
            _do(host, "mv", "--", side, f"{side}.stray-{secrets.token_hex(3)}")
    if over_empty:
        _do(host, "mv", "-f", "--", temporary, path)
        return
    done = _run(host, "ln", "--", temporary, path)
    if done.exit_status == 0:
        _do(host, "rm", "-f", "--", temporary)
    elif host.exists(path):
        raise TargetNotEmpty(f"{path} came into being while the restore ran.", remedy="Choose another name.")
    else:  # a file system without hard links
        _do(host, "mv", "-n", "--", temporary, path)


def remove(host: Host, path: str) -> None:
    """Remove a database. Its sides go first: alone, they would be taken for news."""
    _do(host, "rm", "-f", "--", *(path + suffix for suffix in SIDE_SUFFIXES), path)


def swap(host: Host, beside: str, path: str, kept: str) -> None:
    """Give `path` the name `kept` with all its sides, and `beside` the name `path`.

    Raises `SourceError`; then everything has the name that it had.
    """
    if host.exists(kept):
        raise SourceError(f"{kept} is there already.", remedy="Move it away, and restore again.")
    # The file first: without its log, a database under its own name would be an older one.
    moves = [(path, kept)]
    moves += [(side, kept + side.removeprefix(path)) for side in sides(host, path)]
    moves += [(beside, path)]
    done: list[tuple[str, str]] = []
    try:
        for old, new in moves:
            _do(host, "mv", "--", old, new)
            done.append((old, new))
    except BaseException:
        with suppress(SourceError, Cancelled):
            for old, new in reversed(done):
                _do(host, "mv", "--", new, old)
        raise
    drop_empty_sides(host, beside)


def drop_empty_sides(host: Host, path: str) -> None:
    """Remove what reading a database has left beside a file that has another name now."""
    line = '[ -s "$1-wal" ] || [ -s "$1-journal" ] || rm -f -- "$1-wal" "$1-shm" "$1-journal"'
    _do(host, "sh", "-c", line, "sh", path)


def _run(host: Host, *argv: str) -> Completed:
    return host.capture(list(argv), env={"LC_ALL": "C"}, timeout=120)


def _do(host: Host, *argv: str) -> None:
    if (done := _run(host, *argv)).exit_status != 0:
        raise SourceError(
            f"{argv[0]} failed on {host.name}: {' '.join(done.stderr.split())[:300]}",
            remedy="Give the user of that host the right to write to the folder.",
        )
