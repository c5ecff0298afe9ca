"""MongoDB as a source: every collection as raw documents, as of one moment where the server can do that."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any, Literal

import pydantic
from pydantic import SecretStr

import strongroom
from plugins.sources.mongo import looking
from plugins.sources.mongo.connection import MOST, Connection, fit, fits, values_of_url
from plugins.sources.mongo.dumping import begin_dump, counted
from plugins.sources.mongo.restoring import Restorer, drop
from plugins.sources.mongo.server import SYSTEM, Collection, Server
from plugins.sources.naming import distinct_names
from plugins.sources.urls import merged_with_url
from strongroom import BackupFacts, Context, Dump, Fingerprint, SourceReport, TargetState


class MongoDB(strongroom.Source):
    """A MongoDB server, replica set or sharded cluster, and the databases that are to be backed up."""

    name = "mongodb"
    title = "MongoDB"
    icon = "database"
    extension = "tar"
    engine = "mongodb"

    class Config(strongroom.AdapterConfig):
        url: SecretStr | None = strongroom.field(
            None,
            title="Connection URL",
            description="Instead of the fields below: it is taken apart into them, the password kept as a"
            " secret, and the URL itself is not stored.",
            placeholder="mongodb+srv://backup@cluster0.example.net",
        )
        host: str = strongroom.field(
            "localhost",
            title="Host",
            description="A host name or an address, several with commas (a:27017,b:27017), or the path of the"
            " server's Unix socket.",
            placeholder="localhost",
            min_length=1,
        )
        port: int = strongroom.field(
            27017, title="Port", description="Of the hosts that name none.", ge=1, le=65535
        )
        srv: bool = strongroom.field(
            False,
            title="Host from the DNS",
            description="The host is a name whose SRV record lists the servers (mongodb+srv://).",
            advanced=True,
        )
        replica_set: str = strongroom.field(
            "",
            title="Replica set",
            description="Its name. Left empty, a single host is taken by itself.",
            advanced=True,
        )
        user: str = strongroom.field("", title="User", description="For backups it needs the role backup.")
        password: SecretStr | None = strongroom.field(None, title="Password")
        auth_source: str = strongroom.field(
            "admin", title="Authentication database", description="Where the user was made.", advanced=True
        )
        auth_mechanism: Literal["default", "SCRAM-SHA-256", "SCRAM-SHA-1", "MONGODB-X509", "PLAIN"] = (
            strongroom.field("default", title="Way to log in", advanced=True)
        )
        databases: list[str] = strongroom.field(
            title="Databases",
            description="Left empty: every database that is not one of the server's own.",
            placeholder="shop",
            default_factory=list,
        )
        exclude_collections: list[str] = strongroom.field(
            title="Collections left out",
            description="Their names, in whichever database they are.",
            placeholder="sessions",
            default_factory=list,
            advanced=True,
        )
        snapshot: Literal["auto", "require", "off"] = strongroom.field(
            "auto",
            title="One moment",
            description="Whether all collections are read as of one moment: auto where the server can do that"
            " (a replica set or mongos of 5.0 or newer).",
            advanced=True,
        )
        read_from: Literal["primary", "secondary-preferred"] = strongroom.field(
            "primary", title="Read from", description="Which server of a replica set.", advanced=True
        )
        ssl_mode: Literal["disable", "require", "verify-ca", "verify-full"] = strongroom.field(
            "disable",
            title="TLS mode",
            description="Only verify-full proves that it is this server that answers.",
            advanced=True,
        )
        ssl_ca: str = strongroom.field("", title="TLS CA certificate", widget="file", advanced=True)
        ssl_cert: str = strongroom.field(
            "",
            title="TLS client certificate",
            description="One file with the certificate and its key.",
            widget="file",
            advanced=True,
        )
        connect_timeout: int = strongroom.field(10, title="Time to connect (s)", advanced=True, ge=1, le=600)

        _names_are_distinct = pydantic.field_validator("databases")(distinct_names)

        @pydantic.model_validator(mode="before")
        @classmethod
        def _take_url_apart(cls, values: Any) -> Any:
            return merged_with_url(values, values_of_url)

    config: Config

    def __init__(self, config: Config, context: Context) -> None:
        super().__init__(config, context)
        self._server = Server(context, self._connection)

    def close(self) -> None:
        self._server.close()

    # ---------------------------------------------------------------------------------- looking

    def check(self) -> SourceReport:
        """Log in, and read the first document of every collection."""
        version = self._server.version
        import pymongo

        databases = self.databases()
        notes = [] if databases else ["there is no database to back up"]
        notes += looking.notes(self._server, snapshot=self._snapshot())
        failing = strongroom.look_into_each(
            databases, lambda name: looking.readable(self._server, name, self._collections(name))
        )
        tool = strongroom.Tool("pymongo", pymongo.__file__, pymongo.version)
        return SourceReport(self.engine, version, tuple(databases), (tool,), tuple(notes), failing)

    def databases(self) -> list[str]:
        """The configured ones, or all."""
        return sorted(set(self.config.databases)) or self._server.databases()

    def fingerprint(self, database: str) -> Fingerprint:
        return counted(self._server, database, self._collections(database), snapshot=self._snapshot())

    def target_state(self, database: str) -> TargetState:
        """A database without collections is none: there is nothing between missing and filled.

        Raises `ConfigError` for a name that the server would not take.
        """
        _whole_name(database)
        if database in SYSTEM:
            raise strongroom.ConfigError(
                f"{database!r} is one of the server's own databases.", remedy="Restore under another name."
            )
        return TargetState.FILLED if database in self._server.databases() else TargetState.MISSING

    # ---------------------------------------------------------------------- dumping and restoring

    def dump(self, database: str, *, fingerprint: bool = True) -> Dump:
        collections = self._collections(database)
        return begin_dump(
            self.context,
            self._server,
            database,
            collections,
            snapshot=self._snapshot(),
            fingerprint=fingerprint,
        )

    def preflight(self, database: str, facts: BackupFacts) -> tuple[str, ...]:
        return looking.for_restore(self._server, database, facts)

    def restore(self, database: str, chunks: Iterable[bytes]) -> None:
        if self.target_state(database) is TargetState.FILLED:
            raise strongroom.TargetNotEmpty(
                f"The database {database!r} on {self._server.connection.place} is there already.",
                remedy="Restore under another name (--as), or say that it may be replaced (--overwrite).",
            )
        Restorer(self.context, self._server, database).restore(chunks)

    def drop(self, database: str) -> None:
        _whole_name(database)
        drop(self._server, database)

    def beside_name(self, database: str, label: str) -> str:
        return fit(database, f"_{label}")

    def restore_command(self, database: str) -> str:
        return f"tar --extract && mongorestore --dir {shlex.quote(database)} --db {shlex.quote(database)}"

    # ---------------------------------------------------------------------------------- helpers

    def _collections(self, database: str) -> list[Collection]:
        """What is backed up of a database. Raises `DatabaseMissing` where it is not there."""
        if not fits(database) or database not in self._server.databases():
            raise self._missing(repr(database))
        left_out = set(self.config.exclude_collections)
        return [each for each in self._server.collections(database) if each.name not in left_out]

    def _snapshot(self) -> bool:
        wish = self.config.snapshot
        if wish == "off":
            return False
        if wish == "require" and not self._server.has_snapshots:
            raise strongroom.SourceError(
                f"{self._server.connection.place} cannot read all collections as of one moment.",
                remedy="That takes a replica set (of one member, if need be) or a mongos, of 5.0 or newer."
                " Or choose snapshot = auto.",
            )
        return self._server.has_snapshots

    def _missing(self, names: str) -> strongroom.DatabaseMissing:
        return strongroom.DatabaseMissing(
            f"There is no database {names} on {self._connection.place}.",
            remedy="Correct the source's list of databases, or see whether it was renamed or dropped.",
        )

    @property
    def _connection(self) -> Connection:
        config = self.config
        return Connection(
            host=config.host,
            port=config.port,
            user=config.user,
            password=config.password,
            auth_source=config.auth_source,
            auth_mechanism=config.auth_mechanism,
            replica_set=config.replica_set,
            srv=config.srv,
            ssl_mode=config.ssl_mode,
            ssl_ca=config.ssl_ca,
            ssl_cert=config.ssl_cert,
            read_from=config.read_from,
            connect_timeout=config.connect_timeout,
        )


def _whole_name(database: str) -> None:
    if not fits(database):
        raise strongroom.ConfigError(
            f"{database!r} is no name for a database here, which has 1 to {MOST} bytes and none of"
            ' / \\ . " $ * < > : | ? and spaces.',
            remedy="Take another name." if database else "Give a name.",
        )


@strongroom.hookimpl
def strongroom_sources() -> list[type[strongroom.Source]]:
    """This plugin's adapter."""
    return [MongoDB]
