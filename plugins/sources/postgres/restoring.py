"""Restore an archive into a database that is made for it, or is empty; drop one."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from plugins.sources.feeding import feed
from plugins.sources.postgres import catalogue
from plugins.sources.postgres.archive import Archive, peek
from plugins.sources.postgres.connection import conninfo, identifier, literal
from plugins.sources.postgres.failures import REFUSED, failure
from plugins.sources.postgres.older import restore_through_psql, sets_what_is_unknown
from plugins.sources.postgres.session import Psql
from plugins.sources.postgres.tools import Found, Toolbox, Version
from strongroom import Cancelled, Context, SourceError, ToolFailed


class Restorer:
    """Restores through one server; `through` is the database for statements about databases."""

    def __init__(
        self, context: Context, tools: Toolbox, psql: Psql, through: str, *, restore_ownership: bool
    ) -> None:
        self._context = context
        self._tools = tools
        self._psql = psql
        self._through = through
        self._ownership = restore_ownership

    def restore(self, database: str, chunks: Iterable[bytes]) -> None:
        """Restore into a missing or empty database. What was made here is dropped again on any error."""
        archive, whole = peek(chunks)
        version = catalogue.server_version(self._psql, self._through)
        tool = self._tool_for(archive, version)
        made = not catalogue.exists(self._psql, self._through, database)
        if made:
            self._create(database, archive, version)
        try:
            if sets_what_is_unknown(tool.version, version):
                psql = self._tools.for_server("psql", tool.version)
                argv = [tool.path, *self._arguments(), "--file=-"]
                restore_through_psql(self._context, argv, psql, self._psql.connection, database, whole)
            else:
                self._directly(tool, database, whole, one_transaction=not made)
        except BaseException:
            if made:
                self._drop_after_failure(database)
            raise

    def _tool_for(self, archive: Archive, version: Version) -> Found:
        return self._tools.for_server("pg_restore", version, at_least=archive.readable_from)

    def _create(self, database: str, archive: Archive, version: Version) -> None:
        error: SourceError | None = None
        for options in archive.ways_to_create(version.major):
            try:
                # Copying template0 can take a while on a busy disk.
                sql = f"CREATE DATABASE {identifier(database)} {options};"
                self._psql.ask(self._through, sql, timeout=600)
                return
            except ToolFailed as failed:  # a locale that this server does not have
                error = error or failed
                if "already exists" in failed.message:
                    break
        assert error is not None  # noqa: S101 - there is always one way at least
        raise error

    def _arguments(self) -> list[str]:
        owners = [] if self._ownership else ["--no-owner", "--no-privileges"]
        return ["--exit-on-error", *owners]

    def _directly(
        self, tool: Found, database: str, chunks: Iterable[bytes], *, one_transaction: bool
    ) -> None:
        # One transaction keeps a database that was there as it was, should anything fail. One that was
        # made here is dropped instead, which costs the server no lock for each of its tables.
        argv = [tool.path, *self._arguments(), "--no-password", f"--dbname={conninfo(database)}"]
        if one_transaction:
            argv.insert(1, "--single-transaction")
        process = self._context.host.run(argv, env=self._psql.connection.environment(), stdin=True)
        with process:
            feed(process, chunks, self._context.cancel)
            process.close_stdin()
            status = process.wait()
            self._context.cancel.raise_if_cancelled()
            if status != 0:
                raise self._failed("pg_restore", status, process.stderr(), database)

    def _drop_after_failure(self, database: str) -> None:
        # The error that is under way says what happened. A cancelled host starts nothing any more: then
        # whoever asked for the restore drops what is left.
        with suppress(SourceError, Cancelled):
            drop(self._psql, self._through, database)

    def _failed(self, tool: str, status: int, stderr: str, database: str) -> SourceError:
        return failure(tool, status, stderr, self._psql.connection, database, remedy=REFUSED)


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
