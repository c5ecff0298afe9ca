"""What the driver raises, turned into errors that say what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from plugins.sources.mongo.connection import Connection
from strongroom import ConfigError, ConnectionFailed, DumpIncomplete, SourceError, ToolFailed

_AUTH = {18, 8000, 11}
_RIGHTS = {13}
_TOO_OLD = {239, 246, 286}


@contextmanager
def told(connection: Connection, what: str) -> Iterator[None]:
    """Within the block, an error of the driver's becomes one of ours; `what` names the work."""
    import pymongo.errors

    try:
        yield
    except pymongo.errors.PyMongoError as error:
        raise failure(error, connection, what) from error


def failure(error: Exception, connection: Connection, what: str) -> SourceError | ConfigError:
    """The error for what the driver raised while it worked on `what`."""
    import pymongo.errors

    said = _words(error, connection)
    where, user = connection.place, connection.user
    if isinstance(error, pymongo.errors.BulkWriteError):
        return _of_bulk(error, connection, what)
    if isinstance(error, pymongo.errors.OperationFailure):
        return _of_code(error.code or 0, said, connection, what)
    if isinstance(error, (pymongo.errors.ConfigurationError, pymongo.errors.InvalidURI)):
        return ConfigError(
            f"{where} cannot be connected to as configured: {said}",
            remedy="Correct the host, the login or the TLS settings of the source.",
        )
    if isinstance(error, pymongo.errors.ConnectionFailure):
        if re.search(r"[Aa]uthentication failed", said):
            return _of_code(18, said, connection, what)
        if re.search(r"SSL|certificate|TLS", said):
            return ConnectionFailed(
                f"TLS with {where} failed: {said}",
                remedy="Check the TLS mode, the CA and the client certificate of the source.",
            )
        if re.search(r"Name or service not known|nodename nor servname|resolve", said):
            return ConnectionFailed(
                f"There is no host named as in {where}.",
                remedy="Correct the host of the source, or look after the DNS.",
            )
        if isinstance(error, pymongo.errors.ServerSelectionTimeoutError):
            return ConnectionFailed(
                f"No server answers at {where}: {said}",
                remedy="Start the server, or correct the host, the port and the replica set of the source.",
            )
        return ConnectionFailed(
            f"The server {where} went away in the middle of the work on {what}: {said}",
            remedy="See in the server's log why, and run again.",
        )
    return ToolFailed(
        f"The server {where} failed on {what}, for the user {user or 'nobody'}: {said}",
        remedy="See what the server says above.",
    )


def _of_code(code: int, said: str, connection: Connection, what: str) -> SourceError:
    where, user = connection.place, connection.user
    if code in _AUTH:
        return ConnectionFailed(
            f"The server {where} refused the password of the user {user!r}.",
            remedy="Correct the user, the password and the authentication database of the source.",
        )
    if code in _RIGHTS or "not authorized" in said or "requires authentication" in said:
        if not user:
            return ConnectionFailed(
                f"The server {where} asks for a user and a password, and the source has none.",
                remedy="Give the source a user and its password.",
            )
        return SourceError(
            f"The user {user!r} may not do this with {what}: {said}",
            remedy="A backup needs the role backup, or readAnyDatabase; a restore needs the role restore.",
        )
    if code in _TOO_OLD:
        return DumpIncomplete(
            f"The server {where} could not keep the moment of the dump while {what} was read: {said}",
            remedy="Raise minSnapshotHistoryWindowInSeconds above the time that a dump takes, run when no"
            " collection is made or dropped, or choose snapshot = off.",
        )
    if code in (10107, 13435, 13436, 189):
        return SourceError(
            f"{where} is not the primary of its replica set: it takes no writes.",
            remedy="Name the replica set and all of its hosts, or the primary.",
        )
    return ToolFailed(
        f"The server {where} failed on {what}: {said}", remedy="See what the server says above."
    )


def _of_bulk(error: Exception, connection: Connection, what: str) -> SourceError:
    details = getattr(error, "details", None) or {}
    wrong = (details.get("writeErrors") or details.get("writeConcernErrors") or [{}])[0]
    # What follows names the values of somebody's document.
    said = str(wrong.get("errmsg", "it does not say why")).partition(" dup key:")[0][:300]
    return ToolFailed(
        f"The server {connection.place} did not take a document of {what}: {connection.without_secret(said)}",
        remedy="The message names what the server refused; restore into a server of the backup's version.",
    )


def _words(error: Exception, connection: Connection) -> str:
    text = str(error).partition(", full error:")[0].partition(", Timeout:")[0]
    return connection.without_secret(" ".join(text.split()))[:300]
