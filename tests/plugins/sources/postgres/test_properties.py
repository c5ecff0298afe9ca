"""What belongs to a database itself comes back with it: owner, settings, limit, comment and rights."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import strongroom
from plugins.sources.postgres.contents import Contents, OfDatabase
from plugins.sources.postgres.properties import properties_of
from plugins.sources.postgresql import PostgreSQL
from strongroom.testing import Surroundings
from strongroom.testing.laboratory import dumped
from tests.parts.postgres import Server, newest_alone

Open = Callable[..., PostgreSQL]
ROLES = 'CREATE ROLE keeper; CREATE ROLE "a visitor"'
MAKE = """
ALTER DATABASE {0} OWNER TO keeper;
ALTER DATABASE {0} CONNECTION LIMIT 7;
COMMENT ON DATABASE {0} IS E'it''s the \\\\ shop; DROP DATABASE "ö"\\n--';
ALTER DATABASE {0} SET search_path = "$user", public, "o ther";
ALTER DATABASE {0} SET work_mem = '5MB';
ALTER DATABASE {0} SET "my.Own" = E'it''s \\\\ mine';
ALTER ROLE "a visitor" IN DATABASE {0} SET statement_timeout = '9s';
REVOKE ALL ON DATABASE {0} FROM PUBLIC;
GRANT CONNECT ON DATABASE {0} TO "a visitor" WITH GRANT OPTION;
GRANT CREATE ON DATABASE {0} TO "a visitor";
"""


_ABOUT = (
    "SELECT pg_get_userbyid(datdba), datconnlimit, shobj_description(oid, 'pg_database'), datacl::text,"
    " (SELECT string_agg(setrole::regrole::text || s.setconfig::text, ' ' ORDER BY setrole)"
    "  FROM pg_db_role_setting s WHERE setdatabase = d.oid) FROM pg_database d WHERE datname = "
)


def about(server: Server, database: str) -> str:
    return server.sql("postgres", _ABOUT + "'" + database.replace("'", "''") + "'")


@pytest.fixture
def shop(server: Server) -> str:
    server.sql("postgres", ROLES)
    name = server.create_database("the shop", "CREATE TABLE t AS SELECT 1 AS a")
    server.sql("postgres", MAKE.format('"the shop"'))
    return name


@pytest.mark.parametrize("format", ["custom", "directory"])
@pytest.mark.parametrize("target", ["the shop", 'an"other'])
def test_a_database_that_was_lost_has_what_belonged_to_it(
    server: Server, open_on: Open, shop: str, around: Surroundings, format: str, target: str
) -> None:
    before = about(server, shop)
    assert all(word in before for word in ("keeper", "|7|", "DROP DATABASE", "a visitor", "o ther", "mine"))
    chunks, _ = dumped(open_on(server, format=format), shop)
    server.drop_database(shop)
    plain = server.create_database("plain")
    source = open_on(server)
    source.restore("built", chunks)
    # So it is for a drill, which never gives a name: nothing opens or closes a login to it.
    assert about(server, "built") == about(server, plain)
    assert source.replace("built", target) is None
    assert about(server, target) == before
    assert about(server, plain) != before
    assert not any("could be set" in text for text, _ in around.log)


@newest_alone
def test_owners_and_rights_are_left_out_on_demand(server: Server, open_on: Open, shop: str) -> None:
    before = about(server, shop).split("|")
    chunks, _ = dumped(open_on(server), shop)
    for owner, rights in ((False, True), (True, False)):
        source = open_on(server, restore_owner=owner, restore_privileges=rights)
        source.restore("built", chunks)
        source.replace("built", "copy")
        found = about(server, "copy").split("|")
        assert found[0] == ("keeper" if owner else "postgres")
        assert ("a visitor" in found[3]) is rights
        assert (found[1:3], found[4:]) == (before[1:3], before[4:])
        server.drop_database("copy")


def test_roles_that_are_not_there_are_named_and_the_rest_is_done(
    server: Server, open_on: Open, shop: str, around: Surroundings
) -> None:
    chunks, _ = dumped(open_on(server), shop)
    server.drop_database(shop)
    server.sql("postgres", 'DROP ROLE keeper; DROP ROLE "a visitor"')
    source = open_on(server)
    source.restore("built", chunks)
    source.replace("built", shop)
    server.sql("postgres", "CREATE ROLE stranger")
    may = "SELECT has_database_privilege('stranger', 'the shop', 'CONNECT')"
    assert server.sql("postgres", may) == "f", "what was closed to everybody stays so"
    assert "|7|" in about(server, shop)
    said = next(text for text, level in around.log if "could be set" in text)
    assert "owner keeper" in said
    assert "a visitor" in said


def test_over_an_old_one_the_old_ones_stay(server: Server, open_on: Open, shop: str) -> None:
    source = open_on(server)
    chunks, _ = dumped(source, shop)
    server.sql(
        "postgres", 'ALTER DATABASE "the shop" CONNECTION LIMIT 9; ALTER DATABASE "the shop" RESET ALL'
    )
    before = about(server, shop)
    source.restore("built", chunks)
    assert source.replace("built", shop) is not None
    assert about(server, shop) == before


@newest_alone
def test_rights_that_cannot_be_set_fail_the_restore(server: Server, open_on: Open) -> None:
    server.create_database("built")
    source = open_on(server)
    source._new["built"] = held("GRANT CONNECT ON DATABASE shop TO PUBLIC WITH GRANT OPTION;", kind="ACL")
    with pytest.raises(strongroom.SourceError, match="rights of the database") as caught:
        source.replace("built", "copy")
    assert "restore_privileges" in caught.value.remedy
    assert "copy" not in server.databases()


@newest_alone
@pytest.mark.parametrize("inherit", [True, False])
def test_a_user_who_is_no_superuser_gives_what_it_may(
    server: Server, open_on: Open, shop: str, around: Surroundings, inherit: bool
) -> None:
    server.sql("postgres", "CREATE ROLE tenant LOGIN PASSWORD 'pw' CREATEDB")
    server.sql("postgres", f"GRANT keeper TO tenant WITH INHERIT {inherit}")
    server.sql(shop, "ALTER TABLE t OWNER TO tenant")
    before = about(server, shop).split("|")
    chunks, _ = dumped(open_on(server), shop)
    server.drop_database(shop)
    source = open_on(server, user="tenant", password="pw")
    source.restore("built", chunks)
    source.replace("built", shop)
    found = about(server, shop).split("|")
    if inherit:
        assert found[:4] == before[:4]
    assert found[1:3] == before[1:3]
    server.sql("postgres", "CREATE ROLE stranger")
    may = "SELECT has_database_privilege('stranger', 'the shop', 'CONNECT')"
    assert server.sql("postgres", may) == "f"
    said = next(text for text, level in around.log if "could be set" in text)
    assert "setting statement_timeout of a visitor" in said
    assert ("owner keeper" in said) is not inherit


def held(*texts: str, kind: str = "DATABASE PROPERTIES", conforming: bool = True) -> Contents:
    return Contents((), tuple(OfDatabase(kind, "", text) for text in texts), conforming)


@pytest.mark.parametrize(
    "evil",
    [
        "ALTER DATABASE shop RENAME TO other;",
        "ALTER DATABASE shop OWNER TO boss;",
        "ALTER ROLE boss SUPERUSER;",
        "ALTER ROLE boss SET work_mem TO '1MB';",
        "ALTER DATABASE shop SET work_mem TO DEFAULT;",
        "ALTER DATABASE shop CONNECTION LIMIT = 7 ALLOW_CONNECTIONS = false;",
        "GRANT boss TO visitor;",
        "GRANT CONNECT ON DATABASE shop, other TO visitor;",
        "GRANT CONNECT ON TABLE t TO visitor;",
        "GRANT CONNECT, SELECT ON DATABASE shop TO visitor;",
        "COMMENT ON DATABASE shop IS 'a' || 'b';",
        "DROP DATABASE other;",
        "\\! touch /tmp/strongroom-owned\n",
        "ALTER DATABASE shop SET work_mem TO E'\\x41';",
        "ALTER DATABASE shop",
    ],
)
def test_what_pg_dump_does_not_write_is_left_out_and_named(evil: str) -> None:
    found = properties_of(held(evil))
    assert found.each == ()
    assert len(found.unknown) == 1


def test_a_statement_means_the_wanted_database_alone() -> None:
    texts = (
        "ALTER DATABASE other SET search_path TO 'a', 'b';",
        'ALTER ROLE "x y" IN DATABASE "oth""er" SET "my.own" TO \'1\';',
        "REVOKE GRANT OPTION FOR ALL ON DATABASE other FROM PUBLIC;",
        "SET SESSION AUTHORIZATION ann; GRANT TEMPORARY ON DATABASE other TO ann;"
        " RESET SESSION AUTHORIZATION;",
    )
    assert [each.sql('sh"op') for each in properties_of(held(*texts)).each] == [
        'ALTER DATABASE "sh""op" SET "search_path" TO \'a\', \'b\';',
        'ALTER ROLE "x y" IN DATABASE "sh""op" SET "my.own" TO \'1\';',
        'REVOKE GRANT OPTION FOR ALL ON DATABASE "sh""op" FROM PUBLIC;',
        'GRANT TEMPORARY ON DATABASE "sh""op" TO "ann";',
    ]


@pytest.mark.parametrize(
    ("text", "conforming", "value"),
    [(r"'a\b'", True, r"E'a\\b'"), (r"'a\\b''c'", False, r"E'a\\b''c'"), (r"E'a\\b'", True, r"E'a\\b'")],
)
def test_backslashes_mean_what_they_meant(text: str, conforming: bool, value: str) -> None:
    (each,) = properties_of(held(f"COMMENT ON DATABASE s IS {text};", conforming=conforming)).each
    assert each.sql("x") == f'COMMENT ON DATABASE "x" IS {value};'


def test_an_archive_that_cannot_be_read_says_so() -> None:
    assert "could not be read" in properties_of(None).unknown[0]
