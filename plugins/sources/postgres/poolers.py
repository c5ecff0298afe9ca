"""Tell a pooler from a server. One that hands out connections by the transaction is no place to dump from.

What a session sets up is lost or reaches somebody else there, and a provider's limits end long transactions.
Providers' addresses are known by name; any other such pooler shows when two sessions, open at the same
time, share one process of the server's.
"""

from __future__ import annotations

import re

from plugins.sources.postgres.connection import Connection
from plugins.sources.postgres.session import Psql
from strongroom import ConfigError, SourceError

_REMEDIES = {
    "Supabase": "Take the direct connection or the session pooler, port 5432.",
    "Neon": "Take the direct connection: the same host without -pooler.",
    "": "Give the source the server's own address, or a pool that hands out connections by the session.",
}


def known_pooler(connection: Connection) -> str:
    """The provider whose transaction pooler that address is; "" when it is none that is known."""
    host = connection.host.lower()
    if re.search(r"\.supabase\.(com|co)$", host) and connection.port == 6543:
        return "Supabase"
    if re.fullmatch(r"[^.]+-pooler\..*\.neon\.(tech|build)", host):
        return "Neon"
    return ""


def notes(connection: Connection) -> list[str]:
    """What to know of an address that may be a pooler's."""
    host = connection.host.lower()
    if re.search(r"\.proxy-[^.]+\.[^.]+\.rds\.amazonaws\.com$", host):
        return ["this is an RDS Proxy, which may end long sessions: give the instance's own endpoint"]
    if connection.port == 6432:
        return ["port 6432 is a pooler's, as a rule: the server's own address is safer for a dump"]
    return []


def refuse(psql: Psql, database: str) -> None:
    """Raise `ConfigError` where a transaction pooler answers."""
    provider = known_pooler(psql.connection)
    if provider or _shares(psql, database):
        whose = f"{provider}'s transaction pooler" if provider else "a transaction pooler"
        raise ConfigError(
            f"At {psql.connection.place} answers {whose}, which cannot hold the snapshot of a dump.",
            remedy=_REMEDIES[provider],
        )


def _shares(psql: Psql, database: str) -> bool:
    """Whether two sessions that are open at once are served by one process."""
    ask = "SELECT pg_catalog.pg_backend_pid();"
    first = psql.session(database)
    try:
        served = first.ask(ask)[0][0]
        second = psql.session(database)
        try:
            second.ask("BEGIN;")
            return second.ask(ask)[0][0] == served
        finally:
            second.close()
    except SourceError:
        return False  # a limit of connections, say: a dump will tell
    finally:
        first.close()
