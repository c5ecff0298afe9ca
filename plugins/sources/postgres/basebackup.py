"""pg_basebackup as a stream: a whole cluster with the write-ahead log that makes it consistent."""

from __future__ import annotations

from collections.abc import Iterator

from plugins.sources.postgres import poolers
from plugins.sources.postgres.config import ServerConfig
from plugins.sources.postgres.entrance import Server
from plugins.sources.postgres.failures import failure
from plugins.sources.postgres.measuring import Measures
from plugins.sources.postgres.tarring import Member, incomplete, refused, watched
from plugins.sources.postgres.tools import Found
from strongroom import ConnectionFailed, Dump, SourceError, counted

CLUSTER = "cluster"
"""The one 'database' of a physical source."""
MANIFEST = "backup_manifest"
OLDEST = 13
"""The first major version whose base backups hold a manifest."""

_ASKED = (
    "SELECT rolreplication OR rolsuper, pg_catalog.current_setting('wal_level'),"
    " pg_catalog.current_setting('max_wal_senders')::pg_catalog.int4"
    " - (SELECT count(*) FROM pg_catalog.pg_stat_replication),"
    " (SELECT count(*) FROM pg_catalog.pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')),"
    " pg_catalog.current_setting('wal_keep_size'),"
    " (SELECT count(*) FROM pg_catalog.pg_settings c, pg_catalog.pg_settings d WHERE c.name = 'config_file'"
    "  AND d.name = 'data_directory' AND c.setting NOT LIKE d.setting || '/%')"
    " FROM pg_catalog.pg_roles WHERE rolname = current_user;"
)


def tool_of(server: Server, name: str = "pg_basebackup") -> Found:
    """The tool of the server's own major version, which a physical backup takes. Raises `ToolMissing`."""
    version = server.version()
    if version.first < OLDEST:
        raise SourceError(
            f"PostgreSQL {version} makes base backups that cannot be verified: {OLDEST} and newer can.",
            remedy="Take the source postgresql, or update the server.",
        )
    return server.tools.exactly(name, version.first)


def look(server: Server, config: ServerConfig) -> list[str]:
    """Look for all that would stop pg_basebackup, and really open a replication connection. Returns notes."""
    poolers.refuse(server.psql, server.through())
    may, level, senders, tablespaces, kept, outside = server.ask(_ASKED, fields=6)[0]
    user = config.user
    if may != "t":
        raise SourceError(
            f"The user {user!r} may not replicate, which a physical backup takes.",
            remedy=f"ALTER ROLE {user} REPLICATION; managed servers allow it to nobody: take the source"
            " postgresql there.",
        )
    if level == "minimal":
        raise SourceError(
            "The server's wal_level is minimal, with which no base backup can be made.",
            remedy="Set wal_level = replica and restart the server.",
        )
    if int(senders) < 1:
        raise SourceError(
            "All of the server's replication connections are taken (max_wal_senders).",
            remedy="Raise max_wal_senders and restart the server, or end a connection that is not needed.",
        )
    if int(tablespaces):
        raise SourceError(
            f"The server has {counted(int(tablespaces), 'tablespace')} of its own, which pg_basebackup cannot"
            " stream as one.",
            remedy="Take the source postgresql for this server, or move what is in them to pg_default.",
        )
    _connect(server, user)
    notes = poolers.notes(server.connection)
    if kept in ("0", "0MB"):
        notes.append(
            "wal_keep_size is 0: where much is written while a long backup runs, the server may remove"
            " write-ahead log that the backup needs, and it fails"
        )
    if outside != "0":
        notes.append("postgresql.conf and pg_hba.conf lie outside of the data directory and are in no backup")
    return notes


def _connect(server: Server, user: str) -> None:
    """Open a replication connection, which pg_hba.conf lets in by lines of their own."""
    psql = server.tools.newest("psql")
    argv = [psql.path, "--no-psqlrc", "--no-password", "--set=ON_ERROR_STOP=1", "--dbname=replication=true"]
    done = server.context.host.capture(argv, env=server.connection.environment(), stdin=b"IDENTIFY_SYSTEM;\n")
    if done.exit_status == 0:
        return
    error = failure("psql", done.exit_status, done.stderr, server.connection, CLUSTER)
    if isinstance(error, ConnectionFailed) and "pg_hba.conf" in done.stderr:
        error.remedy = (
            f"Add a line to the server's pg_hba.conf: host replication {user} <this machine's address>"
            " scram-sha-256; then reload it."
        )
    raise error


def begin_dump(server: Server, *, fingerprint: bool) -> Dump:
    """Start pg_basebackup. It ends well only with exit status 0, tar's own end, and the manifest."""
    tool = tool_of(server)
    argv = [tool.path, "--pgdata=-", "--format=tar", "--wal-method=fetch", "--checkpoint=fast"]
    argv += ["--no-password", "--label=strongroom"]
    process = server.context.host.run(argv, env=server.connection.environment())
    measures = Measures()
    seen: set[str] = set()

    def look_at(member: Member) -> None:
        allow(member)
        measures.add(member)
        if member.path == MANIFEST:
            seen.add(MANIFEST)

    def chunks() -> Iterator[bytes]:
        looked_at = watched(process, look_at)
        try:
            yield from looked_at
        except SourceError:
            # A tool that failed ends its output early: what it says is what went wrong.
            if process.wait() == 0:
                raise
        status = process.wait()
        server.context.cancel.raise_if_cancelled()
        if status != 0:
            raise failure("pg_basebackup", status, process.stderr(), server.connection, CLUSTER)
        if not seen:
            raise incomplete("The base backup has no manifest: it could not be verified.")

    return Dump(
        chunks(),
        engine_version=str(server.version()),
        tool_version=f"pg_basebackup {tool.version}",
        fingerprint=measures.fingerprint if fingerprint else None,
        close=process.kill,
        details=" ".join(argv),
    )


def allow(member: Member) -> None:
    """Raise for what is in no base backup without tablespaces, or would lie outside of its folder."""
    parts = member.path.split("/")
    if member.kind not in "05":
        raise refused(f"{member.path!r}, which is neither a file nor a folder")
    if member.path.startswith("/") or ".." in parts:
        raise refused(f"{member.path!r}, which would lie outside of the folder")
