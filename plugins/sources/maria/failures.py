"""What the tools of MariaDB and MySQL say when they fail, turned into errors that say what to do."""

from __future__ import annotations

import re
from collections.abc import Callable

from plugins.sources.maria.connection import Connection
from strongroom import ConnectionFailed, DatabaseMissing, DumpIncomplete, SourceError, ToolFailed

REFUSED = "The message names what the server refused; correct it there, and restore again."
"""The remedy of a restore that failed in a way that no rule knows."""

# `ERROR 1045 (28000) at line 1: ...` of the client, `Got error: 1045: "..."` and `Error 1049: ...` of the
# dump tool; 2xxx are the client library's own.
_NUMBER = re.compile(r"\berror:? (\d{4})\b", re.IGNORECASE)

_OURS = "unknown variable 'loose-"
"""What the other kind's tools say of options that are for one kind: we asked them to pass over these."""

_Make = Callable[[Connection, str, str], SourceError]  # the connection, the database, the tool's last words


def _make(kind: type[SourceError], message: str, remedy: str) -> _Make:
    def make(connection: Connection, database: str, said: str) -> SourceError:
        facts = {
            "place": connection.place,
            "host": connection.host,
            "user": connection.user,
            "database": database,
            "said": said,
        }
        return kind(message.format(**facts), remedy=remedy.format(**facts))

    return make


_PASSWORD = _make(
    ConnectionFailed,
    "The server {place} refused the password of the user {user!r}, or what else it is known by.",
    "Correct the user and the password (of the source, or where it has none, in ~/.my.cnf). A user with"
    " unix_socket authentication gets in by the server's socket alone: give its path as the host. One that"
    " REQUIRES a certificate needs ssl_cert and ssl_key.",
)
_UNREACHABLE = _make(
    ConnectionFailed,
    "No server answers at {place}.",
    "Start the server, or correct the host and the port of the source.",
)
_WENT_AWAY = _make(
    ConnectionFailed,
    "The server {place} went away in the middle of the work on {database!r}.",
    "See in the server's log why it stopped or ended the connection; max_allowed_packet and the server's"
    " time limits are the usual reasons.",
)
_NO_RIGHT = _make(
    SourceError,
    "The user {user!r} may not do this in {database!r}: {said}",
    "For backups, GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE ON *.* TO it; a restore needs LOCK TABLES,"
    " the rights to create what is in the backup, and SET USER (or SUPER) for what other users have defined.",
)
_NO_DEFINER = _make(
    SourceError,
    "Who has defined a view, routine, trigger or event of {database!r} is not known to {place}: {said}",
    "Create that user there (it needs no password and no rights of its own to be a definer; what it defined"
    " runs with its rights), or give what it defined another DEFINER.",
)
_TLS = _make(
    ConnectionFailed,
    "TLS with {place} failed: {said}",
    "Check the TLS mode, the CA, the certificate and the key of the source.",
)

_BY_NUMBER: dict[int, _Make] = {
    1045: _PASSWORD,
    1698: _PASSWORD,
    1251: _make(
        ConnectionFailed,
        "The server {place} asks for a way to log in that these client tools do not have: {said}",
        "Install the client tools of the server's own kind and version.",
    ),
    2059: _make(
        ConnectionFailed,
        "The client tools cannot log in to {place}: {said}",
        "Install the client tools of the server's own kind and version.",
    ),
    2002: _UNREACHABLE,
    2003: _UNREACHABLE,
    2005: _make(
        ConnectionFailed,
        "There is no host named {host!r}.",
        "Correct the host of the source, or look after the DNS.",
    ),
    1040: _make(
        ConnectionFailed,
        "The server {place} takes no more connections.",
        "Try again later, or raise max_connections.",
    ),
    1130: _make(
        ConnectionFailed,
        "The server {place} lets nobody in from here: {said}",
        "Create the user for this machine's address, as in 'backup'@'%'.",
    ),
    1129: _make(
        ConnectionFailed,
        "The server {place} has blocked this machine: {said}",
        "Run FLUSH HOSTS there.",
    ),
    1049: _make(
        DatabaseMissing,
        "There is no database {database!r} on {place}.",
        "Correct the source's list of databases, or see whether it was renamed or dropped.",
    ),
    1412: _make(
        DumpIncomplete,
        "Somebody changed a table of {database!r} while it was dumped: {said}",
        "Run again when no migration is under way.",
    ),
    2006: _WENT_AWAY,
    2013: _WENT_AWAY,
    1927: _WENT_AWAY,
    1053: _WENT_AWAY,
    2026: _TLS,
    3159: _TLS,
    1449: _NO_DEFINER,
    **dict.fromkeys((1044, 1142, 1143, 1227, 1370, 1419), _NO_RIGHT),
}


def last_words(text: str) -> str:
    """The lines that say what went wrong, short enough for a message."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and _OURS not in line]
    wrong = [line for line in lines if _NUMBER.search(line)]
    said = " ".join((wrong or lines)[-3:])
    return said if len(said) <= 400 else said[:400] + " ..."


def failure(
    tool: str, status: int, stderr: str, connection: Connection, database: str, *, remedy: str = ""
) -> SourceError:
    """The error for a tool that ended with `status` (negative for a signal) and wrote `stderr`."""
    text = connection.without_secret(stderr)
    said = last_words(text)
    for match in _NUMBER.finditer(text):
        if match[1] == "2026" and "eof" in said.lower():  # the server's end, told by the library for TLS
            return _WENT_AWAY(connection, database, said)
        if (make := _BY_NUMBER.get(int(match[1]))) is not None:
            return make(connection, database, said)
    if "insufficent privileges" in text or "insufficient privileges" in text:
        return _NO_RIGHT(connection, database, said)
    on = f" on {database!r}" if database else ""
    if status < 0:
        return ToolFailed(
            f"{tool} was ended by signal {-status} while it worked{on}.",
            remedy="See whether the machine ran out of memory, and run again.",
            exit_status=status,
        )
    return ToolFailed(
        f"{tool} failed{on} with exit status {status}" + (f": {said}" if said else "."),
        remedy=remedy or f"Correct what {tool} names, and run again; the server's log may say more.",
        exit_status=status,
    )
