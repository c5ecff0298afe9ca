"""Write a restored SQLite file, prove it whole, and swap it with the one that is there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from plugins import durable
from plugins.sources.lite.opening import MAGIC, SIDE_SUFFIXES, connect, patiently, translated
from plugins.sources.onefile.placing import (
    change_places,
    need_free,
    publish,
    syncing,
    take_over_rights,
    temporary_name,
)
from strongroom import CancelToken, DumpIncomplete, SourceError

_DAMAGED = "See what `PRAGMA integrity_check` says about the source, and restore a backup if need be."


def write_beside(path: Path, chunks: Iterable[bytes], cancel: CancelToken) -> Path:
    """Write `chunks` to a temporary file (mode 0600) in the folder of `path`; return its path.

    On any error nothing is left. The kernel is kept writing it down, so that a sync afterwards is short.
    """
    temporary = temporary_name(path)
    try:
        with closing(durable.Writer(temporary)) as writer:
            for chunk in chunks:
                cancel.raise_if_cancelled()
                writer.add(chunk)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise SourceError(
            f"The folder {path.parent} cannot take the restored database: {error.strerror}.",
            remedy="Make room there, or give the user that runs Strongroom the right to write to it.",
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def check_header(head: bytes, size: int) -> None:
    """Compare a file's first 100 bytes with its size (bytes). Raises `DumpIncomplete`."""
    if len(head) < 100 or not head.startswith(MAGIC):
        raise DumpIncomplete(
            "What came is not an SQLite database.", remedy="Restore another backup of this job."
        )
    page_size = int.from_bytes(head[16:18], "big")
    page_size = 65536 if page_size == 1 else page_size
    pages = int.from_bytes(head[28:32], "big")
    counted = pages > 0 and head[24:28] == head[92:96]  # else an SQLite before 3.7 wrote it last
    if (counted and size != page_size * pages) or size % page_size:
        raise DumpIncomplete(
            f"The copy has {size} bytes, and should have {page_size * pages}.",
            remedy="Run the job again; if this stays so, look after the disk.",
        )


def prove_whole(path: Path, cancel: CancelToken) -> str:
    """Check a copy that nobody else has open; return a note, "" when everything could be checked.

    Raises `DumpIncomplete` for a file that is cut or damaged.
    """
    with path.open("rb") as file:
        check_header(file.read(100), path.stat().st_size)
    connection = connect(path, "immutable=1")
    try:
        with cancel.calling(connection.interrupt):
            found = [text for (text,) in connection.execute("PRAGMA quick_check(5)")]
    except sqlite3.Error as error:
        cancel.raise_if_cancelled()
        if "no such" in str(error):  # a collation or module that only the application has
            return f"SQLite could not check every table, for there is {error} here"
        raise DumpIncomplete(
            f"The copy is damaged: {error}.",
            remedy=_DAMAGED,
        ) from error
    finally:
        connection.close()
    if found != ["ok"]:
        raise DumpIncomplete(
            f"The copy is damaged: {'; '.join(found)}.",
            remedy=_DAMAGED,
        )
    return ""


def prove_and_sync(path: Path, cancel: CancelToken) -> None:
    """Check a copy as `prove_whole` does, and return when the disk holds it. Raises `SourceError`."""
    try:
        with syncing(path):
            prove_whole(path, cancel)
    except OSError as error:
        raise SourceError(
            f"The disk of {path.parent} did not take the restored database: {error.strerror}.",
            remedy="Make room there, or look after the disk.",
        ) from error


def _settle(path: Path, lock_timeout: float, cancel: CancelToken) -> None:
    """Write the WAL back into its database, and make sure that no program has it open.

    A program would go on writing to the renamed file, and its users would not know. In WAL mode an idle
    connection shows, because leaving the mode needs to be alone; in rollback mode only a busy one does.
    """
    connection = connect(path, "mode=rw")

    def alone() -> None:
        mode = str(connection.execute("PRAGMA journal_mode").fetchone()[0])
        if mode == "wal":
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        else:
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")

    try:
        patiently(alone, lock_timeout, cancel)
    except sqlite3.Error as error:
        raise translated(path, error) from error
    finally:
        connection.close()


def swap(beside: Path, path: Path, kept: Path, lock_timeout: float, cancel: CancelToken) -> bool:
    """Give `path` the name `kept` and `beside` the name `path`; False when there was no old file.

    On an error the old one has its name back, and `beside` still has its own.
    """
    if not path.exists():
        publish(beside, path, SIDE_SUFFIXES, over_empty=False)
        return False
    need_free(kept)
    take_over_rights(beside, path)
    with path.open("rb") as file:
        readable = file.read(len(MAGIC)) in (MAGIC, b"")
    if readable:
        _settle(path, lock_timeout, cancel)
    change_places(beside, path, kept, SIDE_SUFFIXES)
    return True
