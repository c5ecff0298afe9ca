"""What a backup or a restore will need of a server, looked at before."""

from __future__ import annotations

from typing import Any

from plugins.sources.mongo.server import Collection, Server, major
from strongroom import BackupFacts, SourceError

_RESTORES = ("insert", "createCollection", "createIndex", "dropDatabase")


def notes(server: Server, *, snapshot: bool) -> list[str]:
    """What people should know about how a server is read."""
    found = []
    if not snapshot:
        found.append(
            "collections are read one after the other, not as of one moment"
            + ("" if server.has_snapshots else " (that takes a replica set or mongos of 5.0 or newer)")
        )
    if server.hello().get("msg") == "isdbgrid":
        found.append("this is a sharded cluster: what is restored is not sharded until you shard it")
    history = server.history()
    if "oplog" in history:
        found.append(f"the oplog goes back {_time(history['oplog'])}")
    if snapshot and "snapshot" in history:
        found.append(
            f"one moment is kept for {_time(history['snapshot'])}: raise minSnapshotHistoryWindowInSeconds if"
            " a dump takes longer"
        )
    return found


def _time(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def readable(server: Server, database: str, collections: list[Collection]) -> None:
    """Read one document of each collection. Raises what the server says against it."""
    for collection in collections:
        if not collection.is_view:
            server.call(
                f"{database}.{collection.reads}",
                lambda client, name=collection.reads: client[database][name].find_one({}, {"_id": 1}),  # type: ignore[misc]
            )


def for_restore(server: Server, database: str, facts: BackupFacts) -> tuple[str, ...]:
    """Look whether a backup can be restored; returns what people should know."""
    hello = server.hello()
    if not (hello.get("isWritablePrimary") or hello.get("ismaster")):
        raise SourceError(
            f"{server.connection.place} is not the primary of its replica set: it takes no writes.",
            remedy="Name the replica set and all of its hosts, or the primary.",
        )
    if missing := _missing_rights(
        server.command("admin", "connectionStatus", 1, showPrivileges=True), database
    ):
        raise SourceError(
            f"The user {server.connection.user!r} may not restore into {database!r}: it lacks"
            f" {', '.join(missing)}.",
            remedy="Grant it the role restore (in admin), or readWrite and dbAdmin on that database.",
        )
    version = server.version
    if major(version) < major(facts.engine_version):
        return (
            f"The backup is of MongoDB {facts.engine_version}, and this is {version}: what the older one does"
            " not know fails the restore.",
        )
    return ()


def _missing_rights(status: dict[str, Any], database: str) -> list[str]:
    info = status.get("authInfo") or {}
    privileges = info.get("authenticatedUserPrivileges")
    if not info.get("authenticatedUsers") or not privileges:
        return []  # nobody has to log in there, or it does not say
    have: set[str] = set()
    for each in privileges:
        resource = each.get("resource") or {}
        anywhere = resource.get("anyResource") or (
            resource.get("db") == "" and resource.get("collection") == ""
        )
        if anywhere or (resource.get("db") == database and resource.get("collection") == ""):
            have.update(map(str, each.get("actions") or ()))
    return [action for action in _RESTORES if action not in have and "anyAction" not in have]
