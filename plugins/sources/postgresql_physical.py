"""A whole PostgreSQL cluster as a source: pg_basebackup's stream, verified and started before it is trusted.

Beside the source `postgresql`, which dumps databases one by one: this one copies the files of all of them,
and comes back on the same major version only. The parts are in `plugins.sources.postgres`.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable

import pydantic

import strongroom
from plugins.sources.postgres import basebackup, cluster, measuring, trial
from plugins.sources.postgres.basebackup import CLUSTER
from plugins.sources.postgres.config import ServerConfig
from plugins.sources.postgres.entrance import Server
from plugins.sources.postgres.folders import room
from plugins.sources.postgres.pasted import values_of_url
from plugins.sources.tree import placing
from plugins.sources.tree.archiving import Tools, tools_of
from plugins.sources.urls import merged_with_url
from strongroom import BackupFacts, Context, Dump, Fingerprint, LogLevel, LogType, SourceReport, TargetState

_SCRATCH = "strongroom-scratch-"


class PostgreSQLPhysical(strongroom.Source):
    """A PostgreSQL cluster as its files: all databases, roles and settings at once."""

    name = "postgresql-physical"
    title = "PostgreSQL (whole cluster)"
    icon = "database"
    extension = "base.tar"
    engine = "postgresql-physical"
    can_replace = True

    class Config(ServerConfig):
        user: str = strongroom.field(
            "postgres",
            title="User",
            description="It needs REPLICATION, and a line for replication in pg_hba.conf.",
            min_length=1,
        )
        maintenance_database: str = strongroom.field(
            "postgres",
            title="Maintenance database",
            description="The one to connect to for looking at the server.",
            advanced=True,
            min_length=1,
        )
        scratch_directory: str = strongroom.field(
            "/var/tmp",  # noqa: S108 - what is made in it has a name of our own, and mode 0700
            title="Folder for drills",
            description="On the host; a drill unpacks the whole cluster in it and starts it there.",
            widget="folder",
            advanced=True,
            pattern="^/",
        )
        restore_directory: str = strongroom.field(
            "",
            title="Folder of a restore",
            description="On the host; empty or not there yet. The name of a restore (--as) is one too.",
            placeholder="/var/lib/postgresql/15/restored",
            widget="folder",
            advanced=True,
        )

        @pydantic.model_validator(mode="before")
        @classmethod
        def _take_apart(cls, values: object) -> object:
            def server_alone(url: str) -> dict[str, object]:
                found = values_of_url(url)
                databases = found.pop("databases", [])
                return {**found, **({"maintenance_database": databases[0]} if databases else {})}

            return merged_with_url(values, server_alone)

    config: Config

    def __init__(self, config: Config, context: Context) -> None:
        super().__init__(config, context)
        self._server = Server(context, config, [config.maintenance_database])
        self._measured: dict[str, Fingerprint] = {}

    # ---------------------------------------------------------------------------------- looking

    def check(self) -> SourceReport:
        """Look for all that would stop pg_basebackup, and open a replication connection."""
        server = self._server
        major = server.version().first
        tool = basebackup.tool_of(server)
        notes = basebackup.look(server, self.config)
        tools = [tool.as_tool(), server.psql.tool.as_tool()]
        for name, without in (("pg_verifybackup", "restored"), ("postgres", "drilled")):
            try:
                tools.append(basebackup.tool_of(server, name).as_tool())
            except strongroom.ToolMissing:
                notes.append(f"{name} of PostgreSQL {major} is not here: no backup can be {without} here")
        return SourceReport(self.engine, str(server.version()), (CLUSTER,), tuple(tools), tuple(notes))

    def databases(self) -> list[str]:
        """The cluster is one, whatever is in it. Connects, so that a wrong login shows."""
        self._server.version()
        return [CLUSTER]

    def fingerprint(self, database: str) -> Fingerprint:
        """The files of a restored cluster; the running one's have no moment that could be measured."""
        folder = self.folder_of(database)
        if folder in self._measured:
            return self._measured[folder]
        if self.target_state(database) is TargetState.MISSING:
            raise strongroom.DatabaseMissing(f"There is no folder {folder}.", remedy="Restore first.")
        return measuring.on_disk(self.context, folder)

    def target_state(self, database: str) -> TargetState:
        return placing.state(self.context.host, self._tools(), self.folder_of(database))

    def preflight(self, database: str, facts: BackupFacts) -> tuple[str, ...]:
        folder, host = self.folder_of(database), self.context.host
        match = re.match(r"\d+", facts.engine_version)
        if match is None:
            return ()
        major = int(match[0])
        self._server.tools.exactly("pg_verifybackup", major)
        free = room(host, self._nearest(folder))
        if free is not None and free < facts.dump_size:
            raise strongroom.SourceError(
                f"The cluster takes {facts.dump_size >> 20:,} MiB, and at {folder} {free >> 20:,} MiB are"
                " free.",
                remedy="Make room there, or restore into another folder.",
            )
        try:
            self._server.tools.exactly("postgres", major)
        except strongroom.ToolMissing:
            return (f"PostgreSQL {major} is not on this host: the restored cluster cannot be started here.",)
        return ()

    # ---------------------------------------------------------------------- dumping and restoring

    def dump(self, database: str, *, fingerprint: bool = True) -> Dump:
        if database != CLUSTER:
            raise strongroom.DatabaseMissing(
                f"A physical backup knows no database {database!r}: it is of the whole {CLUSTER}.",
                remedy="Take the source postgresql for single databases.",
            )
        return basebackup.begin_dump(self._server, fingerprint=fingerprint)

    def restore(self, database: str, chunks: Iterable[bytes]) -> None:
        """Unpack into a missing or empty folder and verify it; under a name for drills, start it too."""
        folder, state = self.folder_of(database), self.target_state(database)
        if state is TargetState.FILLED:
            raise strongroom.TargetNotEmpty(
                f"{folder} is not empty.",
                remedy="Restore into another folder (--as), or replace it (--overwrite).",
            )
        tools = self._server.tools
        with placing.filling(self.context.host, folder, made=state is TargetState.MISSING):
            self.context.host.capture(["chmod", "0700", "--", folder])
            cluster.unpack(self.context, self._tools(), folder, chunks)
            cluster.verify(self.context, tools, folder)
            self._measured[folder] = measuring.on_disk(self.context, folder)
            if posixpath.basename(folder).startswith(_SCRATCH):
                self._say(trial.read_all(self.context, tools, folder, self.config.user).words())
            elif state is TargetState.EMPTY:
                self._say(f"{folder} is whole, as pg_verifybackup says. {self._next_step(folder)}")
            else:
                self._say(f"{folder} is whole, as pg_verifybackup says.")

    def drop(self, database: str) -> None:
        """Remove a restored cluster's folder, unless a server runs in it."""
        folder = self.folder_of(database)
        if posixpath.basename(folder).startswith(_SCRATCH):
            trial.end(self.context, self._server.tools, folder)
        else:
            self._refuse_running(folder)
        placing.remove(self.context.host, folder)

    def replace(self, beside: str, database: str) -> str | None:
        """Swap by renaming two folders; the old one is kept as `<name>_before_<label>`."""
        folder = self.folder_of(database)
        self._refuse_running(folder)
        kept = placing.swap(self.context.host, self.folder_of(beside), folder)
        self._say(self._next_step(folder))
        return kept

    # ------------------------------------------------------------------------------------ names

    def folder_of(self, database: str) -> str:
        """The folder that a name means: an absolute path, or the source's own for `cluster`."""
        if database.startswith("/") and "\0" not in database and posixpath.normpath(database) != "/":
            return posixpath.normpath(database)
        if database == CLUSTER and self.config.restore_directory.startswith("/"):
            return posixpath.normpath(self.config.restore_directory)
        raise strongroom.ConfigError(
            f"A cluster is restored into a folder of the host, which {database!r} is none of.",
            remedy="Give the folder's whole path: --as /var/lib/postgresql/restored, or restore_directory.",
        )

    def beside_name(self, database: str, label: str) -> str:
        return placing.fit(self.folder_of(database), f"_{label}")

    def scratch_name(self, database: str, label: str, folder: object) -> str:
        # The engine's own folder is of this machine and closed to other users: no place on another host,
        # nor for the user that a server runs as when we are root.
        return posixpath.join(self.config.scratch_directory, f"{_SCRATCH}{label}")

    def restored_name(self, recorded: str) -> str:
        return CLUSTER

    def restore_command(self, database: str) -> str:
        return f"tar --extract --preserve-permissions --directory {shlex.quote(database)}"

    # ---------------------------------------------------------------------------------- helpers

    def _tools(self) -> Tools:
        return tools_of(self.context.host)

    def _nearest(self, folder: str) -> str:
        while folder != "/" and not self.context.host.exists(folder):
            folder = posixpath.dirname(folder)
        return folder

    def _refuse_running(self, folder: str) -> None:
        if self.context.host.exists(posixpath.join(folder, "postmaster.pid")):
            raise strongroom.SourceError(
                f"A PostgreSQL server runs in {folder}, or ended without clearing up.",
                remedy="Stop it (pg_ctl stop), or remove postmaster.pid when no server runs there.",
            )

    def _next_step(self, folder: str) -> str:
        try:
            major = cluster.major_of(self.context, folder)
            binary = self._server.tools.exactly("postgres", major).path
        except strongroom.ToolMissing:
            return "Start it on a machine that has PostgreSQL of the same major version."
        return (
            f"Start it as the owner of its files: {binary} -D {shlex.quote(folder)}; where postgresql.conf"
            " and pg_hba.conf lay outside of the data directory, put them there first."
        )

    def _say(self, words: str) -> None:
        self.context.log(words, LogLevel.SUCCESS, LogType.GENERAL, "")


@strongroom.hookimpl
def strongroom_sources() -> list[type[strongroom.Source]]:
    """This plugin's adapter."""
    return [PostgreSQLPhysical]
