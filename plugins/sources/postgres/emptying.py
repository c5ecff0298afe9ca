"""Take away the rows in whose place those of an archive of rows alone come."""

from __future__ import annotations

import re

from plugins.sources.postgres import catalogue
from plugins.sources.postgres.choosing import Relation
from plugins.sources.postgres.connection import identifier
from plugins.sources.postgres.contents import Contents
from plugins.sources.postgres.entrance import Server

_LARGE_OBJECTS = re.compile(r"(\d+)(?:\.\.(\d+))?")  # one, or from 17 on a range


def emptying(server: Server, database: str, contents: Contents) -> str:
    """SQL that takes away the rows and large objects that the archive brings."""
    relations = catalogue.tables_now(server.psql, database, server.version(database))
    filled = contents.of("TABLE DATA")
    named = [f"ONLY {identifier(schema)}.{identifier(name)}" for schema, name in sorted(filled)]
    # A partitioned table is in no archive of rows, and cannot be emptied without its partitions; but where
    # its keys point to a table that is emptied, it has to be named.
    whole = [each for each in relations.values() if each.kind == "p" and _goes(each, relations, filled)]
    named += sorted(f"{identifier(each.schema)}.{identifier(each.name)}" for each in whole)
    texts = [f"TRUNCATE {', '.join(named)};"] if named else []
    for _, name in sorted(contents.of("BLOB") | contents.of("BLOB METADATA")):
        if match := _LARGE_OBJECTS.fullmatch(name):
            first, last = match[1], match[2] or match[1]
            texts.append(
                "SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata"  # noqa: S608
                f" WHERE oid BETWEEN {first} AND {last};"
            )
    return "\n".join(texts)


def _goes(table: Relation, relations: dict[str, Relation], filled: set[tuple[str, str]]) -> bool:
    """Whether all partitions of a partitioned table, and theirs, are emptied."""
    below = [each for each in relations.values() if each.parent == table.oid]
    return all(
        _goes(each, relations, filled) if each.kind == "p" else (each.schema, each.name) in filled
        for each in below
    )
