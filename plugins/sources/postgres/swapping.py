"""Swap databases by renaming, in one transaction, while applications keep trying to connect.

The server takes a lock for a rename and waits up to 5 s for the connections to end. They are ended all
that time, so that even a pool that reconnects at once does not get in between.
"""

from __future__ import annotations

import secrets
import threading
from contextlib import suppress

from plugins.sources.postgres import catalogue
from plugins.sources.postgres.connection import fit, identifier, literal
from plugins.sources.postgres.restoring import ending_connections
from plugins.sources.postgres.session import Psql
from strongroom import Cancelled, ConnectionFailed, DatabaseMissing, SourceError

_PAUSE = 0.1  # seconds between two rounds of ending the connections

# What belongs to a database and is in no dump of it: its owner, limit, comment, settings and rights.
_TAKEN_OVER = """
SELECT pg_catalog.format('ALTER DATABASE %I OWNER TO %I;', {new}, pg_catalog.pg_get_userbyid(datdba))
  FROM pg_catalog.pg_database WHERE datname = {old}
UNION ALL
SELECT pg_catalog.format('ALTER DATABASE %I CONNECTION LIMIT %s;', {new}, datconnlimit)
  FROM pg_catalog.pg_database WHERE datname = {old} AND datconnlimit >= 0
UNION ALL
SELECT pg_catalog.format('COMMENT ON DATABASE %I IS %L;', {new},
                         pg_catalog.shobj_description(oid, 'pg_database'))
  FROM pg_catalog.pg_database WHERE datname = {old}
   AND pg_catalog.shobj_description(oid, 'pg_database') IS NOT NULL
UNION ALL
SELECT CASE WHEN s.setrole = 0 THEN pg_catalog.format('ALTER DATABASE %I', {new})
            ELSE pg_catalog.format('ALTER ROLE %I IN DATABASE %I',
                                   pg_catalog.pg_get_userbyid(s.setrole), {new})
       END || pg_catalog.format(' SET %I = ', pg_catalog.split_part(c.setting, '=', 1))
       || CASE WHEN v.is_list THEN v.value ELSE pg_catalog.quote_literal(v.value) END || ';'
  FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase,
       pg_catalog.unnest(s.setconfig) AS c(setting),
       LATERAL (SELECT pg_catalog.substr(c.setting, pg_catalog.strpos(c.setting, '=') + 1),
                       pg_catalog.split_part(c.setting, '=', 1) IN
                       ('search_path', 'temp_tablespaces', 'session_preload_libraries',
                        'local_preload_libraries')) AS v(value, is_list)
 WHERE d.datname = {old}
UNION ALL
SELECT pg_catalog.format('REVOKE ALL ON DATABASE %I FROM PUBLIC;', {new})
  FROM pg_catalog.pg_database WHERE datname = {old} AND datacl IS NOT NULL
UNION ALL
SELECT pg_catalog.format('GRANT %s ON DATABASE %I TO %s%s;', a.privilege_type, {new},
                         CASE WHEN a.grantee = 0 THEN 'PUBLIC'
                              ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END,
                         CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM pg_catalog.pg_database d, LATERAL pg_catalog.aclexplode(d.datacl) a WHERE d.datname = {old};
"""


def beside_name(database: str, label: str) -> str:
    """`<database>_<label>`, the database's part cut where 63 bytes would not hold both."""
    return fit(database, f"_{label}")


def kept_name(database: str, beside: str) -> str:
    """`<database>_before_<label>`, with the label that `beside` was made with."""
    same = 0
    while same < min(len(database), len(beside)) and database[same] == beside[same]:
        same += 1
    label = beside[same:].lstrip("_") or secrets.token_hex(4)
    return fit(database, f"_before_{label}")


def swap(psql: Psql, through: str, beside: str, database: str) -> str | None:
    """Give `beside` the name `database`; return the name that the old one is kept under, if there is one.

    Raises `SourceError`s; then both have the names that they had.
    """
    if not catalogue.exists(psql, through, beside):
        raise DatabaseMissing(f"There is no database {beside!r} to put in place.", remedy="Restore again.")
    if not catalogue.exists(psql, through, database):
        _rename(psql, through, [(beside, database)])
        return None
    kept = kept_name(database, beside)
    if catalogue.exists(psql, through, kept):
        raise SourceError(
            f"There is a database {kept!r} already.", remedy="Rename or drop it, and restore again."
        )
    _take_over(psql, through, database, beside)
    _rename(psql, through, [(database, kept), (beside, database)])
    return kept


def _take_over(psql: Psql, through: str, old: str, new: str) -> None:
    sql = _TAKEN_OVER.format(old=literal(old), new=literal(new))
    statements = [text for (text,) in psql.ask(through, sql)]
    try:
        psql.ask(through, "BEGIN;\n" + "\n".join(statements) + "\nCOMMIT;")
    except SourceError as error:
        raise SourceError(
            f"The owner, settings and rights of {old!r} could not be given to its successor: {error.message}",
            remedy=error.remedy,
        ) from error


def _rename(psql: Psql, through: str, names: list[tuple[str, str]]) -> None:
    statements = "\n".join(
        f"ALTER DATABASE {identifier(old)} RENAME TO {identifier(new)};" for old, new in names
    )
    done = threading.Event()

    def end_connections() -> None:
        sql = "\n".join(ending_connections(old) for old, _ in names)
        while True:
            with suppress(SourceError, Cancelled):  # the rename says what went wrong, if it did
                psql.ask(through, sql)
            if done.wait(_PAUSE):
                return

    ender = threading.Thread(target=end_connections, name="end-connections", daemon=True)
    ender.start()
    try:
        psql.ask(through, f"BEGIN;\n{statements}\nCOMMIT;")
    except SourceError as error:
        if "being accessed by other users" in error.message:
            raise ConnectionFailed(
                f"The database {names[0][0]!r} is in use, and its connections could not be ended.",
                remedy="Stop the application, or give the source a user that may end its connections"
                " (GRANT pg_signal_backend).",
            ) from error
        raise
    finally:
        done.set()
        ender.join()
