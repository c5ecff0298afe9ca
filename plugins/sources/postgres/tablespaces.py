"""Keep a database in the tablespace that it was in, as far as the server has it and lets this user."""

from __future__ import annotations

from plugins.sources.postgres.connection import identifier, literal
from plugins.sources.postgres.entrance import Server
from strongroom import ConnectionFailed, LogLevel, LogType, SourceError

_OF = (
    "SELECT t.spcname FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t"
    " ON t.oid = d.dattablespace WHERE d.datname = "
)
_LIMIT = 4 * 3600.0  # seconds: the whole database is copied


def usable(server: Server, through: str, name: str) -> bool:
    """Whether a database may be made in that tablespace; if not, that is said."""
    sql = (
        "SELECT pg_catalog.has_tablespace_privilege(oid, 'CREATE') FROM pg_catalog.pg_tablespace"  # noqa: S608
        f" WHERE spcname = {literal(name)}::pg_catalog.text;"
    )
    found = server.psql.ask(through, sql)
    if found == [("t",)]:
        return True
    why = f"{server.connection.user} may not create anything in it" if found else "the server has none"
    _warn(server, f"The database was in the tablespace {name!r}: {why}, so it is made in the default one.")
    return False


def follow(server: Server, through: str, beside: str, database: str) -> None:
    """Move `beside` into the tablespace of the database that it is to replace; say so where it stays."""
    found = [
        server.psql.ask(through, f"{_OF}{literal(name)}::pg_catalog.text;") for name in (database, beside)
    ]
    if not all(found) or found[0] == found[1]:
        return
    old, new = (rows[0][0] for rows in found)
    sql = f"ALTER DATABASE {identifier(beside)} SET TABLESPACE {identifier(old)};"
    try:
        server.psql.ask(through, sql, timeout=_LIMIT)
    except ConnectionFailed:
        raise
    except SourceError as error:
        _warn(
            server,
            f"{database} was in the tablespace {old!r}, and what takes its place stays in {new!r}:"
            f" {error.message}",
        )


def _warn(server: Server, words: str) -> None:
    server.context.log(
        words, LogLevel.WARNING, LogType.GENERAL, "ALTER DATABASE ... SET TABLESPACE moves it later."
    )
