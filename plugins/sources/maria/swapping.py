"""Put a restored database into the place of another one, which is kept: neither server can rename one.

All tables change places in one RENAME TABLE, which happens whole or not at all. What cannot be renamed
(views, triggers, routines, events) is small: its definitions are taken before, and made again after.
"""

from __future__ import annotations

import secrets

from plugins.sources.maria import catalogue
from plugins.sources.maria.catalogue import DatabaseOptions, is_name
from plugins.sources.maria.client import Client
from plugins.sources.maria.connection import fit, identifier
from plugins.sources.maria.dumping import for_mysql
from plugins.sources.maria.failures import failure
from plugins.sources.maria.tools import Found
from strongroom import DatabaseMissing, Host, SourceError

_KINDS = {
    "VIEW": ("information_schema.VIEWS", "TABLE_SCHEMA", "TABLE_NAME", "'VIEW'"),
    "ROUTINE": ("information_schema.ROUTINES", "ROUTINE_SCHEMA", "ROUTINE_NAME", "ROUTINE_TYPE"),
    "EVENT": ("information_schema.EVENTS", "EVENT_SCHEMA", "EVENT_NAME", "'EVENT'"),
    "TRIGGER": ("information_schema.TRIGGERS", "TRIGGER_SCHEMA", "TRIGGER_NAME", "'TRIGGER'"),
}
_DEFINITIONS = ("--no-data", "--skip-comments", "--default-character-set=utf8mb4", "--no-tablespaces")


def kept_name(database: str, beside: str) -> str:
    """`<database>_before_<label>`, with the label that `beside` was made with."""
    same = 0
    while same < min(len(database), len(beside)) and database[same] == beside[same]:
        same += 1
    label = beside[same:].lstrip("_") or secrets.token_hex(4)
    return fit(database, f"_before_{label}")


class Swap:
    """Makes `beside` the database of that name. Raises `SourceError`s."""

    def __init__(self, host: Host, client: Client, tool: Found, beside: str, database: str) -> None:
        self._host = host
        self._client = client
        self._tool = tool
        self._beside = beside
        self._database = database
        self._kept = kept_name(database, beside)

    def run(self) -> str | None:
        """Swap; return the name that the old one is kept under, None if there was none."""
        new = catalogue.options_of(self._client, self._beside)
        if new is None:
            raise DatabaseMissing(
                f"There is no database {self._beside!r} to put in place.", remedy="Restore again."
            )
        old = catalogue.options_of(self._client, self._database)
        if old is None:
            self._create(self._database, new)
            self._move([(self._beside, self._database)], {self._beside: new})
            return None
        if catalogue.options_of(self._client, self._kept) is not None:
            raise SourceError(
                f"There is a database {self._kept!r} already.", remedy="Rename or drop it, and restore again."
            )
        self._create(self._kept, old)
        ways = [(self._database, self._kept), (self._beside, self._database)]
        self._move(ways, {self._database: old, self._beside: new})
        return self._kept

    def _create(self, database: str, made: DatabaseOptions) -> None:
        self._client.ask(f"CREATE DATABASE {identifier(database)} {made.words};")

    def _move(self, ways: list[tuple[str, str]], options: dict[str, DatabaseOptions]) -> None:
        """Give all that each first database holds to the second one, and drop the last of the first ones."""
        definitions = {source: self._definitions(source, made) for source, made in options.items()}
        tables = {source: self._tables(source) for source, _ in ways}
        created = ways[0][1]
        is_moved = False
        try:
            for source, _ in ways:
                self._strip(source)
            self._rename(ways, tables)
            is_moved = True
            for source, target in ways:
                self._apply(target, definitions[source])
        except SourceError as error:
            self._back(ways, tables, definitions, created, is_moved=is_moved, error=error)
            raise
        self._client.ask(f"DROP DATABASE {identifier(ways[-1][0])};", timeout=600)

    def _back(
        self,
        ways: list[tuple[str, str]],
        tables: dict[str, list[str]],
        definitions: dict[str, list[bytes]],
        created: str,
        *,
        is_moved: bool,
        error: SourceError,
    ) -> None:
        """Undo a move that failed; if that fails too, the error says what lies where."""
        try:
            if is_moved:
                for _, target in ways:
                    self._strip(target)
                back = [(target, source) for source, target in reversed(ways)]
                self._rename(back, {target: tables[source] for source, target in ways})
            for source, _ in ways:
                self._strip(source)
                self._apply(source, definitions[source])
            self._client.ask(f"DROP DATABASE {identifier(created)};", timeout=600)
        except SourceError as second:
            where = f" Its tables are in {self._kept!r}." if is_moved and len(ways) > 1 else ""
            error.message += (
                f" Undoing it failed, too: {second.message} {self._database!r} may lack views, triggers,"
                f" routines or events.{where}"
            )

    # ------------------------------------------------------------------------------------ small parts

    def _tables(self, database: str) -> list[str]:
        """All that RENAME TABLE moves: tables and sequences."""
        rows = self._client.ask(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE"  # noqa: S608 - quoted
            f" {is_name('TABLE_SCHEMA', database)} AND TABLE_TYPE <> 'VIEW' ORDER BY 1;"
        )
        return [name for (name,) in rows]

    def _rename(self, ways: list[tuple[str, str]], tables: dict[str, list[str]]) -> None:
        moves = [
            f"{identifier(source)}.{identifier(name)} TO {identifier(target)}.{identifier(name)}"
            for source, target in ways
            for name in tables[source]
        ]
        if moves:
            self._client.ask(f"RENAME TABLE {', '.join(moves)};", timeout=600)

    def _named(self, database: str, kind: str) -> list[tuple[str, str]]:
        table, schema, name, type_of = _KINDS[kind]
        sql = f"SELECT {type_of}, {name} FROM {table} WHERE {is_name(schema, database)};"  # noqa: S608 - quoted
        return [(type_name, found) for type_name, found in self._client.ask(sql)]

    def _strip(self, database: str) -> None:
        """Drop what no rename takes along."""
        for kind in _KINDS:
            for type_name, name in self._named(database, kind):
                self._client.ask(f"DROP {type_name} IF EXISTS {identifier(database)}.{identifier(name)};")

    def _definitions(self, database: str, made: DatabaseOptions) -> list[bytes]:
        """The statements that make a database's views, triggers, routines and events.

        The database's collation comes first: the server notes it with each of them.
        """
        first = f"ALTER DATABASE {made.words};\n".encode()
        code = self._dumped(database, "--no-create-info", "--routines", "--events", "--triggers")
        views = [name for _, name in self._named(database, "VIEW")]
        # Views after routines, which they may call; triggers and events may call anything when they run.
        more = [self._dumped(database, "--skip-triggers", tables=views)] if views else []
        return [first + code, *more]

    def _dumped(self, database: str, *which: str, tables: list[str] | None = None) -> bytes:
        with self._client.options(self._tool) as options:
            argv = [
                self._tool.path,
                options,
                *_DEFINITIONS,
                *for_mysql(self._tool),
                *which,
                "--",
                database,
                *(tables or []),
            ]
            done = self._host.capture(argv, timeout=600)
        if done.exit_status != 0:
            said = done.stderr
            raise failure(self._tool.name, done.exit_status, said, self._client.connection, database)
        return done.stdout

    def _apply(self, database: str, definitions: list[bytes]) -> None:
        for text in definitions:
            self._client.run(text, database)
        if database == self._kept:  # it is kept as it was, and does nothing any more
            self._disable_events(database)

    def _disable_events(self, database: str) -> None:
        sql = (
            "SELECT EVENT_NAME, DEFINER FROM information_schema.EVENTS"  # noqa: S608 - quoted
            f" WHERE {is_name('EVENT_SCHEMA', database)} AND STATUS = 'ENABLED';"
        )
        for name, definer in self._client.ask(sql):
            user, _, place = definer.rpartition("@")
            by = f"DEFINER = {identifier(user)}@{identifier(place)}"
            self._client.ask(f"ALTER {by} EVENT {identifier(database)}.{identifier(name)} DISABLE;")
