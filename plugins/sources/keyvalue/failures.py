"""What servers and the client say when something fails, turned into errors that say what to do."""

from __future__ import annotations

import re

from plugins.sources.keyvalue.connection import Connection
from strongroom import ConnectionFailed, SourceError, ToolFailed

RIGHTS = (
    "ACL SETUSER {user} on >... resetkeys ~* resetchannels +ping +info +psync +sync +replconf +acl|dryrun"
    " gives a user what a backup needs."
)
RESTORE_RIGHTS = (
    "ACL SETUSER {user} ~* +restore +select +flushall +function +del +echo gives it what a restore needs"
    " besides the rights of a backup."
)
_OF_A_RESTORE = re.compile(r"'(restore|select|flushall|function|del|echo)\b|one of the keys", re.IGNORECASE)


def of_reply(said: str, connection: Connection) -> SourceError:
    """The error for what a server answered; its first word is the kind."""
    said = connection.without_secret(said)[:300]
    word = said.removeprefix("(error) ").removeprefix("-").split(" ", 1)[0]
    user = connection.user or "default"
    if "WRONGPASS" in said or "invalid password" in said or "called without any password" in said:
        return ConnectionFailed(
            f"The server {connection.place} refused the password of the user {user!r}.",
            remedy="Correct the user and the password of the source.",
        )
    match word:
        case "NOAUTH":
            return ConnectionFailed(
                f"The server {connection.place} asks for a password, and the source has none.",
                remedy="Give the source its password.",
            )
        case "NOPERM":
            return SourceError(
                f"The user {user!r} may not do this on {connection.place}: {said}",
                remedy=(RESTORE_RIGHTS if _OF_A_RESTORE.search(said) else RIGHTS).format(user=user),
            )
        case "DENIED":
            return ConnectionFailed(
                f"The server {connection.place} lets nobody in from here: {said}",
                remedy="Bind it to an address that this machine reaches, and give it a password.",
            )
        case "LOADING" | "MASTERDOWN" | "BUSY" | "NOMASTERLINK":
            return ConnectionFailed(
                f"The server {connection.place} is not ready: {said}", remedy="Try again when it is."
            )
        case "OOM":
            return ToolFailed(
                f"The server {connection.place} has no memory left: {said}",
                remedy="Raise maxmemory there, and restore again.",
            )
        case "BUSYKEY":
            return ToolFailed(
                f"Somebody else writes to {connection.place}: a key of the backup is there already.",
                remedy="Stop what uses the server, and restore again.",
            )
    if "unknown command" in said and ("sync" in said.lower() or "replconf" in said.lower()):
        return SourceError(
            f"The server {connection.place} does not let replicas read from it: {said}",
            remedy="Managed services often forbid SYNC. Take their own snapshots, or a replica of your own.",
        )
    if "version or checksum" in said:
        return ToolFailed(
            f"The server {connection.place} does not take these keys: {said}",
            remedy="Restore into a server that is not older than the one of the backup.",
        )
    return ToolFailed(
        f"The server {connection.place} refused it: {said}", remedy="See what the server says above."
    )


def failure(
    tool: str, status: int, stderr: str, connection: Connection, *, first: bool = False
) -> SourceError:
    """The error for a client that ended with `status` (negative for a signal) and wrote `stderr`.

    `first`: the server has not answered anything yet.
    """
    text = connection.without_secret(stderr)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = " ".join(lines[-2:])[:300]
    where = connection.place
    for line in lines:
        if "AUTH failed" in line:
            return of_reply(line.partition("AUTH failed: ")[2] or line, connection)
        if "SYNC with master failed" in line:
            return of_reply(line.partition("failed: ")[2], connection)
    if "Name or service not known" in text or "nodename nor servname" in text or "resolve" in text:
        return ConnectionFailed(
            f"There is no host named {connection.host!r}.",
            remedy="Correct the host of the source, or look after the DNS.",
        )
    if "SSL" in text or "certificate" in text or "TLS" in text:
        return ConnectionFailed(f"TLS with {where} failed: {said}", remedy=_tls_remedy(text))
    if "Could not connect" in text or "Connection refused" in text or "No such file" in text:
        return ConnectionFailed(
            f"No server answers at {where}.",
            remedy="Start the server, or correct the host and the port of the source.",
        )
    if "--tls" in text:
        return ConnectionFailed(
            f"The client {tool} has been built without TLS.", remedy="Install one that has it."
        )
    if "closed the connection" in text or "Error reading" in text or "I/O" in text or "reset" in text:
        if first and not connection.by_socket:
            return _ended_at_once(said, connection)
        return ConnectionFailed(
            f"The server {where} ended the connection: {said}",
            remedy="See in the server's log why; a fork that failed, a full client-output-buffer-limit for"
            " replicas, a limit on TLS, or fields with time limits that only a newer client can ask for are"
            " the usual reasons.",
        )
    if status < 0:
        return ToolFailed(
            f"{tool} was ended by signal {-status} while it worked with {where}.",
            remedy="See whether the machine ran out of memory, and run again.",
            exit_status=status,
        )
    return ToolFailed(
        f"{tool} failed with exit status {status}" + (f": {said}" if said else "."),
        remedy=f"See what {tool} says above.",
        exit_status=status,
    )


def unanswered(seconds: float, connection: Connection) -> ConnectionFailed:
    """The error for a server that says nothing to a client which begins with TLS."""
    return ConnectionFailed(
        f"The server {connection.place} did not answer within {seconds:g} s to the beginning of TLS. Most"
        " likely it speaks none on that port.",
        remedy="Set ssl_mode to disable, or port to the one where it speaks TLS.",
    )


def _ended_at_once(said: str, connection: Connection) -> ConnectionFailed:
    """For a server that ended the connection before it answered anything: the client does not say why."""
    if connection.ssl_mode == "disable":
        cause = "it speaks TLS alone on that port, and the source has ssl_mode = disable"
        remedy = "Set ssl_mode to verify-ca (and ssl_ca to the authority's certificate) or to require."
    elif connection.ssl_cert:
        cause = "it does not accept the source's client certificate"
        remedy = "Set ssl_cert and ssl_key to one that an authority of the server's has signed."
    else:
        cause = "it asks for a client certificate, and the source has none"
        remedy = "Set ssl_cert and ssl_key to one that an authority of the server's has signed."
    return ConnectionFailed(
        f"The server {connection.place} ended the connection before it answered ({said}). Most likely"
        f" {cause}.",
        remedy=f"{remedy} If that is not it, the server's log says why.",
    )


def _tls_remedy(text: str) -> str:
    if "wrong version number" in text or "packet length" in text or "record layer" in text:
        return (
            "Most likely it speaks no TLS on that port: set ssl_mode to disable, or port to the one with TLS."
        )
    if "verify failed" in text:
        return (
            "Set ssl_ca to the certificate of the authority that signed the server's, or ssl_mode to require,"
            " which proves nothing."
        )
    return "Check ssl_mode, ssl_ca, ssl_cert and ssl_key of the source."
