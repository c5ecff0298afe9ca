"""Open SQLite files for reading, whatever state an application left them in, and never write to them.

`reading` gives a connection with a read transaction held: one snapshot, however long it lasts and
however busy the writers are. The caller may be root, or may not write to the folder at all.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

from strongroom import CancelToken, ConnectionFailed, DatabaseMissing, SourceError

MAGIC = b"SQLite format 3\x00"
SIDE_SUFFIXES = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database while it is open, or after a crash."""

_OF_THE_APPLICATION = re.compile(r"no such (function|collation sequence): (.+)")
_POLL = 0.05  # seconds between two tries for a lock
_T = TypeVar("_T")
ScratchMaker = Callable[[], AbstractContextManager[Path]]


def require_sqlite(path: Path) -> None:
    """Raise what keeps `path` from being a readable SQLite database; an empty file is an empty one."""
    try:
        if path.is_dir():
            raise DatabaseMissing(
                f"{path} is a folder, not an SQLite file.", remedy="Name the database file itself."
            )
        if path.exists() and not path.is_file():  # opening a pipe would wait for who writes to it
            raise DatabaseMissing(f"{path} is not a file.", remedy="Name the database file itself.")
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError as error:
        raise DatabaseMissing(
            f"There is no file {path}.",
            remedy="Correct the path of the source, or see whether the disk that holds it is mounted.",
        ) from error
    except PermissionError as error:
        raise ConnectionFailed(
            f"{path} cannot be read: permission denied.",
            remedy="Give the user that runs Strongroom the right to read this file and to enter its folder.",
        ) from error
    except OSError as error:
        raise ConnectionFailed(
            f"{path} cannot be read: {error.strerror}.", remedy="Look after the disk that holds it."
        ) from error
    if head and head != MAGIC:
        # SQLCipher and SEE encrypt whole pages, the first bytes too, so such a file looks like noise.
        hint = " It may be an encrypted one (SQLCipher)." if size % 512 == 0 else ""
        raise SourceError(
            f"{path} is not an SQLite database.{hint}",
            remedy="Name the database file; an encrypted one needs the application that holds its key.",
        )


def translated(path: Path, error: sqlite3.Error) -> SourceError:
    """The error to raise for what SQLite said about `path`."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return SourceError(
            f"The database {path} is damaged: {error}.",
            remedy=f"Restore a backup of it, or try `sqlite3 {path.name} .recover`.",
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return ConnectionFailed(
            f"The database {path} is locked by another program.",
            remedy="Close the program that holds the lock, or raise the source's time to wait for a lock.",
        )
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
        return ConnectionFailed(
            f"The database {path} cannot be opened: {error}.",
            remedy="Give the user that runs Strongroom the right to read the file and its -wal and -shm.",
        )
    if name.startswith("SQLITE_FULL"):
        return SourceError(
            f"No space is left for a copy of {path}.",
            remedy="Make room on the disk of Strongroom's scratch folder, or choose another STRONGROOM_HOME.",
        )
    return SourceError(
        f"SQLite failed on {path}: {error}.", remedy="Look after the disk that holds the file."
    )


def connect(path: Path, query: str) -> sqlite3.Connection:
    """A connection without Python's implicit transactions, usable from any one thread at a time."""
    uri = f"{path.absolute().as_uri()}?{query}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0, check_same_thread=False)


def patiently(action: Callable[[], _T], lock_timeout: float, cancel: CancelToken) -> _T:
    """Do `action`, again and again while another program holds a lock, for `lock_timeout` seconds."""
    end = time.monotonic() + lock_timeout
    while True:
        cancel.raise_if_cancelled()
        try:
            return action()
        except sqlite3.OperationalError as error:
            busy = (error.sqlite_errorname or "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
            if not busy or time.monotonic() >= end:
                raise
        cancel.wait(_POLL)


@contextmanager
def reading(
    path: Path, scratch: ScratchMaker, lock_timeout: float, cancel: CancelToken
) -> Iterator[sqlite3.Connection]:
    """A connection that holds a read transaction on `path`. Raises `SourceError`s, and `Cancelled`.

    In rollback-journal mode this is a SHARED lock: writers wait until it is let go. In WAL mode nobody
    waits.
    """
    require_sqlite(path)
    try:
        connection = _snapshot(path, "mode=ro", lock_timeout, cancel)
    except sqlite3.Error as error:
        if not _needs_settling(path, error):
            raise translated(path, error) from error
    else:
        try:
            yield connection
        finally:
            connection.close()
        return
    # The state of the file wants a write that we may not make: a WAL without its index in a folder that
    # is not ours to write, or a transaction to roll back after a crash. It is settled on a copy.
    with scratch() as folder:
        copy = _copy_with_sides(path, folder, cancel)
        try:
            connection = _snapshot(copy, "mode=rw", lock_timeout, cancel)
        except sqlite3.Error as error:
            raise translated(path, error) from error
        try:
            yield connection
        finally:
            connection.close()


def _snapshot(path: Path, query: str, lock_timeout: float, cancel: CancelToken) -> sqlite3.Connection:
    connection = connect(path, query)

    def begin() -> None:
        connection.execute("BEGIN")
        try:
            # BEGIN alone is lazy: the snapshot is taken by the first read.
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException:
            connection.execute("ROLLBACK")
            raise

    try:
        patiently(begin, lock_timeout, cancel)
    except BaseException:
        connection.close()
        raise
    return connection


def _needs_settling(path: Path, error: sqlite3.Error) -> bool:
    name = error.sqlite_errorname or ""
    return name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")) and os.access(path, os.R_OK)


def _copy_with_sides(path: Path, folder: Path, cancel: CancelToken) -> Path:
    """Copy a database with its WAL or journal while nobody changes them; raises when somebody does."""
    copy = folder / "settled.sqlite"
    for _attempt in range(5):
        cancel.raise_if_cancelled()
        before = _state(path)
        for suffix in ("", "-wal", "-journal"):
            target = copy.with_name(copy.name + suffix)
            target.unlink(missing_ok=True)
            try:
                shutil.copyfile(path.with_name(path.name + suffix), target)
            except FileNotFoundError:
                continue
            except PermissionError as error:
                raise ConnectionFailed(
                    f"{path}{suffix} cannot be read, and without it the last changes would be missing.",
                    remedy="Give the user that runs Strongroom the right to read it.",
                ) from error
        if _state(path) == before:
            return copy
    raise ConnectionFailed(
        f"The database {path} is being written, and its folder cannot be written by Strongroom.",
        remedy="Let the user that runs Strongroom write to the folder, so that SQLite can lock the database.",
    )


def _state(path: Path) -> list[tuple[int, int, int] | None]:
    states: list[tuple[int, int, int] | None] = []
    for suffix in ("", "-wal", "-journal"):
        try:
            stat = path.with_name(path.name + suffix).stat()
        except FileNotFoundError:
            states.append(None)
        else:
            states.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return states


def tables(connection: sqlite3.Connection) -> list[str]:
    """The user's tables. A virtual one keeps its rows in tables of its own, which are listed instead."""
    rows = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " AND sql NOT LIKE 'CREATE VIRTUAL TABLE%' ORDER BY name"
    )
    return [name for (name,) in rows]


def count_rows(connection: sqlite3.Connection, cancel: CancelToken) -> dict[str, int]:
    """Rows by table, in the snapshot that `connection` holds. Raises `Cancelled` soon after a cancel."""
    counts = {}
    with cancel.calling(connection.interrupt):
        try:
            for name in tables(connection):
                quoted = '"' + name.replace('"', '""') + '"'
                query = f"SELECT count(*) FROM {quoted}"  # noqa: S608 - an identifier, quoted
                counts[name] = _counted(connection, query)
        except sqlite3.OperationalError:
            cancel.raise_if_cancelled()
            raise
    return counts


def _counted(connection: sqlite3.Connection, query: str) -> int:
    """One count. What only the application defines is given a stand-in: no order changes a count."""
    for _attempt in range(20):
        try:
            return int(connection.execute(query).fetchone()[0])
        except sqlite3.OperationalError as error:
            match = _OF_THE_APPLICATION.search(str(error))
            if match is None:
                raise
            if match[1] == "function":
                connection.create_function(match[2], -1, lambda *_values: None, deterministic=True)
            else:
                connection.create_collation(match[2], lambda a, b: (a > b) - (a < b))
    return int(connection.execute(query).fetchone()[0])
