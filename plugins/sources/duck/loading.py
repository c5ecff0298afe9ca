"""Building a database from an export, which is input and not a friend.

`schema.sql` runs in a connection that reaches no file but the export's (see `opening`), and may only create
things. `load.sql` does not run at all: it says which file belongs to which table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from plugins.sources.duck.opening import library, quoted, text
from strongroom import CancelToken, DumpIncomplete, ToolFailed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_NAME = r'(?:"(?:[^"]|"")*"|[^\s".\']+)'
_COPY = re.compile(rf"COPY\s+(?:({_NAME})\.)?({_NAME})\s+FROM\s+'((?:[^']|'')*)'\s*\([^;]*?\)\s*;", re.DOTALL)
_INDEX = re.compile(r"\s*CREATE\s+(UNIQUE\s+)?INDEX\b", re.IGNORECASE)
_SECRET = re.compile(
    r"\s*CREATE\s+(OR\s+REPLACE\s+)?((PERSISTENT|TEMPORARY|TEMP)\s+)?SECRET\b", re.IGNORECASE
)
_LATER = re.compile(r"\s*CREATE\s+(OR\s+REPLACE\s+)?(VIEW|MACRO|FUNCTION)\b", re.IGNORECASE)
_REMEDY = "Restore another backup of this job."


@dataclass(frozen=True, slots=True)
class Entry:
    """A table and the file of the export that holds its rows, by its plain name."""

    schema: str
    table: str
    file: str


def entries(load: str) -> list[Entry]:
    """Read a load.sql. Raises `DumpIncomplete` for anything that is not of DuckDB's own form."""
    found = []
    at = 0
    while rest := load[at:].lstrip():
        at = len(load) - len(rest)
        match = _COPY.match(load, at)
        if match is None:
            raise DumpIncomplete("The export's load.sql is not of DuckDB's form.", remedy=_REMEDY)
        schema, table, path = match.groups()
        file = re.split(r"[/\\]", path.replace("''", "'"))[-1]
        found.append(Entry(_plain(schema or "main"), _plain(table), file))
        at = match.end()
    return found


def written(entries: Iterable[Entry]) -> str:
    """A load.sql as DuckDB writes it."""
    return "".join(
        f"COPY {quoted(entry.schema)}.{quoted(entry.table)} FROM {text(entry.file)} (FORMAT 'parquet');\n"
        for entry in entries
    )


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def build(connection: DuckDBPyConnection, export: Path, cancel: CancelToken) -> list[str]:
    """Make everything that the folder `export` holds; return the statements that were left out.

    Left out is what reads files outside, which the connection refuses: views and macros. Raises `ToolFailed`
    and `DumpIncomplete`.
    """
    loads = entries((export / "load.sql").read_text("utf-8"))
    if missing := sorted({entry.file for entry in loads} - {path.name for path in export.iterdir()}):
        raise DumpIncomplete(f"The export lacks {', '.join(missing)}.", remedy=_REMEDY)
    statements = _statements((export / "schema.sql").read_text("utf-8"))
    indexes = [statement for statement in statements if _INDEX.match(statement)]
    left_out = _create(connection, [one for one in statements if not _INDEX.match(one)], cancel)
    for entry in loads:
        cancel.raise_if_cancelled()
        table = f"{quoted(entry.schema)}.{quoted(entry.table)}"
        _execute(connection, f"COPY {table} FROM {text(export / entry.file)} (FORMAT 'parquet')", cancel)
    for statement in indexes:  # made at once when the rows are there
        _execute(connection, statement, cancel)
    _execute(connection, "CHECKPOINT", cancel)
    return left_out


def _statements(schema: str) -> list[str]:
    duckdb = library()
    try:
        found = duckdb.extract_statements(schema)
    except duckdb.Error as error:
        raise DumpIncomplete("The export's schema.sql is no SQL of DuckDB's.", remedy=_REMEDY) from error
    for statement in found:
        if statement.type != duckdb.StatementType.CREATE or _SECRET.match(statement.query):
            words = " ".join(statement.query.split())[:80]
            raise ToolFailed(
                f"The export's schema.sql wants to do more than create things: {words}", remedy=_REMEDY
            )
    return [statement.query for statement in found]


def _create(connection: DuckDBPyConnection, statements: list[str], cancel: CancelToken) -> list[str]:
    """Run the statements. DuckDB writes views and macros by name: those that want another come again."""
    duckdb = library()
    waiting, left_out = statements, list[str]()
    while waiting:
        again: list[tuple[str, Exception]] = []
        for statement in waiting:
            cancel.raise_if_cancelled()
            try:
                connection.execute(statement)
            except duckdb.PermissionException as error:
                if not _LATER.match(statement):
                    raise _failed(statement, error) from error
                left_out.append(statement)
            except (duckdb.CatalogException, duckdb.BinderException) as error:
                again.append((statement, error))
            except duckdb.Error as error:
                cancel.raise_if_cancelled()
                raise _failed(statement, error) from error
        if len(again) == len(waiting):
            for statement, why in again:
                # What stands on something that was left out goes with it.
                if not (left_out and _LATER.match(statement)):
                    raise _failed(statement, why) from why
            return left_out + waiting
        waiting = [statement for statement, _ in again]
    return left_out


def _execute(connection: DuckDBPyConnection, sql: str, cancel: CancelToken) -> None:
    duckdb = library()
    try:
        connection.execute(sql)
    except duckdb.Error as error:
        cancel.raise_if_cancelled()
        raise _failed(sql, error) from error


def _failed(sql: str, error: Exception) -> ToolFailed:
    words = " ".join(sql.split())[:80]
    return ToolFailed(
        f"DuckDB failed at `{words}`: {' '.join(str(error).split())[:300]}",
        remedy="See what it says; the backup itself can be fetched and looked at (it is a tar archive).",
    )
