"""What PostgreSQL's tools say when they fail, turned into errors that say what to do."""

from __future__ import annotations

import re
from collections.abc import Callable

from plugins.sources.postgres.connection import Connection
from strongroom import ConnectionFailed, DatabaseMissing, SourceError, ToolFailed, ToolMissing

REFUSED = "The message names what the server refused; correct it there, and restore again."
"""The remedy of a restore that failed in a way that no rule knows."""


class DatabaseClosed(ConnectionFailed):
    """The server lets the user in, but not into this database."""


_Make = Callable[[Connection, str, str], SourceError]  # the connection, the database, the tool's last words


def _refused(message: str, remedy: str, kind: type[ConnectionFailed] = ConnectionFailed) -> _Make:
    def make(connection: Connection, database: str, said: str) -> SourceError:
        place, user = connection.place, connection.user
        return kind(
            message.format(place=place, host=connection.host, user=user, database=database, said=said),
            remedy=remedy.format(place=place, host=connection.host, user=user, database=database),
        )

    return make


def _missing_database(connection: Connection, database: str, said: str) -> SourceError:
    return DatabaseMissing(
        f"There is no database {database!r} on {connection.place}.",
        remedy="Correct the source's list of databases, or see whether it was renamed or dropped.",
    )


def _too_old(connection: Connection, database: str, said: str) -> SourceError:
    return ToolMissing(
        f"The client tool is older than the server {connection.place}: {said}",
        remedy="Install the client tools of the server's own major version, or the bundled ones"
        " (pip install 'strongroom[postgresql-tools]').",
    )


# These two are not `ToolFailed`: they say that this server or user lacks something, and nothing against
# the backup, so that a drill which meets them could not verify, and did not fail.
def _role_missing(connection: Connection, database: str, said: str) -> SourceError:
    return SourceError(
        f"The backup's owners and rights name a role that {connection.place} does not have: {said}",
        remedy="Create the role, or switch off the target's `restore_owner` and `restore_privileges`.",
    )


def _no_right(connection: Connection, database: str, said: str) -> SourceError:
    return SourceError(
        f"The user {connection.user!r} may not do this in {database!r}: {said}",
        remedy=f"For backups, GRANT pg_read_all_data TO {connection.user}; a restore needs CREATEDB, and the"
        " rights of the owners whose objects it makes.",
    )


def _nothing_matches(connection: Connection, database: str, said: str) -> SourceError:
    return SourceError(
        f"Not all that is to be dumped of {database!r} is there: {said}",
        remedy="Correct the source's lists of schemas and tables; letter case counts, and a name that holds a"
        " dot stands in double quotes.",
    )


def _within_alone(connection: Connection, database: str, said: str) -> SourceError:
    return SourceError(
        f"pg_restore cannot replace a partitioned table that has keys within {database!r}: {said}",
        remedy="Restore without restore_clean, which builds another database; or drop the partitioned table"
        " in this one first.",
    )


# The first pattern that fits decides. What the server says in another language falls through to the last.
_RULES: tuple[tuple[str, _Make], ...] = (
    (r"cannot drop inherited constraint", _within_alone),
    (
        r"certificate authentication failed|requires a valid client certificate|client certificate"
        r"|alert (unknown ca|certificate|bad certificate)",
        _refused(
            "The server {place} wants another client certificate of the user {user!r}: {said}",
            "Correct ssl_cert and ssl_key of the source: a certificate made for that user, by an authority"
            " that the server trusts, and its key.",
        ),
    ),
    (
        r'root certificate file "system" does not exist',
        _refused(
            'The client tools for {place} are older than 16 and do not know ssl_ca = "system".',
            "Install client tools of PostgreSQL 16 or newer, or name the file of the system's authorities in"
            " ssl_ca (Debian, Ubuntu: /etc/ssl/certs/ca-certificates.crt).",
        ),
    ),
    (
        r"password authentication failed|authentication failed for user",
        _refused(
            "The server {place} refused the password of the user {user!r}.",
            "Correct the user and the password of the source.",
        ),
    ),
    (
        r"no password supplied",
        _refused(
            "The server {place} asks for a password of the user {user!r}, and there is none.",
            "Give the source a password, or put one into ~/.pgpass (mode 0600).",
        ),
    ),
    (
        r"could not translate host name|Name or service not known|nodename nor servname",
        _refused(
            "There is no host named {host!r}.", "Correct the host of the source, or look after the DNS."
        ),
    ),
    (
        r"Connection refused|No such file or directory\s+Is the server running",
        _refused(
            "No server answers at {place}.",
            "Start the server, or correct the host and the port of the source.",
        ),
    ),
    (
        r"timeout expired|timed out|No route to host|Network is unreachable",
        _refused(
            "The server {place} cannot be reached: {said}",
            "See whether the machine is up, and whether a firewall stands between.",
        ),
    ),
    (
        r"no pg_hba\.conf entry",
        _refused(
            "The server {place} lets {user!r} not in from here: {said}",
            "Add a line for this machine and user to the server's pg_hba.conf, or change the TLS mode"
            " (the bundled client tools cannot use TLS, the system's can).",
        ),
    ),
    (
        r"too many connections|too many clients|remaining connection slots",
        _refused(
            "The server {place} takes no more connections.", "Try again later, or raise max_connections."
        ),
    ),
    (
        r"the database system is (starting up|shutting down|in recovery|not accepting)",
        _refused("The server {place} is not ready: {said}", "Try again when it has started."),
    ),
    (r'database ".*" does not exist', _missing_database),
    (
        r"permission denied for database|is not currently accepting connections",
        _refused(
            "The user {user!r} may not connect to the database {database!r}.",
            "GRANT CONNECT ON DATABASE to the source's user, or leave the database out.",
            DatabaseClosed,
        ),
    ),
    (r'FATAL:  role ".*" does not exist', _refused("{place} has no role {user!r}.", "Correct the user.")),
    (r'role ".*" does not exist', _role_missing),
    (
        r"server closed the connection|terminating connection|connection to server was lost"
        r"|could not (receive|send) data (from|to) server|no connection to the server|SSL SYSCALL",
        _refused(
            "The server {place} went away in the middle of the work on {database!r}.",
            "See in the server's log why it stopped or ended the connection, and run again.",
        ),
    ),
    (
        r"SSL support is not compiled in",
        _refused(
            "The client tools cannot use TLS with {place}: {said}",
            "The bundled tools are built without TLS: install the system's client tools of the server's"
            " version, or newer ones (Debian, Ubuntu: apt install postgresql-client).",
        ),
    ),
    (
        r"SSL error|support SSL|certificate (verify|file|authentication|required)|root certificate"
        r"|server certificate for|private key",
        _refused(
            "TLS with {place} failed: {said}",
            "Check the TLS mode (ssl_mode), the CA (ssl_ca), the client certificate (ssl_cert) and its key"
            " (ssl_key) of the source.",
        ),
    ),
    (r"no matching (schemas|tables) were found", _nothing_matches),
    (r"server version mismatch|unsupported version \(.*\) in file header", _too_old),
    (r"permission denied|must be owner|must be superuser|must be able to SET ROLE", _no_right),
)


def last_words(text: str) -> str:
    """The lines that say what went wrong, short enough for a message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    wrong = [line for line in lines if re.search(r"error|fatal|panic|failed|:  ", line, re.IGNORECASE)]
    said = " ".join((wrong or lines)[:3])
    return said if len(said) <= 400 else said[:400] + " ..."


def failure(
    tool: str, status: int, stderr: str, connection: Connection, database: str, *, remedy: str = ""
) -> SourceError:
    """The error for a tool that ended with `status` (negative for a signal) and wrote `stderr`."""
    text = connection.without_secret(stderr)
    said = last_words(text)
    for pattern, make in _RULES:
        if re.search(pattern, text):
            return make(connection, database, said)
    if status < 0:
        return ToolFailed(
            f"{tool} was ended by signal {-status} while it worked on {database!r}.",
            remedy="See whether the machine ran out of memory, and run again.",
            exit_status=status,
        )
    if tool == "psql" and status == 2:
        return ConnectionFailed(
            f"The connection to {connection.place} failed: {said}",
            remedy="Check the source's host, port and user, and for TLS its ssl_mode, ssl_ca, ssl_cert and"
            " ssl_key.",
        )
    return ToolFailed(
        f"{tool} failed on {database!r} with exit status {status}" + (f": {said}" if said else "."),
        remedy=remedy or f"See what {tool} says above.",
        exit_status=status,
    )
