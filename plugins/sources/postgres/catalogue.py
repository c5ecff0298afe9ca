"""What Strongroom asks PostgreSQL's catalogue: databases, tables to count, and what would stop a dump."""

# ruff: noqa: S608 - every value in a query here is a constant of this module, or quoted by the module
# `connection`; PostgreSQL takes no parameters for names.

from __future__ import annotations

from collections import defaultdict

from plugins.sources.postgres.connection import identifier, literal
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
    "SELECT c.oid, n.nspname, c.relname, c.relkind, coalesce(i.inhparent, 0)"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid AND c.relispartition"
    " WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND "
    + _USER_SCHEMAS
    + " AND "
    + _NOT_OF_EXTENSION.format(catalogue="pg_catalog.pg_class", oid="c.oid")
    + " ORDER BY 2, 3;"
)
_TABLES_BEFORE_10 = _TABLES.replace("AND c.relispartition", "AND false")
_AT_ONCE = 50

_STOPS_A_DUMP = f"""
SELECT 'schema ' || pg_catalog.quote_ident(n.nspname) || ' (USAGE)' FROM pg_catalog.pg_namespace n
 WHERE {_USER_SCHEMAS} AND NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')
   AND EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid)
UNION ALL
SELECT 'table ' || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)
       || ' (SELECT)'
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't' AND {_USER_SCHEMAS}
   AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
   AND NOT CASE WHEN c.relkind = 'S' THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT')
                ELSE pg_catalog.has_table_privilege(c.oid, 'SELECT') END
UNION ALL
SELECT 'table ' || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)
       || ' (its row security needs BYPASSRLS)'
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND {_USER_SCHEMAS} AND pg_catalog.row_security_active(c.oid)
UNION ALL
SELECT 'large object ' || l.oid || ' (SELECT)' FROM pg_catalog.pg_largeobject_metadata l
 WHERE l.lomacl IS NULL AND NOT pg_catalog.pg_has_role(l.lomowner, 'USAGE')
LIMIT 50;
"""
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


def obstacles(psql: Psql, database: str) -> list[str]:
    """What this user may not read in `database`, and a dump would therefore stop at; in words."""
    return [text for (text,) in psql.ask(database, _STOPS_A_DUMP)]


def count_rows(session: Session, version: Version) -> Fingerprint:
    """Count the rows of every user table in the session's snapshot, by schema-qualified names.

    A partitioned table's count is the sum of its partitions', which are counted too. Left out is what a
    dump holds no rows of: foreign tables, materialized views, temporary tables and those of extensions.
    """
    rows = session.ask(_TABLES if version.first >= 10 else _TABLES_BEFORE_10, fields=5)
    names = {oid: f"{identifier(schema)}.{identifier(table)}" for oid, schema, table, _, _ in rows}
    own: dict[str, int] = {}
    plain = [oid for oid, _, _, kind, _ in rows if kind == "r"]
    for start in range(0, len(plain), _AT_ONCE):
        some = plain[start : start + _AT_ONCE]
        # ONLY: a parent in the old way of inheritance holds rows of its own beside its children's.
        questions = [f"SELECT count(*) FROM ONLY {names[oid]};" for oid in some]
        own.update(zip(some, session.count(questions), strict=True))
    children: dict[str, list[str]] = defaultdict(list)
    for oid, _, _, _, parent in rows:
        children[parent].append(oid)

    def total(oid: str) -> int:
        return own[oid] if oid in own else sum(total(child) for child in children[oid])

    return Fingerprint(
        {f"{_shown(schema)}.{_shown(table)}": total(oid) for oid, schema, table, _, _ in rows},
        consistent=True,
    )


def _shown(name: str) -> str:
    """A name as people write it; quoted where a dot or a quote in it could make it another one."""
    return identifier(name) if set(name) & {".", '"'} else name
