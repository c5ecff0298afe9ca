"""The source that MariaDB and MySQL share."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

import pydantic
from pydantic import SecretStr

import strongroom
from plugins.sources.maria import catalogue
from plugins.sources.maria.catalogue import Server
from plugins.sources.maria.client import Client
from plugins.sources.maria.connection import MOST, Connection, fit, fits, values_of_url
from plugins.sources.maria.dumping import (
    arguments,
    begin_dump,
    keeps_history,
    refuse_endless,
    refuse_views_without_tables,
)
from plugins.sources.maria.failures import failure
from plugins.sources.maria.restoring import Restorer, drop
from plugins.sources.maria.swapping import Swap
from plugins.sources.maria.tools import Toolbox
from plugins.sources.naming import distinct_names
from plugins.sources.urls import merged_with_url
from strongroom import Context, Dump, Fingerprint, SourceReport, TargetState


class ServerConfig(strongroom.AdapterConfig):
    """A server of this family, and the databases on it that are to be backed up."""

    url: SecretStr | None = strongroom.field(
        None,
        title="Connection URL",
        description="Instead of the fields below: it is taken apart into them, the password kept as a secret,"
        " and the URL itself is not stored.",
        placeholder="mysql://backup@db.example.org:3306/shop",
    )
    host: str = strongroom.field(
        "localhost",
        title="Host",
        description="A host name, an address, or the path of the server's Unix socket.",
        placeholder="localhost",
        min_length=1,
    )
    port: int = strongroom.field(3306, title="Port", ge=1, le=65535)
    user: str = strongroom.field(
        "root",
        title="User",
        description="For backups it needs SELECT, SHOW VIEW, TRIGGER, EVENT and EXECUTE on the databases.",
        min_length=1,
    )
    password: SecretStr | None = strongroom.field(
        None, title="Password", description="Left empty, the user's own ~/.my.cnf is asked."
    )
    databases: list[str] = strongroom.field(
        title="Databases",
        description="Left empty: every database that is not one of the server's own.",
        placeholder="shop",
        default_factory=list,
    )
    exclude_tables: list[str] = strongroom.field(
        title="Tables left out",
        description="Their names, in whichever database they are; neither their rows nor their definition is"
        " in the backup.",
        placeholder="sessions",
        default_factory=list,
        advanced=True,
    )
    ssl_mode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = strongroom.field(
        "prefer",
        title="TLS mode",
        description="Only verify-full proves that it is this server that answers. MariaDB's tools know no"
        " verify-ca: it is verify-full with them.",
        advanced=True,
    )
    ssl_ca: str = strongroom.field("", title="TLS CA certificate", widget="file", advanced=True)
    ssl_cert: str = strongroom.field("", title="TLS client certificate", widget="file", advanced=True)
    ssl_key: str = strongroom.field("", title="TLS client key", widget="file", advanced=True)
    connect_timeout: int = strongroom.field(10, title="Time to connect (s)", advanced=True, ge=1, le=600)
    tools: str = strongroom.field(
        "",
        title="Folder of client tools",
        description="Left empty, they are looked for on PATH and at the usual places.",
        widget="folder",
        advanced=True,
    )

    _names_are_distinct = pydantic.field_validator("databases")(distinct_names)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _take_url_apart(cls, values: Any) -> Any:
        return merged_with_url(values, values_of_url)


class MariaFamily(strongroom.Source):
    """What both adapters do; they differ in their names and the tools that they prefer."""

    icon = "database"
    extension = "sql"
    can_replace = True
    clients: ClassVar[tuple[str, str]]
    dumpers: ClassVar[tuple[str, str]]
    wants_mariadb: ClassVar[bool]

    config: ServerConfig

    def __init__(self, config: ServerConfig, context: Context) -> None:
        super().__init__(config, context)
        self._tools = Toolbox(context.host, config.tools, clients=self.clients, dumpers=self.dumpers)
        self._asks: Client | None = None
        self._server: Server | None = None
        self._drilled = ""

    # ---------------------------------------------------------------------------------- looking

    def check(self) -> SourceReport:
        """Log in, look for the rights that a whole dump takes, and dump every database without its rows."""
        tool = self._tools.dump()
        server = self._served()
        databases = self.databases()
        there = [name for name in databases if catalogue.options_of(self._client, name) is not None]
        notes = [] if databases else ["there is no database to back up"]
        if server.is_mariadb is not self.wants_mariadb:
            kind = "MariaDB" if server.is_mariadb else "MySQL"
            notes.append(f"this is a {kind} server: the source {kind.lower()} is made for it")
        if missing := catalogue.obstacles(self._client, there):
            more = f", and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise strongroom.SourceError(
                f"The user {self.config.user!r} lacks rights for a whole backup:"
                f" {'; '.join(missing[:5])}{more}.",
                remedy=f"GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE ON *.* TO {self.config.user}.",
            )

        def look(database: str) -> None:
            if database not in there:
                raise self._missing(repr(database))
            refuse_endless(self._client, tool, database)
            refuse_views_without_tables(self._client, database, self.config.exclude_tables)
            self._dump_definitions(database)
            history = keeps_history(self._client, tool, server, database)
            losses = catalogue.losses(self._client, database, with_history=history)
            notes.extend(f"{database}: {words}" for words in losses)
            found = catalogue.tables(self._client, database)
            if loose := catalogue.outside_snapshots(found):
                some = ", ".join(loose[:3]) + (f" and {len(loose) - 3} more" if len(loose) > 3 else "")
                notes.append(
                    f"{database}: {some} cannot be read as of one moment (their storage engine has no"
                    " transactions)"
                )

        failing = strongroom.look_into_each(databases, look)
        tools = {found.path: found.as_tool() for found in (tool, self._client.tool)}
        return SourceReport(
            self.engine, server.version, tuple(databases), tuple(tools.values()), tuple(notes), failing
        )

    def _dump_definitions(self, database: str) -> None:
        tool = self._tools.dump()
        with self._client.options(tool) as options:
            argv = [
                *arguments(tool, options, database, self.config.exclude_tables),
                "--no-data",
                "--",
                database,
            ]
            with self.context.host.run(argv) as process:
                for _ in process:
                    pass
                if (status := process.wait()) != 0:
                    raise failure(tool.name, status, process.stderr(), self._connection, database)

    def databases(self) -> list[str]:
        """The configured ones, or all."""
        return sorted(set(self.config.databases)) or catalogue.all_databases(self._client)

    def fingerprint(self, database: str) -> Fingerprint:
        return catalogue.count_rows(self._client, database)

    def target_state(self, database: str) -> TargetState:
        """Raises `ConfigError` for a name that the server would not take."""
        _whole_name(database)
        if database.lower() in catalogue.SYSTEM:
            raise strongroom.ConfigError(
                f"{database!r} is one of the server's own databases.", remedy="Restore under another name."
            )
        if catalogue.options_of(self._client, database) is None:
            return TargetState.MISSING
        return TargetState.FILLED if catalogue.has_objects(self._client, database) else TargetState.EMPTY

    # ---------------------------------------------------------------------- dumping and restoring

    def dump(self, database: str, *, fingerprint: bool = True) -> Dump:
        tool = self._tools.dump()
        server = self._served()
        made = catalogue.options_of(self._client, database)
        if made is None:
            raise self._missing(repr(database))
        return begin_dump(
            self.context,
            self._client,
            tool,
            server,
            made,
            database,
            excluded=self.config.exclude_tables,
            fingerprint=fingerprint,
        )

    def restore(self, database: str, chunks: Iterable[bytes]) -> None:
        if self.target_state(database) is TargetState.FILLED:
            raise strongroom.TargetNotEmpty(
                f"The database {database!r} on {self._connection.place} is not empty.",
                remedy="Restore under another name (--as), or say that it may be replaced (--overwrite).",
            )
        trial = database == self._drilled
        Restorer(self.context, self._client).restore(database, chunks, trial=trial)

    def drop(self, database: str) -> None:
        _whole_name(database)
        drop(self._client, database)

    def replace(self, beside: str, database: str) -> str | None:
        """Swap by renaming all tables at once; the old database is kept as `<database>_before_<label>`."""
        _whole_name(database)
        return self._swap(beside, database).run()

    def resume_replace(self, beside: str, database: str) -> bool:
        return self._swap(beside, database).resume()

    def _swap(self, beside: str, database: str) -> Swap:
        return Swap(self.context, self._client, self._tools.dump(), beside, database)

    def beside_name(self, database: str, label: str) -> str:
        return fit(database, f"_{label}")

    def scratch_name(self, database: str, label: str, folder: Path) -> str:
        self._drilled = self.beside_name(database, label)
        return self._drilled

    def restore_command(self, database: str) -> str:
        return f"{self.clients[0]} --binary-mode --database={shlex.quote(database)}"

    # ---------------------------------------------------------------------------------- helpers

    def _missing(self, names: str) -> strongroom.DatabaseMissing:
        return strongroom.DatabaseMissing(
            f"There is no database {names} on {self._connection.place}.",
            remedy="Correct the source's list of databases, or see whether it was renamed or dropped.",
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

    def _served(self) -> Server:
        if self._server is None:
            if self.config.ssl_mode not in ("disable", "prefer"):
                self._need_tls()
            self._server = catalogue.server(self._client)
        return self._server

    def _need_tls(self) -> None:
        # MariaDB's tools before 11.4 go on without TLS, and say nothing, where a server has none.
        if not catalogue.cipher(self._client):
            raise strongroom.ConnectionFailed(
                f"The connection to {self._connection.place} is not encrypted, which the TLS mode asks for.",
                remedy="Switch TLS on in the server, or take another TLS mode.",
            )


def _whole_name(database: str) -> None:
    if not fits(database):
        raise strongroom.ConfigError(
            f"{database!r} is no name for a database here, which has 1 to {MOST} characters and no space at"
            " its end.",
            remedy="Take a shorter name." if database else "Give a name.",
        )
