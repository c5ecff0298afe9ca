"""Start a restored cluster where nobody can reach it, read every row of it, and end it.

The server listens on a socket inside its own folder alone, archives nothing, replicates nothing, loads no
library that its configuration names, and writes without care for a power cut: the folder goes anyway.
PostgreSQL does not run as root: as root it runs as the system's user postgres or nobody.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from plugins.sources.postgres import catalogue
from plugins.sources.postgres.cluster import major_of
from plugins.sources.postgres.connection import Connection
from plugins.sources.postgres.failures import last_words
from plugins.sources.postgres.session import Psql
from plugins.sources.postgres.tools import Found, Toolbox
from strongroom import Cancelled, ConnectionFailed, Context, Process, SourceError, ToolFailed

_LIMIT = 4 * 3600.0  # seconds for the recovery
_STEP = 0.1  # seconds between two looks whether it is ready
_MOST_SOCKET = 100  # bytes: the kernel takes 107, and the file's name comes on top

_SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "logging_collector": "off",
    "log_destination": "stderr",
    "lc_messages": "C",
    "archive_mode": "off",
    "shared_preload_libraries": "",
    "session_preload_libraries": "",
    "local_preload_libraries": "",
    "max_logical_replication_workers": "0",
    "max_prepared_transactions": "1000",
    "max_connections": "10",
    "autovacuum": "off",
    "ssl": "off",
    "fsync": "off",
    "huge_pages": "try",
    "shared_buffers": "64MB",
    "external_pid_file": "",
    "jit": "off",
}
"""Given on the command line, where they go before postgresql.auto.conf of the backup."""


@dataclass(frozen=True, slots=True)
class Read:
    """What a started cluster held."""

    server: str
    databases: int
    tables: int
    rows: int

    def words(self) -> str:
        return (
            f"PostgreSQL {self.server} recovered to a consistent state; every row was read:"
            f" {self.databases:,} databases, {self.tables:,} tables, {self.rows:,} rows."
        )


def read_all(context: Context, tools: Toolbox, folder: str, user: str) -> Read:
    """Start the cluster, count every table of every database, and end it. Raises `SourceError`s."""
    major = major_of(context, folder)
    binary, control = tools.exactly("postgres", major), tools.exactly("pg_ctl", major)
    psql_tool = tools.newest("psql")
    with _started(context, binary, control, folder) as process:
        psql = _ready(context, process, psql_tool, folder, user)
        return _count(psql, str(binary.version))


def _count(psql: Psql, server: str) -> Read:
    rows = psql.ask(
        "template1",
        "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND datname <> 'template1';",
    )
    tables = total = 0
    for (name,) in rows:
        session = psql.session(name)
        try:
            session.begin_snapshot()
            found = catalogue.tables(session, catalogue.server_version(psql, name))
            # Each that has rows of its own, as if it were a partition of none: those by hash are read too.
            plain = {oid: each._replace(parent="") for oid, each in found.items() if each.kind == "r"}
            counted = catalogue.count_rows(session, plain)
        finally:
            session.close()
        tables += len(found)
        total += sum(counted.tables.values())
    return Read(server, len(rows), tables, total)


def _ready(context: Context, process: Process, tool: Found, folder: str, user: str) -> Psql:
    """Wait until the recovery is done; return psql as the cluster's own superuser."""

    def asking(role: str) -> Psql:
        connection = Connection(folder, 5432, role, ssl_mode="disable")
        return Psql(context.host, tool, connection, context.cancel)

    waited = 0.0
    while True:
        with suppress(TimeoutError):
            raise _did_not_start(process.wait(0), process.stderr())
        try:
            sql = "SELECT pg_catalog.pg_is_in_recovery(), rolname FROM pg_catalog.pg_roles WHERE oid = 10;"
            recovering, boss = asking(user).ask("template1", sql, fields=2)[0]
            if recovering == "f":
                return asking(boss)
        except ConnectionFailed as error:
            if "has no role" in error.message:
                raise
        if waited > _LIMIT:
            raise ToolFailed(
                f"The restored cluster was not ready after {_LIMIT / 3600:.0f} hours.",
                remedy="Start it by hand, and see what it does.",
            )
        waited += _STEP
        context.cancel.wait(_STEP)
        context.cancel.raise_if_cancelled()


def _did_not_start(status: int, said: str) -> SourceError:
    if "Permission denied" in said or "could not create" in said:
        return SourceError(
            f"The restored cluster could not be started here: {last_words(said)}",
            remedy="See whether the system's user postgres may reach PostgreSQL's programs and the folder for"
            " drills (scratch_directory).",
        )
    return ToolFailed(
        f"The restored cluster did not start (exit status {status}): {last_words(said)}",
        remedy="Drill another backup, and verify this one.",
        exit_status=status,
    )


@contextmanager
def _started(context: Context, binary: Found, control: Found, folder: str) -> Iterator[Process]:
    if len(folder.encode()) > _MOST_SOCKET:
        raise SourceError(
            f"{folder} is too long a name for a server's socket.",
            remedy="Choose a shorter scratch_directory.",
        )
    host = context.host
    hba = posixpath.join(folder, "strongroom.hba")
    conf = posixpath.join(folder, "strongroom.conf")
    host.write_file(hba, [b"local all all trust\n"])
    host.write_file(conf, [b"# Made for a drill.\n"])
    # A backup of a standby would go on being one, and wait for its primary for ever.
    host.capture(["rm", "-f", "--", f"{folder}/standby.signal", f"{folder}/recovery.signal"])
    account = _account(context)
    if account:
        uid, gid = account
        done = host.capture(["chown", "-R", f"{uid}:{gid}", "--", folder], timeout=3600)
        if done.exit_status != 0:
            raise SourceError(f"{folder} could not be given to PostgreSQL's user: {done.stderr.strip()}")
    settings = {
        **_SETTINGS,
        "data_directory": folder,
        "hba_file": hba,
        "ident_file": hba,
        "unix_socket_directories": folder,
    }
    argv = [*_as(account), binary.path, f"--config_file={conf}"]
    argv += [text for name, value in settings.items() for text in ("-c", f"{name}={value}")]
    with host.run(argv, env={"LC_ALL": "C"}) as process:
        try:
            yield process
        finally:
            # Asked to stop at once it leaves no memory behind. After a cancel nothing is started any more:
            # leaving the block asks it then.
            with suppress(SourceError, Cancelled, TimeoutError):
                _stop(context, control, account, folder)
                process.wait(5)


def end(context: Context, tools: Toolbox, folder: str) -> None:
    """End the server of a drill that was cut off, if one still runs in the folder."""
    if context.host.exists(posixpath.join(folder, "postmaster.pid")):
        control = tools.exactly("pg_ctl", major_of(context, folder))
        _stop(context, control, _account(context), folder)


def _stop(context: Context, control: Found, account: tuple[str, str] | None, folder: str) -> None:
    argv = [*_as(account), control.path, "stop", "-m", "immediate", "-D", folder, "-t", "30"]
    context.host.capture(argv, env={"LC_ALL": "C"})


def _as(account: tuple[str, str] | None) -> list[str]:
    if account is None:
        return []
    return ["setpriv", f"--reuid={account[0]}", f"--regid={account[1]}", "--clear-groups", "--"]


def _account(context: Context) -> tuple[str, str] | None:
    """The user and group ID to run the server as; None for ourselves."""

    def number(*words: str) -> str:
        done = context.host.capture(["id", *words])
        return done.stdout.decode().strip() if done.exit_status == 0 else ""

    if number("-u") != "0":
        return None
    for name in ("postgres", "nobody"):
        if (uid := number("-u", name)) and (gid := number("-g", name)):
            if context.host.which("setpriv") is None:
                break
            return uid, gid
    raise SourceError(
        "PostgreSQL refuses to run as root, and there is no other user to start the restored cluster as.",
        remedy="Make a system user postgres (and have util-linux's setpriv), or drill as a plain user.",
    )
