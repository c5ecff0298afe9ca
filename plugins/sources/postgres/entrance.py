"""The way into a server: its tools, its version, and the database that lets this user in."""

from __future__ import annotations

from collections.abc import Sequence

from plugins.sources.postgres import catalogue
from plugins.sources.postgres.config import ServerConfig
from plugins.sources.postgres.connection import Connection
from plugins.sources.postgres.failures import DatabaseClosed
from plugins.sources.postgres.session import Psql
from plugins.sources.postgres.tools import Toolbox, Version
from strongroom import ConfigError, Context, DatabaseMissing, SourceError


class Server:
    """One server as a source of it works with it. Asks nothing before it has to; raises `SourceError`s."""

    def __init__(self, context: Context, config: ServerConfig, doors: Sequence[str]) -> None:
        self.context = context
        self.connection: Connection = config.connection
        self.tools = Toolbox(context.host, config.tools)
        self._doors = [*doors, "template1"]
        self._asks: Psql | None = None
        self._version: Version | None = None
        self._entrance: str | None = None

    @property
    def psql(self) -> Psql:
        """psql, the newest that is there. Raises `ConfigError` for a CA that would not be asked."""
        if self._asks is None:
            if self.connection.ssl_ca == "system" and self.connection.ssl_mode != "verify-full":
                # Tools since 16 refuse that; older ones look for a file of that name, and go without it.
                raise ConfigError(
                    'ssl_ca = "system" takes ssl_mode = "verify-full": the server would not be proven.',
                    remedy='Set ssl_mode = "verify-full", or name a CA\'s file in ssl_ca.',
                )
            tool = self.tools.newest("psql")
            self._asks = Psql(self.context.host, tool, self.connection, self.context.cancel)
        return self._asks

    def through(self, *, not_in: tuple[str, ...] = ()) -> str:
        """The database for statements about databases, which cannot be made from within these.

        It is the first one that lets this user in: a provider's server may have no `postgres` for us.
        """
        if self._entrance is None or self._entrance in not_in:
            self._entrance = self._first_open([name for name in self._doors if name not in not_in])
        return self._entrance

    def _first_open(self, candidates: list[str]) -> str:
        refusal: SourceError | None = None
        for name in candidates:
            try:
                self._version = catalogue.server_version(self.psql, name)
                return name
            except (DatabaseMissing, DatabaseClosed) as error:
                refusal = refusal or error
        assert refusal is not None  # noqa: S101 - template1 is always tried
        raise refusal

    def version(self, database: str | None = None) -> Version:
        """The server's version, asked through `database` where one is given."""
        if self._version is None:
            if database is None:
                self.through()
            else:
                self._version = catalogue.server_version(self.psql, database)
        assert self._version is not None  # noqa: S101 - finding the way in has set it
        return self._version

    def ask(self, sql: str, *, fields: int = 1) -> list[tuple[str, ...]]:
        """Ask through whichever database lets us in."""
        return self.psql.ask(self.through(), sql, fields=fields)
