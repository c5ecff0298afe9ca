"""EXPORT DATABASE into a folder, exact for every type.

Parquet has no exact place for two types: it has no negative interval, keeps intervals by milliseconds only,
and takes the offset of a TIME WITH TIME ZONE away (seen with DuckDB 2.0). Columns that hold these are written
as text, which COPY reads back as their type; and that is tried for every row before the export counts.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from plugins.sources.duck.loading import Entry, entries, written
from plugins.sources.duck.opening import SOURCE, quoted, shown, text
from strongroom import CancelToken, SourceError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_INEXACT = re.compile(r"\bINTERVAL\b|(?<!TIMESTAMP )\b(TIMETZ|TIME WITH TIME ZONE)\b")
# EXPORT makes text of these by itself, where a COPY of ours would make DOUBLE.
_AS_TEXT = re.compile(rf"{_INEXACT.pattern}|\bU?HUGEINT\b")
# Neither needs a look into the rows. The second would fail the whole export.
_SELF_REFERENCES = (
    "SELECT schema_name, table_name FROM duckdb_constraints() WHERE database_name = ?"
    " AND constraint_type = 'FOREIGN KEY' AND referenced_table = table_name"
)
_VIEWS = (
    "SELECT view_name, sql FROM duckdb_views() WHERE database_name = ? AND NOT internal"
    " UNION ALL SELECT function_name, macro_definition FROM duckdb_functions() WHERE database_name = ?"
    " AND NOT internal AND macro_definition IS NOT NULL ORDER BY ALL"
)
_OUTSIDE = re.compile(
    r"\b(read_\w+|parquet_scan|glob|sqlite_scan|postgres_scan|mysql_scan|iceberg_scan|delta_scan|\w+_scan)\s*\("
    r"|\bFROM\s+(\"[^\"]*[./][^\"]*\"|'[^']*')",
    re.IGNORECASE,
)


def obstacles(connection: DuckDBPyConnection) -> list[str]:
    """What DuckDB cannot export, in words."""
    found = connection.execute(_SELF_REFERENCES, [SOURCE]).fetchall()
    return [f"{shown(*row)} refers to itself by a foreign key" for row in found]


def outside(connection: DuckDBPyConnection) -> list[str]:
    """Views and macros that read files, which no restore makes anew."""
    rows = connection.execute(_VIEWS, [SOURCE, SOURCE]).fetchall()
    return [name for name, sql in rows if sql and _OUTSIDE.search(sql)]


def export(connection: DuckDBPyConnection, folder: Path, cancel: CancelToken) -> None:
    """Write the attached database into an empty folder: schema.sql, load.sql, a Parquet file for each table.

    Raises `SourceError` for what cannot be exported as it is, and DuckDB's own errors.
    """
    if found := obstacles(connection):
        raise SourceError(
            f"DuckDB cannot export this database: {'; '.join(found)}.",
            remedy="Drop that constraint, or back the file up with a source of the kind files or command.",
        )
    columns = _columns(connection)
    inexact = {table for table, of in columns.items() if any(_INEXACT.search(kind) for _, kind in of)}
    if not inexact:
        connection.execute(f"EXPORT DATABASE {SOURCE} TO {text(folder)} (FORMAT parquet)")
        return
    # The schema comes from an export as text, which has a place for everything; then table by table.
    connection.execute(f"EXPORT DATABASE {SOURCE} TO {text(folder)} (FORMAT csv)")
    made = []
    for entry in entries((folder / "load.sql").read_text("utf-8")):
        cancel.raise_if_cancelled()
        (folder / entry.file).unlink()
        made.append(Entry(entry.schema, entry.table, f"{Path(entry.file).stem}.parquet"))
        _copy_exactly(connection, made[-1], columns[entry.schema, entry.table], folder)
    (folder / "load.sql").write_text(written(made), encoding="utf-8")


Columns = list[tuple[str, str]]


def _columns(connection: DuckDBPyConnection) -> dict[tuple[str, str], Columns]:
    """Names and types of each table's columns; generated ones are made anew, and left out."""
    rows = connection.execute(
        "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_catalog = ? AND is_generated <> 'ALWAYS' ORDER BY ordinal_position",
        [SOURCE],
    ).fetchall()
    found: dict[tuple[str, str], Columns] = {}
    for schema, table, column, kind in rows:
        found.setdefault((schema, table), []).append((column, kind))
    return found


def _copy_exactly(connection: DuckDBPyConnection, entry: Entry, columns: Columns, folder: Path) -> None:
    table = f"{SOURCE}.{quoted(entry.schema)}.{quoted(entry.table)}"
    chosen, unlike = [], []
    for column, kind in columns:
        name = quoted(column)
        if _AS_TEXT.search(kind):
            chosen.append(f"{name}::VARCHAR AS {name}")
            unlike.append(f"{name}::VARCHAR IS DISTINCT FROM {name}::VARCHAR::{kind}::VARCHAR")
        else:
            chosen.append(name)
    if unlike:
        sql = f"SELECT count(*) FROM {table} WHERE {' OR '.join(unlike)}"  # noqa: S608 - all quoted
        row = connection.execute(sql).fetchone()
        if row is None or row[0]:
            raise SourceError(
                f"{shown(entry.schema, entry.table)} has {row[0] if row else 0} rows with times that no text"
                " gives back.",
                remedy="Back the file up with a source of the kind files or command, and report this.",
            )
    sql = f"SELECT {', '.join(chosen)} FROM {table}"  # noqa: S608 - all quoted
    connection.execute(f"COPY ({sql}) TO {text(folder / entry.file)} (FORMAT parquet)")
