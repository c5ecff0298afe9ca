"""What a database is made of beside its tables: taken as text, dropped, and made again.

Views, routines, events and triggers cannot be renamed from one database into another. The texts are the
dump tool's own, in parts that can each be run again: whatever they make, they drop before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from plugins.sources.maria.catalogue import DatabaseOptions, is_name
from plugins.sources.maria.client import Client
from plugins.sources.maria.connection import identifier
from plugins.sources.maria.dumping import for_mysql
from plugins.sources.maria.failures import failure, last_words
from plugins.sources.maria.own_name import without_own_name
from plugins.sources.maria.tools import Found
from strongroom import Host, SourceError

# Views after routines, which they may call; triggers and events may call anything when they run.
PARTS = ("code", "triggers", "views")

_COMMON = ("--no-data", "--skip-comments", "--default-character-set=utf8mb4", "--no-tablespaces")
# No locks: of a view whose definer is gone none can be had. Nobody else writes to what is being swapped.
_UNLOCKED = ("--single-transaction", "--skip-add-locks")
_KINDS = {
    "VIEW": ("information_schema.VIEWS", "TABLE_SCHEMA", "TABLE_NAME", "'VIEW'"),
    "ROUTINE": ("information_schema.ROUTINES", "ROUTINE_SCHEMA", "ROUTINE_NAME", "ROUTINE_TYPE"),
    "EVENT": ("information_schema.EVENTS", "EVENT_SCHEMA", "EVENT_NAME", "'EVENT'"),
    "TRIGGER": ("information_schema.TRIGGERS", "TRIGGER_SCHEMA", "TRIGGER_NAME", "'TRIGGER'"),
}
PATIENCE = 60
"""Seconds that the server waits for those who hold a table: a transaction of theirs may take all day."""
# What the dump tools write ahead of a routine, and how it begins.
_DROPPED = re.compile(
    rb"^/\*!50003 DROP (?:PROCEDURE|FUNCTION|PACKAGE BODY|PACKAGE) IF EXISTS .*? \*/;\n", re.MULTILINE
)
_CREATED = re.compile(rb"^(DELIMITER ;;\nCREATE )(?=DEFINER=)", re.MULTILINE)


def waiting() -> str:
    """The statement that limits how long the server waits."""
    return f"SET SESSION lock_wait_timeout = {PATIENCE}; "


class Definitions:
    """Takes and makes them, on one server. Raises `SourceError`s.

    Rights on a single routine go when it is dropped. MariaDB keeps them where a routine is replaced by one of
    its name (`replaces`); MySQL has no such word, and there they are given again.
    """

    def __init__(self, host: Host, client: Client, tool: Found, *, replaces: bool) -> None:
        self._host = host
        self._client = client
        self._tool = tool
        self._replaces = replaces

    def take(self, database: str, made: DatabaseOptions, *, lenient: bool) -> tuple[dict[str, bytes], str]:
        """The text of each part; and with `lenient`, what could not be taken, in the tool's words.

        The database's collation comes first in each: the server notes it with what it makes.
        """
        first = f"ALTER DATABASE {made.words};\n".encode()
        views = [name for _, name in self._named(database, "VIEW")]
        asked = {
            "code": ["--no-create-info", "--skip-triggers", "--routines", "--events", "--", database],
            "triggers": ["--no-create-info", "--triggers", "--add-drop-trigger", "--", database],
            "views": ["--skip-triggers", "--", database, *views],
        }
        found: dict[str, bytes] = {}
        said: list[str] = []
        for part, arguments in asked.items():
            text = b""
            if part != "views" or views:
                text, words = self._dumped(database, arguments, lenient=lenient)
                said += [words] if words else []
            if self._replaces:
                text = _CREATED.sub(rb"\1OR REPLACE ", _DROPPED.sub(b"", text))
            found[part] = first + b"".join(without_own_name([text], database))
        return found, " ".join(said)

    def _dumped(self, database: str, arguments: Sequence[str], *, lenient: bool) -> tuple[bytes, str]:
        with self._client.options(self._tool) as options:
            argv = [self._tool.path, options, *_COMMON, *_UNLOCKED, *for_mysql(self._tool)]
            done = self._host.capture([*argv, *(["--force"] if lenient else []), *arguments], timeout=600)
        if done.exit_status == 0:
            return done.stdout, ""
        if not lenient:
            raise failure(self._tool.name, done.exit_status, done.stderr, self._client.connection, database)
        return done.stdout, last_words(self._client.connection.without_secret(done.stderr))

    def make(self, database: str, parts: dict[str, bytes], *, only: Sequence[str] = PARTS) -> None:
        """Make what the texts say in a database."""
        for part in only:
            self._client.run(waiting().encode() + parts[part], database)

    def make_what_can_be(self, database: str, parts: dict[str, bytes], *, only: Sequence[str] = PARTS) -> str:
        """The same, passing over what fails; return the client's words about that, "" when nothing did."""
        said = [self._client.run_on(waiting().encode() + parts[part], database) for part in only]
        return " ".join(words for words in said if words)

    def triggers(self, database: str) -> int:
        """How many there are."""
        return len(self._named(database, "TRIGGER"))

    def routines(self, database: str) -> list[list[str]]:
        """The kind and the name of each routine."""
        return [[*routine] for routine in self._named(database, "ROUTINE")]

    def strip(
        self, database: str, *, only: Sequence[str] = tuple(_KINDS), but: Sequence[Sequence[str]] = ()
    ) -> None:
        """Drop those whose kind (VIEW, ROUTINE, EVENT, TRIGGER) is in `only`; what `but` names stays."""
        stay = {(type_name, name) for type_name, name in but}
        for kind in only:
            for type_name, name in self._named(database, kind):
                if (type_name, name) in stay:
                    continue
                # Packages are words of the Oracle mode alone.
                mode = "SET SESSION sql_mode = 'ORACLE'; " if type_name.startswith("PACKAGE") else ""
                self._client.ask(
                    f"{waiting()}{mode}DROP {type_name} IF EXISTS {identifier(database)}.{identifier(name)};"
                )

    def disable_events(self, database: str) -> None:
        """Let a database's events rest."""
        sql = (
            "SELECT EVENT_NAME, DEFINER FROM information_schema.EVENTS"  # noqa: S608 - quoted
            f" WHERE {is_name('EVENT_SCHEMA', database)} AND STATUS = 'ENABLED';"
        )
        for name, definer in self._client.ask(sql):
            user, _, place = definer.rpartition("@")
            by = f"DEFINER = {identifier(user)}@{identifier(place)}"
            self._client.ask(f"ALTER {by} EVENT {identifier(database)}.{identifier(name)} DISABLE;")

    def grants(self, database: str) -> list[str] | None:
        """The rights on single routines that would go with them, as statements; None: they are hidden."""
        if self._replaces:
            return []
        sql = (
            "SELECT User, Host, Routine_name, Routine_type, Proc_priv FROM mysql.procs_priv"  # noqa: S608
            f" WHERE {is_name('Db', database)};"
        )
        try:
            rows = self._client.ask(sql)
        except SourceError:
            return None
        found = []
        for user, host, name, kind, rights in rows:
            words = [right.upper() for right in rights.split(",")]
            option = " WITH GRANT OPTION" if "GRANT" in words else ""
            given = ", ".join(word for word in words if word != "GRANT") or "USAGE"
            to = identifier(user) + (f"@{identifier(host)}" if host else "")  # a role has no host
            found.append(
                f"GRANT {given} ON {kind} {identifier(database)}.{identifier(name)} TO {to}{option};"
            )
        return found

    def grant(self, statements: Sequence[str]) -> list[str]:
        """Give rights on routines again; return the statements that failed, as for a routine that is gone."""
        failed = []
        for statement in statements:
            try:
                self._client.ask(statement)
            except SourceError:
                failed.append(statement)
        return failed

    def _named(self, database: str, kind: str) -> list[tuple[str, str]]:
        table, schema, name, type_of = _KINDS[kind]
        sql = f"SELECT {type_of}, {name} FROM {table} WHERE {is_name(schema, database)};"  # noqa: S608 - quoted
        return [(type_name, found) for type_name, found in self._client.ask(sql)]
