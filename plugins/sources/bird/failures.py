"""What Firebird's tools say when they fail, as the errors to raise."""

from __future__ import annotations

from plugins.sources.bird.tools import Server
from strongroom import ConnectionFailed, DatabaseMissing, SourceError, TargetNotEmpty, ToolFailed

_LOGIN = ("user name and password are not defined", "Install incomplete", "password", "login")
_NETWORK = (
    "Unable to complete network request",
    "connection rejected",
    "Failed to establish a connection",
    "Error reading data from the connection",
    "Error writing data to the connection",
)


def last_words(said: str) -> str:
    """The lines that say what went wrong, short enough for a message."""
    lines = [line.removeprefix("gbak:").strip() for line in said.splitlines() if line.strip()]
    wrong = [line for line in lines if "ERROR" in line or line.startswith("-")]
    words = "; ".join(line.removeprefix("ERROR:").strip() for line in (wrong or lines)[-4:])
    return words if len(words) <= 400 else words[:400] + " ..."


def failure(tool: str, status: int, said: str, server: Server, database: str) -> SourceError:
    """The error for a tool that ended with `status` (negative for a signal)."""
    said = server.without_secret(said)
    words = last_words(said)
    if "already exists" in said:
        return TargetNotEmpty(f"{database} is there already.", remedy="Restore under another name (--as).")
    if any(text in said for text in _LOGIN):
        return ConnectionFailed(
            f"{server.place} refused the user {server.user!r}: wrong user name or password.",
            remedy="Correct the user and the password of the source.",
        )
    if any(text in said for text in _NETWORK):
        return ConnectionFailed(
            f"There is no Firebird server at {server.place}: {words}",
            remedy="Correct host and port of the source, or see whether the server runs.",
        )
    if "No such file or directory" in said or "cannot find the file" in said:
        return DatabaseMissing(
            f"There is no database {database!r} at {server.place}.",
            remedy="Correct the source's list of databases, or see whether the file was moved.",
        )
    if "Permission denied" in said or "no permission" in said or "unable to open database" in said:
        return SourceError(
            f"{database}: {words}",
            remedy="Back up as the database's owner, as SYSDBA, or by the role RDB$ADMIN; the server's own"
            " user needs the right to read and write the file.",
        )
    how = f"was ended by signal {-status}" if status < 0 else f"failed with exit status {status}"
    return ToolFailed(
        f"{tool} {how} at {database!r}" + (f": {words}" if words else "."),
        remedy=f"See what {tool} says above.",
        exit_status=status,
    )
