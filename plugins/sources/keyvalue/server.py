"""The source that Redis and Valkey share: one server, all of whose numbered databases are one backup."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

import pydantic
from pydantic import SecretStr

import strongroom
from plugins.sources.keyvalue import filing, looking, placing
from plugins.sources.keyvalue.client import Client, release_of
from plugins.sources.keyvalue.connection import Connection, values_of_url
from plugins.sources.keyvalue.dumping import begin_dump, measured, measures
from plugins.sources.keyvalue.rdb import RdbReader
from plugins.sources.keyvalue.tools import Release, Toolbox
from plugins.sources.urls import merged_with_url
from strongroom import BackupFacts, Context, Dump, Fingerprint, SourceReport, TargetState


class ServerConfig(strongroom.AdapterConfig):
    """A server of this family."""

    url: SecretStr | None = strongroom.field(
        None,
        title="Connection URL",
        description="Instead of the fields below: it is taken apart into them, the password kept as a secret,"
        " and the URL itself is not stored.",
        placeholder="rediss://backup@cache.example.org:6379",
    )
    host: str = strongroom.field(
        "localhost",
        title="Host",
        description="A host name, an address, or the path of the server's Unix socket.",
        placeholder="localhost",
        min_length=1,
    )
    port: int = strongroom.field(6379, title="Port", ge=1, le=65535)
    user: str = strongroom.field("", title="User", description="Left empty: the server's default user.")
    password: SecretStr | None = strongroom.field(None, title="Password")
    label: str = strongroom.field(
        "",
        title="Name in backups",
        description="What the backup of this server is called. Left empty: as the kind of the server.",
        placeholder="sessions",
        pattern=r"^[^/\x00-\x1f]*$",
        max_length=100,
        advanced=True,
    )
    ssl_mode: Literal["disable", "require", "verify-ca"] = strongroom.field(
        "disable",
        title="TLS mode",
        description="verify-ca proves that an authority that is trusted signed the server's certificate; the"
        " client tools compare no host name.",
        advanced=True,
    )
    ssl_ca: str = strongroom.field("", title="TLS CA certificate", widget="file", advanced=True)
    ssl_cert: str = strongroom.field("", title="TLS client certificate", widget="file", advanced=True)
    ssl_key: str = strongroom.field("", title="TLS client key", widget="file", advanced=True)
    connect_timeout: int = strongroom.field(10, title="Time to connect (s)", advanced=True, ge=1, le=600)
    tools: str = strongroom.field(
        "",
        title="Folder of programs",
        description="Of the client and, for restores and drills, of a server. Left empty, they are looked for"
        " on PATH and at the usual places.",
        widget="folder",
        advanced=True,
    )
    restore_mode: Literal["replace-all", "merge"] = strongroom.field(
        "replace-all",
        title="Restore over what is there",
        description="replace-all empties the server first; merge puts the backup's keys in, in the place of"
        " those of the same name, and leaves the others.",
        advanced=True,
    )
    restore_to_file: str = strongroom.field(
        "",
        title="Restore as a file",
        description="A path for the RDB file, on the host: it is written and tried there, and the server is"
        " not touched.",
        placeholder="/var/lib/redis/restored.rdb",
        pattern=r"^(/.*)?$",
        advanced=True,
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _take_url_apart(cls, values: Any) -> Any:
        return merged_with_url(values, values_of_url)


class KeyValueFamily(strongroom.Source):
    """What both adapters do; they differ in their names and the programs that they prefer."""

    icon = "database"
    extension = "rdb"
    restores_over = True
    kinds: ClassVar[tuple[str, str]]
    """The preferred kind of programs, and the other one."""

    config: ServerConfig

    def __init__(self, config: ServerConfig, context: Context) -> None:
        super().__init__(config, context)
        self.restores_over = not config.restore_to_file
        self._tools = Toolbox(context.host, config.tools, first=self.kinds[0], second=self.kinds[1])
        self._asks: Client | None = None
        self._restored: placing.Restored | None = None
        self._filed: dict[str, Fingerprint | None] = {}
        self._drilled = ""

    # ---------------------------------------------------------------------------------- looking

    def check(self) -> SourceReport:
        """Log in, and look whether the server would give a replica its data."""
        tool = self._tools.client()
        found, notes = looking.for_backup(self._client)
        looking.may_sync(self.context, self._client)
        if found.kind != self.name:
            notes.append(f"this is {found}: the source {found.kind} is made for it")
        tools = [tool.as_tool()]
        try:
            tools += [server.as_tool() for server in self._tools.servers()]
        except strongroom.ToolMissing as error:
            notes.append(f"a restore or a drill would fail here: {error.message}")
        return SourceReport(self.engine, found.version, (self._own,), tuple(tools), tuple(notes))

    def databases(self) -> list[str]:
        self._client.ask("PING")
        return [self._own]

    def fingerprint(self, database: str) -> Fingerprint:
        """Walk over all that the server, or a file, holds now.

        Right after a restore by this very object, the keys with a time limit count as they were in the
        backup: each was acknowledged, or its time was up, and they go on vanishing. After one that merged, so
        do all: what else the server holds is not the backup's.
        """
        if (path := self.file_of(database)) is not None:
            if path not in self._filed:
                self._filed[path] = filing.loaded_fingerprint(self.context, self._tools, path)
            return self._filed[path] or _uncounted()
        self._need_own(database)
        if self._restored is not None and (self._restored.merged or not self._restored.reader.known):
            return measured(self._restored.reader) or _uncounted()
        reader = self._walked()
        if reader is None or not reader.known:
            return _uncounted()
        if self._restored is None:
            return measured(reader) or _uncounted()
        backup = self._restored.reader
        keys = {
            number: count
            for number in reader.keys.keys() | backup.timed.keys()
            if (
                count := reader.keys.get(number, 0)
                - reader.timed.get(number, 0)
                + backup.timed.get(number, 0)
            )
        }
        return measures(keys, backup.timed, reader.functions, reader.sum, backup.sum_timed)

    def _walked(self) -> RdbReader | None:
        """Walk over what the server holds; None where it lets nobody, but has just been restored."""
        reader = RdbReader()
        try:
            with begin_dump(
                self.context, self._client, self._release(), fingerprint=False, reader=reader
            ) as dump:
                for chunk in dump:
                    self.context.alive(len(chunk))
        except strongroom.ToolFailed:
            raise
        except strongroom.SourceError:
            if self._restored is None:
                raise
            return self._restored.reader  # each key was acknowledged; a managed server shows no more
        return reader

    def target_state(self, database: str) -> TargetState:
        if (path := self.file_of(database)) is not None:
            return TargetState.FILLED if self.context.host.exists(path) else TargetState.MISSING
        if database != self._own:
            raise strongroom.ConfigError(
                f"{database!r} is no target: a server of this kind has one name, {self._own!r}.",
                remedy="Give the whole path of an RDB file on that host, or leave the name out.",
            )
        return placing.state(self._client)

    # ---------------------------------------------------------------------- dumping and restoring

    def dump(self, database: str, *, fingerprint: bool = True) -> Dump:
        self._need_own(database)
        release = self._release()
        return begin_dump(self.context, self._client, release, fingerprint=fingerprint)

    def preflight(self, database: str, facts: BackupFacts) -> tuple[str, ...]:
        written = looking.writer(facts)
        if (path := self.file_of(database)) is not None:
            filing.look(self.context.host, path)
            self._tools.server_for(written, None)
            return () if path == self._drilled else (filing.advice(path),)
        release, warnings = looking.for_restore(self._client, merge=self.config.restore_mode == "merge")
        self._tools.server_for(written, release)
        return tuple(warnings)

    def restore(self, database: str, chunks: Iterable[bytes]) -> None:
        """Load the dump into a server of our own; then move every key, or keep it as a file.

        The server itself is touched only when the whole dump has come and has been loaded. What is in it goes
        first, or with `restore_mode` merge stays. On an error it is empty; a merge says how far it came.
        """
        if (path := self.file_of(database)) is not None:
            self._filed[path] = filing.restore(self.context, self._tools, path, chunks)
            return
        self.untouched = True

        def begun() -> None:
            self.untouched = False

        self._restored = placing.restore(
            self.context,
            self._tools,
            self._client,
            self._release(),
            chunks,
            before=self.target_state(database),
            merge=self.config.restore_mode == "merge",
            begun=begun,
        )

    def drop(self, database: str) -> None:
        """Remove a file. A server's own data is not dropped: only a restore replaces it."""
        path = self.file_of(database)
        if path is None:
            raise strongroom.SourceError(
                f"The data of {self._connection.place} is not dropped.",
                remedy="FLUSHALL empties the server, if that is meant.",
            )
        self._filed.pop(path, None)
        filing.remove(self.context.host, path)

    # ------------------------------------------------------------------------------------ names

    @property
    def _own(self) -> str:
        return self.config.label or self.name

    def file_of(self, database: str) -> str | None:
        """The RDB file that a name means; None for the server itself."""
        return posixpath.normpath(database) if database.startswith("/") else None

    def scratch_name(self, database: str, label: str, folder: Path) -> str:
        """A drill makes a file, and loads it into a server of its own: the source's server is not touched."""
        # On another host there is no folder of ours; the label is random, and the file made exclusively.
        other = f"/tmp/strongroom_{label}.rdb"  # noqa: S108
        self._drilled = f"{folder}/{label}.rdb" if self.context.host.local else other
        return self._drilled

    def restored_name(self, recorded: str) -> str:
        """A server has one name, whatever the backup's was called."""
        return self.config.restore_to_file or self._own

    def restore_command(self, database: str) -> str:
        return f"cat > {shlex.quote(f'{database}.rdb')}"

    # ---------------------------------------------------------------------------------- helpers

    def _need_own(self, database: str) -> None:
        if database != self._own:
            raise strongroom.DatabaseMissing(
                f"There is no {database!r} on {self._connection.place}: all of it is one, {self._own!r}.",
                remedy="See whether the source's name in backups (label) has been changed.",
            )

    @property
    def _connection(self) -> Connection:
        config = self.config
        return Connection(
            config.host,
            config.port,
            config.user,
            config.password,
            config.ssl_mode,
            config.ssl_ca,
            config.ssl_cert,
            config.ssl_key,
            config.connect_timeout,
        )

    @property
    def _client(self) -> Client:
        if self._asks is None:
            self._asks = Client(self.context.host, self._tools.client(), self._connection)
        return self._asks

    def _release(self) -> Release:
        info = self._client.info("server")
        looking.refuse_parts(info, self._client)
        return release_of(info)


def _uncounted() -> Fingerprint:
    return Fingerprint({}, consistent=False, of="measures")
