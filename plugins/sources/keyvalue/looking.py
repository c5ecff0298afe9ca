"""What a backup or a restore will need of a server, looked at before."""

from __future__ import annotations

import re
from collections.abc import Mapping

from plugins.sources.keyvalue.client import Client, release_of
from plugins.sources.keyvalue.failures import RESTORE_RIGHTS, RIGHTS, failure
from plugins.sources.keyvalue.tools import Release
from strongroom import BackupFacts, ConnectionFailed, Context, DumpIncomplete, SourceError, ToolFailed


def refuse_parts(info: Mapping[str, str], client: Client) -> None:
    """Refuse what holds only a part of its data, or none: a node of a cluster, a Sentinel."""
    mode = info.get("server_mode") or info.get("redis_mode", "standalone")
    if mode == "cluster":
        raise SourceError(
            f"{client.connection.place} is a node of a cluster: it holds a part of the keys, and a backup of"
            " it alone could not be restored as a whole.",
            remedy="Clusters are not supported yet. Back up a server that is not in cluster mode.",
        )
    if mode == "sentinel":
        raise SourceError(
            f"{client.connection.place} is a Sentinel: it watches servers, and holds no data.",
            remedy="Give the address of a server that it watches, best of a replica.",
        )


def for_backup(client: Client) -> tuple[Release, list[str]]:
    """What a server is, and what people should know about it. Raises what would keep it from being dumped."""
    info = client.info("server")
    refuse_parts(info, client)
    notes: list[str] = []
    replication = client.info("replication")
    if replication.get("role") == "slave":
        if replication.get("master_link_status") != "up":
            raise ConnectionFailed(
                f"{client.connection.place} is a replica that has lost its master: it gives nobody its data.",
                remedy="See why the replica is not connected, or back up the master.",
            )
        notes.append("this is a replica, which spares the master the work; it may be a moment behind")
    if client.info("persistence").get("rdb_last_bgsave_status") == "err":
        notes.append(
            "the server's own last save failed: see in its log why, for a dump forks it in the same way"
        )
    try:
        modules = re.findall(r"^name\n(\S+)", client.text("MODULE", "LIST"), re.MULTILINE)
    except SourceError:
        modules = []
    if modules:
        names = ", ".join(sorted(modules))
        notes.append(f"it has modules ({names}): a restore needs a server with the same ones")
    return release_of(info), notes


def may_sync(context: Context, client: Client) -> None:
    """See that the server gives its data to a replica; where it does not say so, by asking for it."""
    user = client.connection.user or "default"
    try:
        answer = client.text("ACL", "DRYRUN", user, "SYNC")
    except SourceError:
        answer = ""
    if answer == "OK":
        return
    if "no permissions" in answer:
        raise SourceError(
            f"The user {user!r} may not read as a replica does: {answer}", remedy=RIGHTS.format(user=user)
        )
    with context.host.run(client.argv("--rdb", "-"), env=client.env) as process:
        head = process.read(64)
        if not head:
            status = process.wait()
            context.cancel.raise_if_cancelled()
            raise failure(client.tool.name, status, process.stderr(), client.connection)
    if not head.startswith((b"REDIS", b"VALKEY")):
        raise DumpIncomplete(f"{client.connection.place} sent no RDB file.", remedy="See what it is.")


def for_restore(client: Client, *, merge: bool) -> tuple[Release, list[str]]:
    """What a target is, and what people should know. Raises what would make a restore fail."""
    info = client.info("server")
    refuse_parts(info, client)
    release = release_of(info)
    if release.numbers < (5, 0):
        raise SourceError(
            f"{client.connection.place} is {release}: a restore needs 5.0, which takes the moments at which"
            " keys vanish.",
            remedy="Restore into a newer server, or as a file.",
        )
    replication = client.info("replication")
    if replication.get("role") == "slave":
        raise SourceError(
            f"{client.connection.place} is a replica: it takes writes from its master alone.",
            remedy="Restore into the master.",
        )
    _may_write(client, merge=merge)
    warnings = []
    others = int(client.info("clients").get("connected_clients", "1")) - 1
    if others > 0:
        warnings.append(
            f"{others} other client{'s are' if others > 1 else ' is'} connected to {client.connection.place}:"
            " stop what uses it, or what it writes meanwhile makes the comparison fail."
        )
    memory = client.info("memory")
    if int(memory.get("maxmemory", "0")) > 0 and "allkeys" in memory.get("maxmemory_policy", ""):
        warnings.append("The server throws keys away when its memory is full (maxmemory-policy).")
    return release, warnings


def _may_write(client: Client, *, merge: bool) -> None:
    user = client.connection.user or "default"
    wanted = [("RESTORE", "key", "0", "value"), ("SELECT", "0"), ("DEL", "key"), ("ECHO", "word")]
    if not merge:
        wanted.append(("FLUSHALL",))
    for command in wanted:
        try:
            answer = client.text("ACL", "DRYRUN", user, *command)
        except ToolFailed:
            return  # an older server, or a managed one
        except SourceError:
            return  # it may not ask; the restore will see
        if "no permissions" in answer:
            raise SourceError(
                f"The user {user!r} may not restore: {answer}",
                remedy=RESTORE_RIGHTS.format(user=user),
            )


def writer(facts: BackupFacts) -> Release:
    """What wrote a backup. An older client asks a newer Valkey for the format that both families read."""
    kind = "valkey" if facts.engine == "valkey" else "redis"
    release = Release(kind, facts.engine_version)
    if release.format == 80 and facts.tool_version.startswith("redis-cli"):
        return Release("valkey", "8.1")
    return release
