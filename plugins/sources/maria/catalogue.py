"""What Strongroom asks the server's catalogue: databases, tables to count, and what would stop a dump."""

# ruff: noqa: S608 - every value in a query here is quoted by the module `connection`; there are no
# parameters for names, and the client that is asked has none at all.

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from plugins.sources.maria.client import Client
from plugins.sources.maria.connection import identifier, literal
from strongroom import DatabaseMissing, Fingerprint

SYSTEM = frozenset({"information_schema", "performance_schema", "mysql", "sys"})
"""The servers' own databases. A provider's own (`innodb` on old RDS) hold nothing that could be restored."""
_PROVIDERS = frozenset({"innodb", "rdsadmin"})

_SNAPSHOT = frozenset({"innodb", "rocksdb", "tokudb"})
"""The storage engines whose tables are read as of the dump's beginning."""
_ELSEWHERE = frozenset({"mrg_myisam", "mrg_isam", "federated"})
"""Those whose tables hold no rows of their own."""
_TABLE = "TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')"

# A database's rights that dumping it takes, and those by which its routines are seen at all: without one of
# them the dump tool is not told that there are any, and would leave them out without a word.
_NEEDED = ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT")
_SEES_ROUTINES = ("EXECUTE", "ALTER ROUTINE", "CREATE ROUTINE", "SHOW CREATE ROUTINE", "SHOW_ROUTINE")
_GRANT = re.compile(
    r"GRANT (?P<rights>.+?) ON (?:TABLE )?(?P<where>(?:`(?:[^`]|``)*`|\*)\.\*) TO ", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Server:
    """What a server says of itself: `10.11.6-MariaDB` or `8.0.36`, and how it tells names apart."""

    version: str
    comment: str
    folds_names: bool

    @property
    def is_mariadb(self) -> bool:
        return "mariadb" in f"{self.version} {self.comment}".lower()

    @property
    def number(self) -> str:
        """The version without what the packager appended."""
        return self.version.partition("-")[0]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The same, to compare; nothing where it is none."""
        return tuple(int(part) for part in self.number.split(".") if part.isdigit())


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """The character set and collation that CREATE DATABASE is given."""

    charset: str
    collation: str

    @property
    def words(self) -> str:
        """As CREATE DATABASE and ALTER DATABASE take them."""
        return f"CHARACTER SET {self.charset} COLLATE {self.collation}"


def server(client: Client) -> Server:
    [(version, comment, folds)] = client.ask("SELECT VERSION(), @@version_comment, @@lower_case_table_names;")
    return Server(version, comment, folds != "0")


def cipher(client: Client) -> str:
    """What encrypts the connection; nothing where it is not encrypted."""
    return client.ask("SHOW SESSION STATUS LIKE 'Ssl_cipher';")[0][1]


def all_databases(client: Client) -> list[str]:
    """Every database but the server's own, sorted."""
    names = [name for (name,) in client.ask("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA;")]
    return sorted(name for name in names if name.lower() not in SYSTEM | _PROVIDERS)


def options_of(client: Client, database: str) -> DatabaseOptions | None:
    """How a database was made; None when there is none of that name."""
    rows = client.ask(
        "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA"
        f" WHERE {is_name('SCHEMA_NAME', database)};"
    )
    return DatabaseOptions(*rows[0]) if rows else None


def is_name(column: str, name: str) -> str:
    """A condition on the name of a database, as the server tells names apart; its catalogue does not."""
    given = literal(name)
    return f"BINARY {column} = BINARY IF(@@lower_case_table_names = 0, {given}, LOWER({given}))"


def has_objects(client: Client, database: str) -> bool:
    """Whether there is anything in a database: tables, views, sequences, routines or events."""
    sql = " UNION ALL ".join(
        f"(SELECT 1 FROM information_schema.{table} WHERE {is_name(column, database)} LIMIT 1)"
        for table, column in (
            ("TABLES", "TABLE_SCHEMA"),
            ("ROUTINES", "ROUTINE_SCHEMA"),
            ("EVENTS", "EVENT_SCHEMA"),
        )
    )
    return bool(client.ask(f"{sql};"))


def tables(client: Client, database: str) -> dict[str, str]:
    """The names of a database's tables, each with its storage engine in lower case."""
    rows = client.ask(
        "SELECT TABLE_NAME, LOWER(COALESCE(ENGINE, '')) FROM information_schema.TABLES"
        f" WHERE {is_name('TABLE_SCHEMA', database)} AND {_TABLE} ORDER BY 1;"
    )
    return {name: engine for name, engine in rows}  # noqa: C416 - that rows have two fields is checked


def outside_snapshots(found: dict[str, str]) -> list[str]:
    """The tables that a dump does not read as of its beginning."""
    return [name for name, engine in found.items() if engine not in _SNAPSHOT]


def versioned(client: Client, database: str) -> list[str]:
    """The tables whose history the server keeps."""
    rows = client.ask(
        "SELECT TABLE_NAME FROM information_schema.TABLES"
        f" WHERE {is_name('TABLE_SCHEMA', database)} AND TABLE_TYPE = 'SYSTEM VERSIONED' ORDER BY 1;"
    )
    return [name for (name,) in rows]


def has_sequences(client: Client, database: str) -> bool:
    """Whether there are MariaDB's sequences, which a table's default may ask: not while tables are locked."""
    return bool(
        client.ask(
            "SELECT 1 FROM information_schema.TABLES"
            f" WHERE {is_name('TABLE_SCHEMA', database)} AND TABLE_TYPE = 'SEQUENCE' LIMIT 1;"
        )
    )


def views_on(client: Client, database: str, left_out: Sequence[str]) -> dict[str, str]:
    """The views that use a table or view which is left out of a backup, each with one that it uses."""
    if not left_out:
        return {}
    rows = client.ask(
        "SELECT TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS"
        f" WHERE {is_name('TABLE_SCHEMA', database)};"
    )
    return {
        view: name
        for view, text in rows
        if view not in left_out
        for name in left_out
        if f"{identifier(database)}.{identifier(name)}" in text
    }


def endless_events(client: Client, database: str) -> list[str]:
    """The events at which MariaDB's dump tool never ends (seen with 10.11.19): it looks for a delimiter that
    their text does not hold, and tries `;;` again and again."""
    rows = client.ask(
        "SELECT EVENT_NAME FROM information_schema.EVENTS"
        f" WHERE {is_name('EVENT_SCHEMA', database)}"
        " AND (EVENT_DEFINITION LIKE '%;;%' OR EVENT_COMMENT LIKE '%;;%') ORDER BY 1;"
    )
    return [name for (name,) in rows]


def numbers_transactions(client: Client, database: str) -> bool:
    """Whether there is a table whose history names transactions, and no times: none can be written anew."""
    return bool(
        client.ask(
            "SELECT 1 FROM information_schema.COLUMNS"
            f" WHERE {is_name('TABLE_SCHEMA', database)} AND GENERATION_EXPRESSION = 'ROW START'"
            " AND DATA_TYPE = 'bigint' LIMIT 1;"
        )
    )


def losses(client: Client, database: str, *, with_history: bool) -> list[str]:
    """What the dump tools do not keep of a database's tables, as clauses; seen with mariadb-dump 10.11."""
    found = []
    floats = client.ask(
        "SELECT DISTINCT TABLE_NAME FROM information_schema.COLUMNS"
        f" WHERE {is_name('TABLE_SCHEMA', database)} AND DATA_TYPE = 'float' ORDER BY 1;"
    )
    if floats:
        names = _some([name for (name,) in floats])
        found.append(f"of FLOAT values the dump tool keeps 6 digits ({names}); DOUBLE and DECIMAL stay whole")
    if not with_history and (histories := versioned(client, database)):
        found.append(
            f"rows that are history are not backed up, only those that hold now ({_some(histories)})"
        )
    return found


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def count_rows(client: Client, database: str) -> Fingerprint:
    """Count the rows of every table, all as of one moment. Raises `DatabaseMissing`."""
    if options_of(client, database) is None:
        raise DatabaseMissing(
            f"There is no database {database!r} on {client.connection.place}.",
            remedy="Correct the source's list of databases, or see whether it was renamed or dropped.",
        )
    found = tables(client, database)
    if not found:
        return Fingerprint({}, consistent=True)
    # Of a table whose rows are another one's, or another server's, the dump tools write none.
    own = {name: engine for name, engine in found.items() if engine not in _ELSEWHERE}
    if outside_snapshots(own):
        begin = "LOCK TABLES " + ", ".join(f"{identifier(database)}.{identifier(name)} READ" for name in own)
    else:
        begin = (
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;"
            " START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
        )
    # Of a table with history, the dump holds that too, where the tool can write it.
    with_history = set(versioned(client, database))
    counts = "; ".join(
        f"SELECT COUNT(*) FROM {identifier(database)}.{identifier(name)}"
        + (" FOR SYSTEM_TIME ALL" if name in with_history else "")
        if name in own
        else "SELECT 0"
        for name in found
    )
    rows = client.ask(f"{begin}; {counts};", timeout=24 * 3600)
    return Fingerprint(
        {name: int(count) for name, (count,) in zip(found, rows, strict=True)}, consistent=True
    )


def obstacles(client: Client, databases: list[str]) -> list[str]:
    """What this user lacks for a whole dump of these databases, in words."""
    granted = _grants(client)
    found = []
    for database in databases:
        rights = {right for pattern, its in granted for right in its if _covers(pattern, database)}
        if "ALL PRIVILEGES" in rights:
            continue
        if missing := [right for right in _NEEDED if right not in rights]:
            found.append(f"{', '.join(missing)} on {database!r}")
            continue
        sees_all = any(
            "SELECT" in its or "ALL PRIVILEGES" in its
            for pattern, its in granted
            if pattern in ("*", "mysql")
        )
        if not sees_all and not rights & set(_SEES_ROUTINES):
            found.append(f"EXECUTE on {database!r} (else its procedures and functions are hidden)")
    return found


def _grants(client: Client) -> list[tuple[str, set[str]]]:
    """The rights of the user and its active roles: on which databases (`*` for all), and which."""
    lines = [line for (line, *_) in client.ask("SHOW GRANTS;")]  # those of active roles, too
    found = []
    for line in lines:
        if match := _GRANT.match(line):
            where = match["where"].removesuffix(".*")
            pattern = where if where == "*" else where[1:-1].replace("``", "`")
            found.append((pattern, {right.strip().upper() for right in match["rights"].split(",")}))
    return found


def _covers(pattern: str, database: str) -> bool:
    """Whether a grant is one on this database: `%` and `_` stand for characters, unless escaped."""
    if pattern == "*":
        return True
    expression, at = "", 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == "\\" and at + 1 < len(pattern):
            at += 1
            expression += re.escape(pattern[at])
        else:
            expression += {"%": ".*", "_": "."}.get(letter, re.escape(letter))
        at += 1
    return re.fullmatch(expression, database, re.DOTALL) is not None
