"""Roles and tablespaces: the pseudo database "(globals)", dumped by pg_dumpall, restored by psql.

A restore makes what is missing. What is there already stays as it is, its password above all, unless that
is asked for; and the role that restores is never changed, for it would lock itself out. Roles are made in
one transaction; tablespaces cannot be, and come after.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from plugins.sources.postgres import catalogue, memberships
from plugins.sources.postgres.connection import conninfo, shown
from plugins.sources.postgres.entrance import Server
from plugins.sources.postgres.failures import failure
from plugins.sources.postgres.session import Session
from plugins.sources.postgres.statements import END, Globals, counted, parse
from plugins.sources.postgres.tools import Found
from strongroom import Dump, DumpIncomplete, Fingerprint, LogLevel, LogType, SourceError

NAME = "(globals)"
"""No database's name; a trial's is followed by an underscore."""
_MOST = 64 << 20
_SECRET = re.compile(r"(SCRAM-SHA-256\$|md5)[^'\s]+")


def is_globals(database: str) -> bool:
    """Whether that name means a server's roles and tablespaces, for real or for a trial."""
    return database == NAME or database.startswith(f"{NAME}_")


def reads_passwords(server: Server) -> bool:
    """Whether this login may read the passwords' hashes; managed servers let nobody."""
    sql = "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT');"
    return server.ask(sql)[0][0] == "t"


def dump_tool(server: Server) -> Found:
    """Raises `ToolMissing`."""
    return server.tools.for_server("pg_dumpall", server.version())


def begin_dump(server: Server, *, fingerprint: bool) -> Dump:
    """Start pg_dumpall. It ends well only with exit status 0 and its end mark."""
    tool = dump_tool(server)
    argv = [tool.path, "--globals-only", "--no-password", f"--database={conninfo(server.through())}"]
    if not reads_passwords(server):
        argv.append("--no-role-passwords")
    encoding = catalogue.client_encoding(server.psql, server.through())
    process = server.context.host.run(argv, env=server.connection.environment(encoding))
    text = bytearray()

    def chunks() -> Iterator[bytes]:
        for chunk in process:
            text.extend(chunk)
            yield chunk
        status = process.wait()
        server.context.cancel.raise_if_cancelled()
        if status != 0:
            raise failure("pg_dumpall", status, process.stderr(), server.connection, NAME)
        if END not in text[-400:]:
            raise DumpIncomplete(
                f"{tool.path} ended well, and its end mark is missing.",
                remedy="See whether it is PostgreSQL's own pg_dumpall.",
            )

    return Dump(
        chunks(),
        engine_version=str(server.version()),
        tool_version=f"pg_dumpall {tool.version}",
        fingerprint=(lambda: parse(bytes(text)).fingerprint()) if fingerprint else None,
        close=process.kill,
        details=" ".join(argv),
    )


def fingerprint(server: Server) -> Fingerprint:
    """What the server has now."""
    with begin_dump(server, fingerprint=True) as dump:
        for _ in dump:
            pass
        found = dump.fingerprint()
    assert found is not None  # noqa: S101 - it was asked for
    return found


def restore(
    server: Server,
    chunks: Iterable[bytes],
    *,
    trial: bool,
    anew: bool,
    before_commit: Callable[[], None] = lambda: None,
) -> Fingerprint:
    """Make what is missing; return what of the backup is on the server then.

    With `anew`, what is there is set as the backup has it. A `trial` sets everything anew in a transaction,
    counts within it, and rolls it back. Raises `SourceError`s; then no role has been made or changed.
    """
    found = parse(_whole(chunks))
    memberships.for_server(found, server.version())
    through = server.through()
    session = server.psql.session(through)
    try:
        with _without_secrets():
            session.ask("SET lock_timeout = '10s'; SET standard_conforming_strings = on; BEGIN;")
            missing = _tablespaces_missing(session, found)
            if trial and missing:
                raise SourceError(
                    f"A trial cannot make tablespaces, and {', '.join(map(repr, missing))} is not here.",
                    remedy="Make the tablespace, or drill on the server that was backed up.",
                )
            there = _names(session, "SELECT rolname FROM pg_catalog.pg_roles;")
            kept = [] if anew else sorted(found.roles.keys() & there)
            for text in _statements(session, found, there, anew=anew or trial):
                session.ask(text)
            if trial:
                seen = _seen(session, found)
                session.ask("ROLLBACK;")
                return seen
            before_commit()
            session.ask("COMMIT;")
            _make_tablespaces(session, found, missing, anew=anew)
            if kept:
                _say_kept(server, kept)
            return _seen(session, found)
    finally:
        session.close()


def _whole(chunks: Iterable[bytes]) -> bytes:
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > _MOST:
            raise DumpIncomplete(
                "What came is too large for roles and tablespaces.", remedy="Restore another backup."
            )
    return bytes(data)


def _say_kept(server: Server, roles: list[str]) -> None:
    more = f", and {len(roles) - 5} more" if len(roles) > 5 else ""
    server.context.log(
        f"There already, and left as they are: {shown(', '.join(roles[:5]))}{more}. Of these roles only the"
        " names are compared with the backup, and not their passwords and attributes.",
        LogLevel.INFO,
        LogType.GENERAL,
        "restore_existing_roles = true sets them as the backup has them.",
    )


def _statements(session: Session, found: Globals, there: set[str], *, anew: bool) -> Iterator[str]:
    me = _names(session, "SELECT current_user UNION SELECT session_user;")
    members = _members(session)
    for name, made in found.roles.items():
        if name not in there:
            yield made.text
    for about in found.about_roles:
        if about.name not in there or (anew and about.name not in me):
            yield about.text
    for pair, texts in found.memberships.items():
        if anew or pair not in members:
            yield from texts
    yield from found.grants


def _make_tablespaces(session: Session, found: Globals, missing: list[str], *, anew: bool) -> None:
    for name in missing:
        try:
            session.ask(found.tablespaces[name].text)
        except SourceError as error:
            raise SourceError(
                f"The roles have been made, and the tablespace {name!r} could not be: {error.message}",
                remedy="Make its folder on the server's machine, empty and owned by the server's user, and"
                " restore again.",
            ) from error
    for about in found.about_tablespaces:
        if anew or about.name in missing:
            session.ask(about.text)


def _tablespaces_missing(session: Session, found: Globals) -> list[str]:
    there = _names(session, "SELECT spcname FROM pg_catalog.pg_tablespace;")
    return [name for name in found.tablespaces if name not in there]


def _seen(session: Session, found: Globals) -> Fingerprint:
    roles = _names(session, "SELECT rolname FROM pg_catalog.pg_roles;")
    spaces = _names(session, "SELECT spcname FROM pg_catalog.pg_tablespace;")
    return counted(
        found.roles.keys() & roles,
        found.memberships.keys() & _members(session),
        found.tablespaces.keys() & spaces,
    )


def _names(session: Session, sql: str) -> set[str]:
    return {name for (name,) in session.ask(sql)}


def _members(session: Session) -> set[tuple[str, str]]:
    sql = (
        "SELECT pg_catalog.pg_get_userbyid(roleid), pg_catalog.pg_get_userbyid(member)"
        " FROM pg_catalog.pg_auth_members;"
    )
    return {(role, member) for role, member in session.ask(sql, fields=2)}


@contextmanager
def _without_secrets() -> Iterator[None]:
    """psql may repeat the line that failed, and with it a password's hash."""
    try:
        yield
    except SourceError as error:
        error.message = _SECRET.sub("********", error.message)
        error.args = (error.message,)
        raise
