"""Counting a database, and what a restore over a filled one has left standing in it."""

from __future__ import annotations

from plugins.sources.postgres import catalogue
from plugins.sources.postgres.choosing import Relation
from plugins.sources.postgres.connection import shown
from plugins.sources.postgres.contents import Contents
from plugins.sources.postgres.entrance import Server
from strongroom import Fingerprint, LogLevel, LogType


def counted(server: Server, database: str, held: Contents | None) -> Fingerprint:
    """The rows of a live database, in one snapshot; with `held`, of the tables that an archive held."""
    version = server.version(database)
    session = server.psql.session(database)
    try:
        session.begin_snapshot()
        relations = catalogue.tables(session, version)
        if held is not None:
            kept = _kept(relations, held)
            relations = {oid: relation for oid, relation in relations.items() if oid in kept}
        return catalogue.count_rows(session, relations)
    finally:
        session.close()


def left_standing(server: Server, database: str, held: Contents) -> None:
    """Say which tables were there before a restore over them and are in no backup: they stay."""
    relations = catalogue.tables_now(server.psql, database, server.version(database))
    kept = _kept(relations, held)
    names = sorted(shown(f"{each.schema}.{each.name}") for oid, each in relations.items() if oid not in kept)
    if names:
        more = f", and {len(names) - 5} more" if len(names) > 5 else ""
        server.context.log(
            f"Not in the backup, and left in {database} as they were: {', '.join(names[:5])}{more}.",
            LogLevel.WARNING,
            LogType.GENERAL,
            "",
        )


def _kept(relations: dict[str, Relation], held: Contents) -> set[str]:
    """The tables that an archive held, by OID."""
    if not held.rows_alone:
        made = held.of("TABLE")
        return {oid for oid, each in relations.items() if (each.schema, each.name) in made}
    filled = held.of("TABLE DATA")
    kept = {oid for oid, each in relations.items() if (each.schema, each.name) in filled}
    # A partitioned table has no rows of its own, and is in no archive of rows: it goes with its partitions.
    parents = {each.parent for each in relations.values()}
    kept |= {oid for oid, each in relations.items() if each.kind == "p" and oid not in parents}
    for oid in list(kept):
        above = relations[oid].parent
        while above in relations:
            kept.add(above)
            above = relations[above].parent
    return kept
