"""Databases whose bytes are in no encoding that the server knows: dumped and restored byte by byte."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from plugins.sources.postgresql import PostgreSQL
from strongroom.testing import Surroundings
from strongroom.testing.laboratory import dumped
from tests.parts.postgres import Server

Open = Callable[..., PostgreSQL]

LEGACY = """
DO $$ DECLARE big text := convert_from('\\x4772f6df65', 'SQL_ASCII'); BEGIN
  EXECUTE format('CREATE TABLE %I (%I int, t text)', big, convert_from('\\xe4', 'SQL_ASCII'));
  EXECUTE format('INSERT INTO %I VALUES (1, %L), (2, %L)', big, convert_from('\\xc4ff80', 'SQL_ASCII'), 'a');
  EXECUTE format('COMMENT ON TABLE %I IS %L', big, convert_from('\\xe9', 'SQL_ASCII'));
  CREATE TABLE parted (t text) PARTITION BY LIST (t);
  EXECUTE format('CREATE TABLE %I PARTITION OF parted DEFAULT', convert_from('\\x70f6', 'SQL_ASCII'));
  INSERT INTO parted VALUES (convert_from('\\xfe', 'SQL_ASCII'));
END $$;
"""


def held(server: Server, database: str) -> str:
    """All names and rows, as digits."""
    return server.sql(
        database,
        "CREATE FUNCTION pg_temp.rows(name text) RETURNS text LANGUAGE plpgsql AS $$ DECLARE found text;"
        " BEGIN EXECUTE format('SELECT string_agg(encode(convert_to(t, %L), %L), %L ORDER BY t) FROM %I',"
        "                'SQL_ASCII', 'hex', ',', name) INTO found; RETURN found; END $$;"
        "SELECT encode(convert_to(relname, 'SQL_ASCII'), 'hex'), pg_temp.rows(relname),"
        " encode(convert_to(obj_description(oid), 'SQL_ASCII'), 'hex') FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY relname",
    )


@pytest.fixture
def legacy(server: Server) -> str:
    options = "TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
    return server.create_database("legacy", LEGACY, options=options)


@pytest.mark.parametrize("format", ["custom", "directory"])
@pytest.mark.parametrize("content", ["all", "data"])
def test_bytes_in_no_encoding_come_back(
    server: Server, open_on: Open, legacy: str, around: Surroundings, format: str, content: str
) -> None:
    before = held(server, legacy)
    assert all(digits in before for digits in ("4772f6df65", "c4ff80", "e9", "fe"))
    source = open_on(server, databases=[legacy], format=format, content=content, restore_clean=True)
    assert source.check().databases == (legacy,)
    chunks, counted = dumped(source, legacy)
    assert counted.consistent
    assert dict(counted.tables) == {"public.Gr\\xf6\\xdfe": 2, "public.p\\xf6": 1, "public.parted": 1}
    json.dumps(dict(counted.tables), ensure_ascii=False).encode()  # as in a sidecar
    if content == "all":
        source.restore("copy", chunks)
        assert held(server, "copy") == before
        assert server.sql("copy", "SHOW server_encoding") == "SQL_ASCII"
        assert counted.differences(source.fingerprint("copy")) == []
    server.sql(legacy, "DELETE FROM parted; CREATE TABLE later (t text)")
    source.restore(legacy, chunks)
    assert counted.differences(source.fingerprint(legacy)) == []
    server.sql(legacy, "DROP TABLE later")
    assert held(server, legacy) == before
    for text, _ in around.log:
        text.encode()


def test_chosen_tables_may_have_names_in_no_encoding(server: Server, open_on: Open, legacy: str) -> None:
    source = open_on(server, databases=[legacy], tables=["parted", "Gr*"])
    assert source.check().databases == (legacy,)
    chunks, counted = dumped(source, legacy)
    assert len(counted.tables) == 3
    source.restore("copy", chunks)
    assert held(server, "copy") == held(server, legacy)


def test_bytes_in_no_encoding_go_down_to_an_older_server(old: Server, new: Server, open_on: Open) -> None:
    options = "TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
    new.create_database("legacy", LEGACY, options=options)
    chunks, counted = dumped(open_on(new), "legacy")
    target = open_on(old)
    target.restore("legacy", chunks)
    assert held(old, "legacy") == held(new, "legacy")
    assert counted.differences(target.fingerprint("legacy")) == []
