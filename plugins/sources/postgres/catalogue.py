"""What Strongroom asks PostgreSQL's catalogue: databases, tables to count, and what would stop a dump."""

# ruff: noqa: S608 - every value in a query here is a constant of this module, or quoted by the module
# `connection`; PostgreSQL takes no parameters for names.

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from plugins.sources.postgres.choosing import Relation, Selection, line_of
from plugins.sources.postgres.connection import identifier, literal, shown
from plugins.sources.postgres.session import Psql, Session
from plugins.sources.postgres.tools import Version
from strongroom import Fingerprint

# Databases that a provider keeps for itself, and lets nobody read.
_PROVIDERS = ("rdsadmin", "cloudsqladmin", "azure_maintenance", "azure_sys")

_USER_SCHEMAS = "n.nspname !~ '^pg_(toast|temp|catalog|toast_temp)' AND n.nspname <> 'information_schema'"
# What an extension brought comes back with CREATE EXTENSION, and pg_dump does not write its rows.
_NOT_OF_EXTENSION = (
    "NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = '{catalogue}'::pg_catalog.regclass"
    " AND d.objid = {oid} AND d.deptype = 'e')"
)
_TABLES = (
    "SELECT c.oid, n.nspname, c.relname, c.relkind, coalesce(i.inhparent::pg_catalog.text, ''),"
    " c.relkind = 'p' AND pg_catalog.pg_get_partkeydef(c.oid) LIKE 'HASH %'"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid AND c.relispartition"
    " WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND "
    + _USER_SCHEMAS
    + " AND "
    + _NOT_OF_EXTENSION.format(catalogue="pg_catalog.pg_class", oid="c.oid")
    + " ORDER BY 2, 3;"
)
_TABLES_BEFORE_10 = _TABLES.replace("AND c.relispartition", "AND false").replace(
    "pg_catalog.pg_get_partkeydef(c.oid) LIKE 'HASH %'", "false"
)
_AT_ONCE = 50

_STOPS_A_DUMP = f"""
SELECT n.nspname, '', 'schema ' || pg_catalog.quote_ident(n.nspname) || ' (USAGE)'
  FROM pg_catalog.pg_namespace n
 WHERE {_USER_SCHEMAS} AND NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')
   AND EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid)
UNION ALL
SELECT n.nspname, c.relname, 'table ' || pg_catalog.quote_ident(n.nspname) || '.'
       || pg_catalog.quote_ident(c.relname) || ' (SELECT)'
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't' AND {_USER_SCHEMAS}
   AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
   AND NOT CASE WHEN c.relkind = 'S' THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT')
                ELSE pg_catalog.has_table_privilege(c.oid, 'SELECT') END
UNION ALL
SELECT n.nspname, c.relname, 'table ' || pg_catalog.quote_ident(n.nspname) || '.'
       || pg_catalog.quote_ident(c.relname) || ' (its row security needs BYPASSRLS)'
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND {_USER_SCHEMAS} AND pg_catalog.row_security_active(c.oid)
UNION ALL
SELECT '', '', 'large object ' || l.oid || ' (SELECT)' FROM pg_catalog.pg_largeobject_metadata l
 WHERE l.lomacl IS NULL AND NOT pg_catalog.pg_has_role(l.lomowner, 'USAGE')
LIMIT 5000;
"""
_NAMED = (
    "SELECT n.nspname, coalesce(c.relname, '') FROM pg_catalog.pg_namespace n"
    " LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid"
    " AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')"
    " WHERE " + _USER_SCHEMAS + ";"
)
_HAS_OBJECTS = f"""
SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE {_USER_SCHEMAS} AND {_NOT_OF_EXTENSION.format(catalogue="pg_catalog.pg_class", oid="c.oid")})
 OR EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
   WHERE {_USER_SCHEMAS} AND {_NOT_OF_EXTENSION.format(catalogue="pg_catalog.pg_proc", oid="p.oid")})
 OR EXISTS (SELECT FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
   WHERE {_USER_SCHEMAS} AND {_NOT_OF_EXTENSION.format(catalogue="pg_catalog.pg_type", oid="t.oid")})
 OR EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE {_USER_SCHEMAS} AND n.nspname <> 'public'
   AND {_NOT_OF_EXTENSION.format(catalogue="pg_catalog.pg_namespace", oid="n.oid")})
 OR EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata);
"""


def server_version(psql: Psql, database: str) -> Version:
    """The server's version, asked through `database`."""
    sql = "SELECT pg_catalog.current_setting('server_version_num');"
    return Version.of_number(int(psql.ask(database, sql)[0][0]))


def client_encoding(psql: Psql, database: str) -> str:
    """The encoding in which a database is dumped and filled: UTF-8, but for one that has none."""
    sql = "SELECT pg_catalog.current_setting('server_encoding');"
    return "SQL_ASCII" if psql.ask(database, sql)[0][0] == "SQL_ASCII" else "UTF8"


def all_databases(psql: Psql, through: str) -> list[str]:
    """Every database that somebody could have put data into; `postgres` only if somebody did."""
    rows = psql.ask(
        through,
        "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate"
        " ORDER BY datname;",
    )
    names = [name for (name,) in rows if name not in _PROVIDERS]
    if "postgres" in names and not has_objects(psql, "postgres"):
        names.remove("postgres")
    return names


def exists(psql: Psql, through: str, database: str) -> bool:
    """Whether the server has a database of that name: of all of it, not of its first 63 bytes."""
    sql = f"SELECT 1 FROM pg_catalog.pg_database WHERE datname = {literal(database)}::pg_catalog.text;"
    return bool(psql.ask(through, sql))


def is_template(psql: Psql, through: str, database: str) -> bool:
    """Whether new databases may be made as copies of this one, as of `template1`."""
    sql = "SELECT 1 FROM pg_catalog.pg_database WHERE datistemplate AND datname = "
    return bool(psql.ask(through, f"{sql}{literal(database)}::pg_catalog.text;"))


def has_objects(psql: Psql, database: str) -> bool:
    """Whether a database holds anything that did not come with it or with an extension."""
    return psql.ask(database, _HAS_OBJECTS)[0][0] == "t"


def obstacles(psql: Psql, database: str, selection: Selection) -> list[str]:
    """What this user may not read of what is dumped, and a dump would therefore stop at; in words."""
    found = []
    for schema, name, text in psql.ask(database, _STOPS_A_DUMP, fields=3):
        if schema and not (selection.has([(schema, name)]) if name else _reaches(selection, schema)):
            continue
        if not schema and not selection.is_whole:
            continue  # large objects
        found.append(shown(text))
    return found


def _reaches(selection: Selection, schema: str) -> bool:
    if selection.tables:
        return any(pattern.parts[0].fullmatch(schema) for pattern in selection.tables)
    return selection.has_schema(schema)


def unmatched(psql: Psql, database: str, selection: Selection) -> list[str]:
    """What is to be dumped and is not there, as it was given."""
    if selection.is_whole:
        return []
    rows = psql.ask(database, _NAMED, fields=2)
    return selection.unmatched({schema for schema, _ in rows}, {(one, name) for one, name in rows if name})


def nothing_left(psql: Psql, database: str, selection: Selection, version: Version) -> bool:
    """Whether all that is chosen is left out again, so that pg_dump would write an empty archive."""
    if selection.is_whole:
        return False
    rows = psql.ask(database, _NAMED, fields=2)
    if not selection.tables:
        return not any(selection.has_schema(schema) for schema, _ in rows)
    relations = tables_now(psql, database, version)
    lines = {(each.schema, each.name): line_of(relations, oid) for oid, each in relations.items()}
    named = ((schema, name) for schema, name in rows if name)
    return not any(selection.has(lines.get(each, [each])) for each in named)


def table_bytes(psql: Psql, database: str) -> int:
    """The bytes of all tables without their indexes: what a dump of them comes to, or nearly so."""
    sql = (
        "SELECT coalesce(sum(pg_catalog.pg_table_size(c.oid)), 0)::pg_catalog.int8 FROM pg_catalog.pg_class c"
        f" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        f" WHERE c.relkind IN ('r', 'm') AND {_USER_SCHEMAS};"
    )
    return int(psql.ask(database, sql)[0][0])


def tables(asks: Session, version: Version) -> dict[str, Relation]:
    """The tables that a dump of everything would have rows of, by OID. Partitions name their table.

    Left out is what a dump holds no rows of: foreign tables, materialized views, temporary tables and
    those of extensions.
    """
    rows = asks.ask(_TABLES if version.first >= 10 else _TABLES_BEFORE_10, fields=6)
    return {
        oid: Relation(oid, schema, name, kind, parent, by_hash == "t")
        for oid, schema, name, kind, parent, by_hash in rows
    }


def tables_now(psql: Psql, database: str, version: Version) -> dict[str, Relation]:
    """The same, asked in a session of its own."""
    session = psql.session(database)
    try:
        return tables(session, version)
    finally:
        session.close()


def count_rows(
    session: Session, relations: dict[str, Relation], selection: Selection | None = None
) -> Fingerprint:
    """Count the rows of those tables in the session's snapshot, by schema-qualified names.

    A partitioned table's count is the sum of its partitions', which are counted too, but for those by hash:
    which of them gets a row is not the same in another database (the hash of an enum goes by its OID). With
    `selection`, counted is what is in the dump: a table whose rows are left out has none.
    """
    chosen = selection or Selection()
    lines = {oid: line_of(relations, oid) for oid in relations}
    there = {oid: relation for oid, relation in relations.items() if chosen.has(lines[oid])}
    own: dict[str, int] = {}
    plain = []
    for oid, relation in there.items():
        if not chosen.has_rows(lines[oid]):
            own[oid] = 0
        elif relation.kind == "r":
            plain.append(oid)
    for some in _portions(plain):
        # ONLY: a parent in the old way of inheritance holds rows of its own beside its children's.
        questions = [
            f"SELECT count(*) FROM ONLY {identifier(there[oid].schema)}.{identifier(there[oid].name)};"
            for oid in some
        ]
        own.update(zip(some, session.count(questions), strict=True))
    children: dict[str, list[str]] = defaultdict(list)
    for oid, relation in there.items():
        children[relation.parent].append(oid)

    def total(oid: str) -> int:
        return own[oid] if oid in own else sum(total(child) for child in children[oid])

    def is_shown(relation: Relation) -> bool:
        above = relation.parent
        while above in there:
            if there[above].by_hash:
                return False
            above = there[above].parent
        return True

    return Fingerprint(
        {
            f"{_shown(each.schema)}.{_shown(each.name)}": total(oid)
            for oid, each in there.items()
            if is_shown(each)
        },
        consistent=True,
    )


def _portions(oids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(oids), _AT_ONCE):
        yield oids[start : start + _AT_ONCE]


def _shown(name: str) -> str:
    """A name as people write it; quoted where a dot or a quote in it could make it another one."""
    return shown(identifier(name) if set(name) & {".", '"'} else name)
