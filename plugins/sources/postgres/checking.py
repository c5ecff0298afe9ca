"""What a check of PostgreSQL looks for: all that would stop a dump, and what people should know."""

from __future__ import annotations

from collections.abc import Callable

from plugins.sources.postgres import catalogue, globals, poolers
from plugins.sources.postgres.choosing import Selection, line_of
from plugins.sources.postgres.config import DatabasesConfig
from plugins.sources.postgres.connection import shown
from plugins.sources.postgres.entrance import Server
from plugins.sources.postgres.folders import room, tar_of
from plugins.sources.postgres.tools import Found, Version
from strongroom import (
    ConfigError,
    DatabaseMissing,
    SourceError,
    SourceReport,
    Tool,
    ToolMissing,
    look_into_each,
)


def report(server: Server, config: DatabasesConfig, databases: Callable[[], list[str]]) -> SourceReport:
    """Log in to every database that will be dumped, and look for what would fail its backup."""
    version = server.version()
    dump = server.tools.for_server("pg_dump", version)
    poolers.refuse(server.psql, server.through())
    notes = [*tool_notes(server, dump, version), *poolers.notes(server.connection)]
    if config.is_directory:
        tar_of(server.context.host)
    names = databases()
    if not names:
        notes.append("there is no database to back up")
    tools = [dump.as_tool(), server.psql.tool.as_tool(), *_restore_tool(server, version)]
    if globals.NAME in names:
        names.remove(globals.NAME)
        tools.append(globals.dump_tool(server).as_tool())
        notes += _role_notes(server, config)
    failing = look_into_each(names, lambda database: _look_into(server, config, database))
    if config.is_directory and (there := [name for name in names if name not in failing]):
        notes += _room_notes(server, there)
    if config.content == "data":
        notes.append("a backup of rows alone needs a database that has the tables: it cannot be drilled")
    return SourceReport(
        "postgresql",
        str(version),
        tuple(sorted([*names, *([globals.NAME] if config.globals else [])])),
        tuple(tools),
        tuple(notes),
        failing,
    )


def tool_notes(server: Server, tool: Found, version: Version) -> list[str]:
    """What to know of the tool that was chosen for this server."""
    notes = []
    if tool.version.major != version.major:
        notes.append(
            f"{tool.name} {tool.version} is used for a server {version}: restoring needs pg_restore"
            f" {tool.version.first} or newer"
        )
    if tool.bundled and not server.connection.host.startswith(("/", "localhost", "127.", "::1")):
        notes.append(f"the bundled {tool.name} cannot use TLS: the data crosses the network in the clear")
    return notes


def _look_into(server: Server, config: DatabasesConfig, database: str) -> None:
    if not catalogue.exists(server.psql, server.through(), database):
        raise DatabaseMissing(
            f"There is no database {database!r} on {server.connection.place}.",
            remedy="Correct the source's list of databases, or see whether it was renamed or dropped.",
        )
    selection = config.selection
    if missing := catalogue.unmatched(server.psql, database, selection):
        raise ConfigError(
            f"Nothing in {database!r} is called {', '.join(map(repr, missing))}.",
            remedy="Correct the source's lists of schemas and tables; letter case counts, and a name that"
            " holds a dot stands in double quotes.",
        )
    refuse_nothing(server, database, selection)
    if selection != Selection(selection.content) and (orphans := _orphans(server, database, selection)):
        raise ConfigError(
            f"In {database!r}, {orphans[0]}, which is left out: it could not be restored.",
            remedy="Leave the partition out too (exclude_tables), or take its table in.",
        )
    if found := catalogue.obstacles(server.psql, database, selection):
        more = f", and {len(found) - 5} more" if len(found) > 5 else ""
        raise SourceError(
            f"The user {config.user!r} may not read all of {database!r}: {'; '.join(found[:5])}{more}.",
            remedy=f"GRANT pg_read_all_data TO {config.user}; row security needs a user with BYPASSRLS, "
            "large objects GRANT SELECT ON LARGE OBJECT or a superuser.",
        )


def refuse_nothing(server: Server, database: str, selection: Selection) -> None:
    """Raise for lists that leave nothing to dump: pg_dump would end well, with an empty archive."""
    if catalogue.nothing_left(server.psql, database, selection, server.version(database)):
        chosen, out = ("tables", "exclude_tables") if selection.tables else ("schemas", "exclude_schemas")
        raise ConfigError(
            f"Of {database!r} nothing would be backed up: all that `{chosen}` names is left out by `{out}`.",
            remedy=f"Correct the source's lists {chosen} and {out}.",
        )


def _role_notes(server: Server, config: DatabasesConfig) -> list[str]:
    if globals.reads_passwords(server):
        return []
    return [
        f"{config.user} may not read pg_authid: the roles are backed up without their passwords, which have"
        " to be set anew after a restore"
    ]


def _orphans(server: Server, database: str, selection: Selection) -> list[str]:
    """The partitions that would be dumped without the table that they are to be attached to, in words."""
    relations = catalogue.tables_now(server.psql, database, server.version())
    found = []
    for oid, each in relations.items():
        line = line_of(relations, oid)
        if len(line) > 1 and selection.has(line) and not selection.has(line[1:]):
            found.append(shown(f"{each.schema}.{each.name} is a partition of {'.'.join(line[1])}"))
    return found


def _room_notes(server: Server, databases: list[str]) -> list[str]:
    free = room(server.context.host)
    if free is None:
        return ["how much room the host's temporary folder has could not be told"]
    sizes = {name: catalogue.table_bytes(server.psql, name) for name in databases}
    largest = max(sizes, key=lambda name: sizes[name])
    said = f"{largest} has {sizes[largest] >> 20:,} MiB of tables, and the host's temporary folder"
    # As text, rows are larger or smaller than in their tables; half is less than any.
    if free < sizes[largest] // 2:
        raise SourceError(
            f"There is no room for a dump in the directory format: {said} {free >> 20:,} MiB free.",
            remedy="Make room there (TMPDIR says where it is), or take the custom format, which needs none.",
        )
    return [f"room may be short: {said} {free >> 20:,} MiB free"] if free < sizes[largest] else []


def _restore_tool(server: Server, version: Version) -> list[Tool]:
    try:
        return [server.tools.for_server("pg_restore", version).as_tool()]
    except ToolMissing:
        return []  # a backup needs none
