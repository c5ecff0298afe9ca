"""Whether a backup can be restored, asked before a byte of it is fetched."""

from __future__ import annotations

import re

from plugins.sources.postgres import globals
from plugins.sources.postgres.archive import readable_from
from plugins.sources.postgres.config import DatabasesConfig
from plugins.sources.postgres.connection import literal
from plugins.sources.postgres.entrance import Server
from plugins.sources.postgres.folders import room, tar_of
from plugins.sources.postgres.older import sets_what_is_unknown
from plugins.sources.postgres.restoring import rows_alone
from plugins.sources.postgres.tools import Version
from strongroom import BackupFacts, ConfigError, SourceError, TargetState

_RIGHTS = (
    "SELECT rolsuper, rolsuper OR rolcreatedb, rolsuper OR rolcreaterole,"
    " rolsuper OR pg_catalog.pg_has_role(current_user, 'pg_signal_backend', 'USAGE')"
    " FROM pg_catalog.pg_roles WHERE rolname = current_user;"
)


def look(
    server: Server, config: DatabasesConfig, database: str, state: TargetState, facts: BackupFacts
) -> tuple[str, ...]:
    """Raise what would fail the restore; return what people should know."""
    version = server.version()
    is_super, makes_databases, makes_roles, ends_others = (
        word == "t" for word in server.ask(_RIGHTS, fields=4)[0]
    )
    if (facts.format == "sql") != globals.is_globals(database):
        raise ConfigError(
            "Roles and tablespaces belong to a server and databases do not: this backup cannot be restored"
            f" as {database!r}.",
            remedy="Restore it without another name.",
        )
    notes = _older_server(version, facts)
    if facts.format == "sql":
        if not makes_roles:
            raise _may_not(config.user, "make roles", "CREATEROLE")
        if database == globals.NAME and not config.restore_existing_roles:
            notes.append(
                "Roles that are there already stay as they are, with their passwords and attributes."
            )
        return tuple(notes)
    _tools(server, version, facts)
    if facts.format.startswith("data."):
        if state is not TargetState.FILLED or not config.restore_clean:
            raise rows_alone(database)
        notes.append(f"The rows of {database} are replaced by the backup's.")
    elif state is TargetState.FILLED and config.restore_clean:
        notes.append(
            f"What the backup holds is dropped and made anew inside {database}: no old database is kept, and"
            " what is not in the backup stays."
        )
    elif state is TargetState.EMPTY:
        _may_create_in(server, config.user, database)
    elif not makes_databases:
        raise _may_not(config.user, "create databases", "CREATEDB")
    elif state is TargetState.FILLED and not ends_others:
        notes.append(
            f"{config.user} may not end the connections of other users to {database} (pg_signal_backend):"
            " stop what uses it first."
        )
    if config.restore_owner and not is_super:
        notes.append(
            f"Owners are restored, for which {config.user} has to be a member of each of their roles;"
            " restore_owner = false leaves them out."
        )
    if facts.format.endswith("dir.tar") or config.restore_jobs > 1:
        notes += _room(server, facts)
    return tuple(notes)


def _older_server(version: Version, facts: BackupFacts) -> list[str]:
    match = re.match(r"(\d+)(?:\.(\d+))?", facts.engine_version)
    if match is None:
        return []
    made_by = Version(int(match[1]), int(match[2] or 0))
    if made_by.major <= version.major:
        return []
    return [
        f"The backup is of PostgreSQL {made_by} and the server is {version}: what the older one does not know"
        " fails the restore, and the target stays as it is."
    ]


def _tools(server: Server, version: Version, facts: BackupFacts) -> None:
    """Raise `ToolMissing` when no pg_restore here reads what that pg_dump wrote."""
    match = re.search(r"pg_dump (\d+)\.(\d+)", facts.tool_version)
    wrote = Version(int(match[1]), int(match[2])).major if match else (0, 0)
    tool = server.tools.for_server("pg_restore", version, at_least=readable_from(wrote))
    if facts.format.startswith("data.") or sets_what_is_unknown(tool.version, version):
        server.tools.for_server("psql", tool.version)
    if facts.format.endswith("dir.tar"):
        tar_of(server.context.host)


def _may_create_in(server: Server, user: str, database: str) -> None:
    sql = f"SELECT pg_catalog.has_database_privilege({literal(database)}, 'CREATE');"
    if server.ask(sql)[0][0] != "t":
        raise _may_not(user, f"create anything in {database!r}", "CREATE")


def _may_not(user: str, what: str, right: str) -> SourceError:
    return SourceError(
        f"The user {user!r} may not {what}, which this restore takes.",
        remedy=f"Give it {right}, or restore with another source of that server; where nobody may create"
        " databases, restore_clean replaces what is in one."
        if right == "CREATEDB"
        else f"Give it {right}, or restore with another source of that server.",
    )


def _room(server: Server, facts: BackupFacts) -> list[str]:
    free = room(server.context.host)
    if free is not None and free < facts.dump_size:
        raise SourceError(
            f"The backup is unpacked on {server.context.host.name or 'the host'} first and takes"
            f" {facts.dump_size >> 20:,} MiB, of which {free >> 20:,} MiB are free.",
            remedy="Make room where temporary folders are (TMPDIR), or restore with restore_jobs = 1.",
        )
    return []
