"""What is said, or refused, before a backup is fetched."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import strongroom
from plugins.sources.postgres import preflight
from plugins.sources.postgresql import PostgreSQL
from strongroom import BackupFacts
from tests.parts.postgres import Server, newest_alone, server_folder

Open = Callable[..., PostgreSQL]


def facts(
    format: str = "dump", engine: str = "15.18", tool: str = "pg_dump 15.18", size: int = 1000
) -> BackupFacts:
    return BackupFacts("shop", "postgresql", engine, tool, format, size)


@newest_alone
def test_nothing_is_in_the_way(server: Server, open_on: Open) -> None:
    assert open_on(server).preflight("copy", facts()) == ()
    server.create_database("hollow")
    assert open_on(server).preflight("hollow", facts("dir.tar")) == ()


def test_tools_that_cannot_read_the_archive_are_told(old: Server, open_on: Open) -> None:
    source = open_on(old, tools=str(server_folder(15)))
    assert source.preflight("copy", facts(tool="pg_dump 14.2")) == ()
    for tool in ("pg_dump 18.6", "pg_dump 17.0"):
        with pytest.raises(strongroom.ToolMissing, match="pg_restore 17 or newer"):
            source.preflight("copy", facts(tool=tool))
    assert open_on(old).preflight("copy", facts(tool="pg_dump 18.6")) == ()


def test_an_older_server_is_warned_of(old: Server, open_on: Open) -> None:
    (note,) = open_on(old).preflight("copy", facts(engine="18.6", tool="pg_dump 18.6"))
    assert "of PostgreSQL 18.6 and the server is 15." in note


def test_rights_are_looked_for(server: Server, open_on: Open) -> None:
    server.sql("postgres", "CREATE ROLE tenant LOGIN PASSWORD 'pw'")
    tenant = {"user": "tenant", "password": "pw", "restore_owner": False}
    server.create_database("hollow")
    with pytest.raises(strongroom.SourceError, match="'tenant' may not create databases") as caught:
        open_on(server, **tenant).preflight("copy", facts())
    assert "CREATEDB" in caught.value.remedy
    assert "restore_clean" in caught.value.remedy
    with pytest.raises(strongroom.SourceError, match="may not create anything in 'hollow'"):
        open_on(server, **tenant).preflight("hollow", facts())
    with pytest.raises(strongroom.SourceError, match="may not make roles"):
        open_on(server, **tenant).preflight("(globals)", facts("sql"))
    server.sql("postgres", "ALTER ROLE tenant CREATEDB CREATEROLE")
    assert open_on(server, **tenant).preflight("copy", facts()) == ()
    (note,) = open_on(server, **tenant).preflight("(globals)", facts("sql"))
    assert "stay as they are" in note
    (note,) = open_on(server, **{**tenant, "restore_owner": True}).preflight("copy", facts())
    assert "restore_owner = false" in note
    server.create_database("filled", "CREATE TABLE t (a int)")
    (note,) = open_on(server, **tenant).preflight("filled", facts())
    assert "pg_signal_backend" in note
    (note,) = open_on(server, **tenant, restore_clean=True).preflight("filled", facts())
    assert "no old database is kept" in note


@newest_alone
def test_rows_alone_want_tables(server: Server, open_on: Open) -> None:
    server.create_database("filled", "CREATE TABLE t (a int)")
    for target, clean in (("copy", True), ("filled", False)):
        with pytest.raises(strongroom.SourceError, match="rows and no tables"):
            open_on(server, restore_clean=clean).preflight(target, facts("data.dump"))
    (note,) = open_on(server, restore_clean=True).preflight("filled", facts("data.dump"))
    assert "replaced by the backup's" in note


@newest_alone
def test_a_server_is_no_database(server: Server, open_on: Open) -> None:
    for target, format in (("copy", "sql"), ("(globals)", "dump")):
        with pytest.raises(strongroom.ConfigError, match="belong to a server"):
            open_on(server).preflight(target, facts(format))


@newest_alone
def test_room_for_unpacking_is_looked_for(
    server: Server, open_on: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "room", lambda host: 1 << 30)
    large = 1 << 31
    assert open_on(server).preflight("copy", facts(size=large)) == ()
    for source, format in ((open_on(server), "dir.tar"), (open_on(server, restore_jobs=2), "dump")):
        with pytest.raises(strongroom.SourceError, match="2,048 MiB, of which 1,024 MiB"):
            source.preflight("copy", facts(format, size=large))
