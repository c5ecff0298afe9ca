"""Connections to DuckDB files, and what DuckDB says when there is none to be had.

DuckDB locks a file for one process: while a program has it open for writing, nobody else can open it at all.
A read-only connection keeps writers out in the same way.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strongroom import CancelToken, ConnectionFailed, DatabaseMissing, SourceError, ToolMissing

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SIDE_SUFFIXES = (".wal",)
SOURCE = "source"
"""The name under which a file is attached."""
_MAGIC = b"DUCK"  # at byte 8
_POLL = 0.1  # seconds between two tries for a lock
_CLOSED = {
    "allow_persistent_secrets": "false",
    "allow_community_extensions": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


def library() -> Any:
    """The module duckdb. Raises `ToolMissing`."""
    try:
        import duckdb
    except ImportError as error:
        raise ToolMissing(
            "The Python package duckdb is not installed.", remedy="pip install 'strongroom[duckdb]'"
        ) from error
    return duckdb


def quoted(name: str) -> str:
    """A name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(value: object) -> str:
    """A text for SQL."""
    return "'" + str(value).replace("'", "''") + "'"


def require_duckdb(path: Path) -> None:
    """Raise what keeps `path` from being a readable DuckDB file."""
    try:
        if path.exists() and not path.is_file():
            raise DatabaseMissing(f"{path} is not a file.", remedy="Name the database file itself.")
        with path.open("rb") as file:
            head = file.read(12)
    except FileNotFoundError as error:
        raise DatabaseMissing(
            f"There is no file {path}.",
            remedy="Correct the path of the source, or see whether the disk that holds it is mounted.",
        ) from error
    except OSError as error:
        raise ConnectionFailed(
            f"{path} cannot be read: {error.strerror}.",
            remedy="Give the user that runs Strongroom the right to read this file and to enter its folder.",
        ) from error
    if head[8:] != _MAGIC:
        raise SourceError(f"{path} is not a DuckDB database.", remedy="Name the database file.")


def translated(path: Path, error: Exception) -> SourceError:
    """The error to raise for what DuckDB said about `path`."""
    said = " ".join(str(error).split())[:400]
    if "Could not set lock" in said:
        holder = re.search(r"Conflicting lock is held in (.+?\(PID \d+\))", said)
        by = f" by {holder[1]}" if holder else ""
        return ConnectionFailed(
            f"{path} is open for writing{by}, and DuckDB lets nobody else in meanwhile.",
            remedy="Run the job when that program has closed the file, or have a hook of the job close it.",
        )
    if "Permission denied" in said:
        return ConnectionFailed(
            f"{path} cannot be opened: {said}.",
            remedy="Give the user that runs Strongroom the right to read the file and its .wal.",
        )
    if "newer version" in said or "older version" in said:
        return SourceError(
            f"{path} is of another version of DuckDB: {said}",
            remedy="Install the duckdb package of the version that wrote it.",
        )
    if "No space left" in said:
        return SourceError(
            f"No space is left: {said}", remedy="Make room, or put STRONGROOM_HOME on a larger disk."
        )
    return SourceError(f"DuckDB failed on {path}: {said}", remedy="See what it says about that file.")


@contextmanager
def opened(
    path: Path | None, folder: Path, memory: int, cancel: CancelToken, *, closed_to: Path | None = None
) -> Iterator[DuckDBPyConnection]:
    """A connection that a cancel interrupts, spilling into `folder`, with `memory` MiB; None: in memory.

    With `closed_to`, SQL that is not ours may run: it reaches files of that folder alone, loads nothing and
    changes no setting.
    """
    duckdb = library()
    config: dict[str, Any] = {"memory_limit": f"{memory}MiB", "temp_directory": str(folder)}
    if closed_to is not None:
        config |= _CLOSED
    try:
        connection = duckdb.connect(":memory:" if path is None else str(path), config=config)
    except duckdb.Error as error:
        raise translated(path or folder, error) from error
    try:
        # Where Python was not started with a file, it would paint one on our standard output.
        connection.execute("SET enable_progress_bar_print = false")
        if closed_to is not None:
            connection.execute(f"SET allowed_directories = [{text(closed_to)}]")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
        with cancel.calling(connection.interrupt):
            yield connection
    except duckdb.Error as error:
        cancel.raise_if_cancelled()
        raise translated(path or folder, error) from error
    finally:
        connection.close()


def attach(connection: DuckDBPyConnection, path: Path, lock_timeout: float, cancel: CancelToken) -> None:
    """Attach a file read-only as `SOURCE`, waiting up to `lock_timeout` seconds for who writes to it.

    What is attached is one snapshot: DuckDB keeps writers of other processes out. Rows that are only in the
    file's .wal are in it.
    """
    require_duckdb(path)
    duckdb = library()
    end = time.monotonic() + lock_timeout
    while True:
        cancel.raise_if_cancelled()
        try:
            connection.execute(f"ATTACH {text(path)} AS {SOURCE} (READ_ONLY)")
            return
        except duckdb.Error as error:
            cancel.raise_if_cancelled()
            if "Could not set lock" not in str(error) or time.monotonic() >= end:
                raise translated(path, error) from error
        cancel.wait(_POLL)


def copy_attached(path: Path, folder: Path, cancel: CancelToken) -> Path:
    """Copy an attached file with its .wal; the attachment keeps both as they are.

    The file's own descriptor stays open until both are copied: on POSIX, closing one of a process's
    descriptors lets go of all its locks on that file.
    """
    target = folder / "copy.duckdb"
    try:
        with path.open("rb") as file:
            _copy(file.fileno(), target, cancel)
            wal = path.with_name(path.name + ".wal")
            if wal.exists():
                with wal.open("rb") as log:
                    _copy(log.fileno(), target.with_name(target.name + ".wal"), cancel)
    except OSError as error:
        raise SourceError(
            f"{path} could not be copied: {error.strerror}.",
            remedy="Make room in Strongroom's scratch folder, and let its user read the file and its .wal.",
        ) from error
    return target


def _copy(descriptor: int, target: Path, cancel: CancelToken) -> None:
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while data := os.read(descriptor, 4 << 20):
            cancel.raise_if_cancelled()
            file.write(data)


def tables(connection: DuckDBPyConnection) -> list[tuple[str, str]]:
    """Schema and name of every table of the attached file, sorted."""
    return connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ? AND NOT internal"
        " AND NOT temporary ORDER BY ALL",
        [SOURCE],
    ).fetchall()


def shown(schema: str, table: str) -> str:
    """A table's name for people; those of the usual schema go without it."""
    return table if schema == "main" else f"{schema}.{table}"


def count_rows(connection: DuckDBPyConnection, cancel: CancelToken) -> dict[str, int]:
    """Rows by table of the attached file."""
    counted = {}
    for schema, table in tables(connection):
        cancel.raise_if_cancelled()
        sql = f"SELECT count(*) FROM {SOURCE}.{quoted(schema)}.{quoted(table)}"  # noqa: S608 - quoted
        row = connection.execute(sql).fetchone()
        counted[shown(schema, table)] = int(row[0]) if row else 0
    return counted
