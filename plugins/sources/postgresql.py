"""PostgreSQL as a source: pg_dump's archives, from a snapshot whose rows are counted too.

All work is done by psql, pg_dump and pg_restore through the `Host`, so that the same code serves this
machine, an SSH host and a container. The parts are in `plugins.sources.postgres`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

import strongroom
from plugins.sources.postgres import (
    catalogue,
    checking,
    globals,
    preflight,
    properties,
    swapping,
    tablespaces,
)
from plugins.sources.postgres.config import DatabasesConfig
from plugins.sources.postgres.connection import MOST, conninfo, fits
from plugins.sources.postgres.contents import Contents
from plugins.sources.postgres.dumping import Order, begin_dump, custom
from plugins.sources.postgres.entrance import Server
from plugins.sources.postgres.folders import directory
from plugins.sources.postgres.globals import is_globals
from plugins.sources.postgres.over import counted, left_standing
from plugins.sources.postgres.restoring import Choices, Restorer, drop
from strongroom import BackupFacts, Context, Dump, Fingerprint, SourceReport, TargetState


class PostgreSQL(strongroom.Source):
    """A PostgreSQL server, and the databases on it that are to be backed up."""

    name = "postgresql"
    title = "PostgreSQL"
    icon = "database"
    extension = "dump"
    engine = "postgresql"
    can_replace = True

    Config = DatabasesConfig
    config: DatabasesConfig

    def __init__(self, config: DatabasesConfig, context: Context) -> None:
        super().__init__(config, context)
        self.restores_over = self.undoes = config.restore_clean  # in one transaction
        self._server = Server(context, config, [config.maintenance_database, *config.databases])
        self._over: dict[str, Contents] = {}
        self._new: dict[str, Contents | None] = {}  # of databases that a restore has made
        self._made: dict[str, Fingerprint] = {}  # of roles and tablespaces, as they were restored

    # ---------------------------------------------------------------------------------- looking

    def check(self) -> SourceReport:
        """Log in to every database that will be dumped, and look for all that would stop pg_dump."""
        return checking.report(self._server, self.config, self.databases)

    def databases(self) -> list[str]:
        """The configured ones, or all; and the roles and tablespaces, where they are to be backed up."""
        psql, through = self._server.psql, self._server.through()
        extra = [globals.NAME] if self.config.globals else []
        names = sorted(set(self.config.databases))
        found = names or catalogue.all_databases(psql, through)
        if taken := [name for name in found if is_globals(name)]:
            raise strongroom.ConfigError(
                f"{taken[0]!r} cannot be backed up as a database: roles and tablespaces are called so.",
                remedy="Rename the database. For roles and tablespaces, switch `globals` on.",
            )
        return sorted([*found, *extra])

    def fingerprint(self, database: str) -> Fingerprint:
        """All tables of a database; after a restore over a filled one, those that came from the backup."""
        if is_globals(database):
            return self._made.get(database) or globals.fingerprint(self._server)
        return counted(self._server, database, self._over.get(database))

    def target_state(self, database: str) -> TargetState:
        """Raises `ConfigError` for what is no target: a name that is cut to another one's, a template."""
        if is_globals(database):  # each server has them, and a restore adds to them; a trial's are not there
            return TargetState.EMPTY if database == globals.NAME else TargetState.MISSING
        _whole_name(database)
        psql, through = self._server.psql, self._server.through()
        if not catalogue.exists(psql, through, database):
            return TargetState.MISSING
        if catalogue.is_template(psql, through, database):
            raise strongroom.ConfigError(
                f"{database!r} on {self._server.connection.place} is a template, which new databases are"
                " copies of.",
                remedy="Restore under another name (--as NAME).",
            )
        return TargetState.FILLED if catalogue.has_objects(psql, database) else TargetState.EMPTY

    def preflight(self, database: str, facts: BackupFacts) -> tuple[str, ...]:
        return preflight.look(self._server, self.config, database, self.target_state(database), facts)

    # ---------------------------------------------------------------------- dumping and restoring

    def dump(self, database: str, *, fingerprint: bool = True) -> Dump:
        server, config = self._server, self.config
        if is_globals(database):
            return globals.begin_dump(server, fingerprint=fingerprint)
        version = server.version(database)
        tool = server.tools.for_server("pg_dump", version)
        checking.refuse_nothing(server, database, config.selection)
        encoding = catalogue.client_encoding(server.psql, database)
        order = Order(database, tool, version, config.selection, fingerprint, encoding)
        if config.is_directory:
            write = directory(self.context, server.psql, order, config.parallel)
        else:
            write = custom(self.context, server.psql, order)
        return begin_dump(self.context, server.psql, order, write)

    def restore(self, database: str, chunks: Iterable[bytes]) -> None:
        """Restore into a missing or empty database; with `restore_clean` into a filled one too.

        Of roles and tablespaces, what is missing is made; under a name of a trial all of it is rolled back.
        """
        if is_globals(database):
            trial, anew = database != globals.NAME, self.config.restore_existing_roles
            self.untouched = True

            def touch() -> None:
                self.untouched = trial

            self._made[database] = globals.restore(
                self._server, chunks, trial=trial, anew=anew, before_commit=touch
            )
            return
        state = self.target_state(database)
        if state is TargetState.FILLED and not self.restores_over:
            raise strongroom.TargetNotEmpty(
                f"The database {database!r} on {self._server.connection.place} is not empty.",
                remedy="Restore under another name (--as), or say that it may be replaced (--overwrite).",
            )
        config = self.config
        choices = Choices(config.restore_owner, config.restore_privileges, config.restore_jobs)
        held = Restorer(self._server, self._server.through(), choices).restore(database, state, chunks)
        if state is TargetState.MISSING:
            self._new[database] = held
        if state is TargetState.FILLED and held is not None:
            self._over[database] = held
            left_standing(self._server, database, held)

    def drop(self, database: str) -> None:
        if is_globals(database):
            return  # a trial has left nothing, and nobody's roles are dropped
        _whole_name(database)
        drop(self._server.psql, self._server.through(not_in=(database,)), database)

    def replace(self, beside: str, database: str) -> str | None:
        """Swap by renaming, in one transaction; the old one is kept as `<database>_before_<label>`.

        What belongs to the database itself is the old one's; where there is none, the backup's.
        """
        _whole_name(database)
        through = self._server.through(not_in=(beside, database))
        if catalogue.exists(self._server.psql, through, database):
            tablespaces.follow(self._server, through, beside, database)
        elif beside in self._new:
            owner, rights = self.config.restore_owner, self.config.restore_privileges
            properties.give(self._server, beside, self._new[beside], owner=owner, rights=rights)
        return swapping.swap(self._server.psql, through, beside, database)

    def resume_replace(self, beside: str, database: str) -> bool:
        """It is one transaction: all of it has happened, or nothing."""
        return self.target_state(beside) is TargetState.MISSING

    # ------------------------------------------------------------------------------------ names

    def beside_name(self, database: str, label: str) -> str:
        return swapping.beside_name(database, label)

    def extension_for(self, database: str) -> str:
        """`dump` or `dir.tar`, with `schema.` or `data.` before it where that is all of it."""
        if is_globals(database):
            return "sql"
        kind = "dir.tar" if self.config.is_directory else self.extension
        return kind if self.config.content == "all" else f"{self.config.content}.{kind}"

    def restore_command(self, database: str) -> str:
        if is_globals(database):
            return "psql --no-psqlrc -d postgres"
        # A plain name is its own argument; what libpq would take for a connection string is quoted as one.
        plain = "=" not in database and "://" not in database
        target = shlex.quote(database if plain else conninfo(database))
        if self.config.is_directory:
            return f"(mkdir dump && tar -xf - -C dump && pg_restore --exit-on-error -d {target} dump)"
        return f"pg_restore --exit-on-error -d {target}"


def _whole_name(database: str) -> None:
    if not fits(database):
        raise strongroom.ConfigError(
            f"{database!r} is no name for a PostgreSQL database, which has 1 to {MOST} bytes.",
            remedy="Take a shorter name." if database else "Give a name.",
        )


@strongroom.hookimpl
def strongroom_sources() -> list[type[strongroom.Source]]:
    """This plugin's adapter."""
    return [PostgreSQL]
