"""Restore an archive into a database that is made for it, is empty, or is to be replaced; drop one."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from plugins.sources.feeding import feed
from plugins.sources.postgres import catalogue, circles, tablespaces
from plugins.sources.postgres.archive import Archive, peek
from plugins.sources.postgres.connection import conninfo, identifier, literal
from plugins.sources.postgres.contents import Contents, Pulled
from plugins.sources.postgres.emptying import emptying
from plugins.sources.postgres.entrance import Server
from plugins.sources.postgres.failures import REFUSED, failure
from plugins.sources.postgres.folders import CONTENTS, unpacked
from plugins.sources.postgres.older import restore_through_psql, sets_what_is_unknown
from plugins.sources.postgres.session import Psql
from plugins.sources.postgres.statements import HEAD
from plugins.sources.postgres.tools import Found, Version
from strongroom import Cancelled, ConfigError, LogLevel, LogType, SourceError, TargetState, ToolFailed

_USTAR = slice(257, 262)


@dataclass(frozen=True, slots=True)
class Choices:
    """How a restore goes: with owners, with rights, by how many workers."""

    owner: bool = True
    privileges: bool = True
    jobs: int = 1

    def arguments(self) -> list[str]:
        """pg_restore's options for owners and rights."""
        chosen = [] if self.owner else ["--no-owner"]
        return chosen if self.privileges else [*chosen, "--no-privileges"]


@dataclass(frozen=True, slots=True)
class _Given:
    """An archive for pg_restore: a path on the host, or what goes to its standard input."""

    path: str = ""
    chunks: Iterable[bytes] = ()

    @property
    def arguments(self) -> list[str]:
        return [self.path] if self.path else []


class Restorer:
    """Restores into one server."""

    def __init__(self, server: Server, through: str, choices: Choices) -> None:
        self._server = server
        self._context = server.context
        self._psql = server.psql
        self._through = through
        self._choices = choices

    def restore(self, database: str, state: TargetState, chunks: Iterable[bytes]) -> Contents | None:
        """Restore, and return what the archive held, where that can be told.

        What was made here is dropped again on any error; what was there, empty or filled, stays as it was.
        A filled database loses what the archive makes anew, and keeps what else is in it.
        """
        host = self._context.host
        pulled = Pulled(chunks)
        with ExitStack() as stack:
            if pulled.have(len(HEAD)) and HEAD in pulled.head[:200]:
                raise ConfigError(
                    "The backup holds a server's roles and tablespaces, and no database.",
                    remedy="Restore it without another name.",
                )
            if pulled.have(512) and pulled.head[_USTAR] == b"ustar":
                folder = stack.enter_context(unpacked(self._context, pulled.whole()))
                archive, _ = peek(host.read_file(posixpath.join(folder, CONTENTS)))
                self._fill(database, state, archive, _Given(folder))
                return archive.contents
            archive, whole = peek(pulled.whole())
            if self._choices.jobs > 1 and state is TargetState.MISSING:
                # Workers seek in the archive, which they cannot in a pipe.
                path = posixpath.join(stack.enter_context(host.folder()), "dump")
                host.write_file(path, whole)
                self._fill(database, state, archive, _Given(path))
            else:
                self._fill(database, state, archive, _Given(chunks=whole))
            return archive.contents

    # -- making and filling the database --------------------------------------------------------------

    def _fill(self, database: str, state: TargetState, archive: Archive, given: _Given) -> None:
        contents = archive.contents or Contents()
        if contents.rows_alone and state is not TargetState.FILLED:
            raise rows_alone(database)
        version = catalogue.server_version(self._psql, self._through)
        tool = self._server.tools.for_server("pg_restore", version, at_least=archive.readable_from)
        schemas: list[str] = []
        if state is TargetState.MISSING:
            self._create(database, archive, version)
        try:
            schemas = self._make_schemas(database, contents.missing_schemas)
            options = self._choices.arguments()
            first = last = ""
            if state is TargetState.FILLED and contents.rows_alone:
                keys = circles.around(self._psql, database)
                triggers = circles.quiet(self._psql, database, contents.of("TABLE DATA"))
                first = "\n".join((triggers[0], emptying(self._server, database, contents), keys[0]))
                last = "\n".join((keys[1], triggers[1]))
            elif state is TargetState.FILLED:
                options += ["--clean", "--if-exists"]
            if first or sets_what_is_unknown(tool.version, version):
                self._through_psql(tool, options, database, given, first, last)
            else:
                self._directly(tool, options, database, given, alone=state is TargetState.MISSING)
        except BaseException:
            # The error that is under way says what happened. A cancelled host starts nothing any more: then
            # whoever asked for the restore drops what is left.
            with suppress(SourceError, Cancelled):
                if state is TargetState.MISSING:
                    drop(self._psql, self._through, database)
                elif schemas:
                    self._psql.ask(database, "".join(f"DROP SCHEMA {identifier(name)};" for name in schemas))
            raise

    def _create(self, database: str, archive: Archive, version: Version) -> None:
        error: SourceError | None = None
        place = ""
        if archive.tablespace and tablespaces.usable(self._server, self._through, archive.tablespace):
            place = f" TABLESPACE = {identifier(archive.tablespace)}"
        for options in archive.ways_to_create(version.major):
            try:
                # Copying template0 can take a while on a busy disk.
                sql = f"CREATE DATABASE {identifier(database)} {options}{place};"
                self._psql.ask(self._through, sql, timeout=600)
            except ToolFailed as failed:  # a locale that this server does not have
                error = error or failed
                if "already exists" in failed.message:
                    break
            else:
                if error is not None or archive.provider_is_lost(version.major):
                    self._say_locale(database, archive, error)
                return
        assert error is not None  # noqa: S101 - there is always one way at least
        raise error

    def _say_locale(self, database: str, archive: Archive, error: SourceError | None) -> None:
        sql = (
            "SELECT coalesce(pg_catalog.row_to_json(d)->>'datlocprovider', 'c'), datcollate, datctype"  # noqa: S608
            f" FROM pg_catalog.pg_database d WHERE datname = {literal(database)}::pg_catalog.text;"
        )
        provider, collate, ctype = self._psql.ask(self._through, sql, fields=3)[0]
        named = {"c": "libc", "i": "icu", "b": "builtin"}.get(provider, provider)
        self._context.log(
            f"{database} was to be made with the locale of the backup ({archive.locale}), which this server"
            f" does not have; it is made with {named}, LC_COLLATE = {collate} LC_CTYPE = {ctype}: what is"
            " sorted and compared as text may come in another order.",
            LogLevel.WARNING,
            LogType.GENERAL,
            error.message if error is not None else "",
        )

    def _make_schemas(self, database: str, names: list[str]) -> list[str]:
        """Make the schemas that a dump of chosen tables takes for granted; return those that were missing."""
        if not names:
            return []
        there = {name for (name,) in self._psql.ask(database, "SELECT nspname FROM pg_catalog.pg_namespace;")}
        missing = [name for name in names if name not in there]
        if missing:
            self._psql.ask(database, "".join(f"CREATE SCHEMA {identifier(name)};" for name in missing))
        return missing

    def _through_psql(
        self, tool: Found, options: list[str], database: str, given: _Given, first: str, last: str
    ) -> None:
        psql = self._server.tools.for_server("psql", tool.version)
        only = ["--data-only"] if first else []
        argv = [tool.path, "--exit-on-error", *options, *only, "--file=-", *given.arguments]
        restore_through_psql(
            self._context,
            argv,
            psql,
            self._server.connection,
            database,
            given.chunks,
            encoding=catalogue.client_encoding(self._psql, database),
            first=first,
            last=last,
        )

    def _directly(
        self, tool: Found, options: list[str], database: str, given: _Given, *, alone: bool
    ) -> None:
        # One transaction keeps a database that was there as it was, should anything fail. One that was
        # made here is dropped instead, which costs the server no lock for each of its tables.
        how = ["--single-transaction"]
        if alone:
            how = [f"--jobs={self._choices.jobs}"] if given.path and self._choices.jobs > 1 else []
        argv = [tool.path, *how, "--exit-on-error", *options, "--no-password"]
        argv += [f"--dbname={conninfo(database)}", *given.arguments]
        process = self._context.host.run(argv, env=self._server.connection.environment(), stdin=True)
        with process:
            feed(process, given.chunks, self._context.cancel)
            process.close_stdin()
            for _ in process:
                pass
            status = process.wait()
            self._context.cancel.raise_if_cancelled()
            if status != 0:
                raise failure(
                    "pg_restore", status, process.stderr(), self._server.connection, database, remedy=REFUSED
                )


def rows_alone(database: str) -> SourceError:
    """The error for rows that have no tables to go into; it says nothing against the backup."""
    return SourceError(
        f"The backup holds rows and no tables (content = data), and {database!r} has no tables to take them.",
        remedy="Restore a backup of the definitions first, then this one over it with restore_clean and"
        " --overwrite, or by hand: pg_restore --data-only.",
    )


def drop(psql: Psql, through: str, database: str) -> None:
    """Drop a database, whoever is connected to it. A missing one is fine."""
    name = identifier(database)
    if catalogue.server_version(psql, through).first >= 13:
        psql.ask(through, f"DROP DATABASE IF EXISTS {name} WITH (FORCE);", timeout=600)
    else:
        psql.ask(through, ending_connections(database))
        psql.ask(through, f"DROP DATABASE IF EXISTS {name};", timeout=600)


def ending_connections(database: str) -> str:
    """SQL that ends every other connection to a database."""
    return (
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity"  # noqa: S608
        f" WHERE datname = {literal(database)} AND pid <> pg_catalog.pg_backend_pid();"
    )
