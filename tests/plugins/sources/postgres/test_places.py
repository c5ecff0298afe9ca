"""Where and how a database is made: its tablespace, and what is said where the server lacks its locale."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plugins.sources.postgresql import PostgreSQL
from strongroom.testing import Surroundings
from strongroom.testing.laboratory import dumped
from tests.parts.postgres import Server, newest_alone

Open = Callable[..., PostgreSQL]
ROWS = "CREATE TABLE t AS SELECT 1 AS a"


@pytest.fixture
def fast(server: Server) -> Iterator[str]:
    """A tablespace of the server's."""
    folder = Path(tempfile.mkdtemp(prefix="ts-", dir="/tmp"))
    owner = server.data.stat()
    os.chown(folder, owner.st_uid, owner.st_gid)
    server.sql("postgres", f"CREATE TABLESPACE \"fa st\" LOCATION '{folder}'")
    yield '"fa st"'
    server.clean()
    server.sql("postgres", 'DROP TABLESPACE IF EXISTS "fa st"')
    shutil.rmtree(folder)


def place_of(server: Server, database: str) -> str:
    sql = "SELECT spcname FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace WHERE datname = "
    return server.sql("postgres", f"{sql}'{database}'")


def test_a_database_is_made_in_its_tablespace(
    server: Server, open_on: Open, fast: str, around: Surroundings
) -> None:
    server.create_database("shop", ROWS, options=f"TEMPLATE template0 TABLESPACE {fast}")
    source = open_on(server)
    chunks, _ = dumped(source, "shop")
    source.restore("copy", chunks)
    assert place_of(server, "copy") == "fa st"
    server.clean()
    server.sql("postgres", f"DROP TABLESPACE {fast}")
    source.restore("copy", chunks)
    assert place_of(server, "copy") == "pg_default"
    assert any("'fa st': the server has none" in text for text, _ in around.log)


def test_what_replaces_a_database_is_in_its_tablespace(
    server: Server, open_on: Open, fast: str, around: Surroundings
) -> None:
    server.create_database("shop", ROWS)
    source = open_on(server)
    chunks, _ = dumped(source, "shop")
    server.sql("postgres", f"ALTER DATABASE shop SET TABLESPACE {fast}")
    source.restore("built", chunks)
    source.replace("built", "shop")
    assert place_of(server, "shop") == "fa st"
    assert server.rows("shop") == {"public.t": ["(1)"]}


@newest_alone
def test_a_tablespace_that_is_closed_to_the_user_is_said(
    server: Server, open_on: Open, fast: str, around: Surroundings
) -> None:
    server.sql("postgres", "CREATE ROLE tenant LOGIN PASSWORD 'pw' CREATEDB")
    server.create_database("shop", ROWS, options="TEMPLATE template0 OWNER tenant")
    server.sql("shop", "ALTER TABLE t OWNER TO tenant")
    source = open_on(server, user="tenant", password="pw")
    chunks, _ = dumped(source, "shop")
    server.sql("postgres", f"ALTER DATABASE shop SET TABLESPACE {fast}")
    source.restore("built", chunks)
    source.replace("built", "shop")
    assert place_of(server, "shop") == "pg_default"
    assert any("stays in 'pg_default'" in text for text, _ in around.log)
    server.clean()


def test_a_locale_that_is_not_there_is_said(
    old: Server, new: Server, open_on: Open, around: Surroundings
) -> None:
    builtin = "TEMPLATE template0 LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"
    new.create_database("shop", ROWS, options=builtin)
    chunks, _ = dumped(open_on(new), "shop")
    open_on(new).restore("same", chunks)
    assert not any("locale" in text for text, _ in around.log)
    open_on(old).restore("shop", chunks)
    (said,) = [text for text, _ in around.log if "locale of the backup" in text]
    assert "LOCALE_PROVIDER = builtin" in said
    assert "made with libc, LC_COLLATE = C.UTF-8" in said
