"""What of a database is dumped: the lists, as pg_dump takes them and as the fingerprint counts them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import strongroom
from engine.contract.config import build
from engine.errors import ConfigError
from plugins.sources.postgres.choosing import parse_name, parse_table
from plugins.sources.postgresql import PostgreSQL
from strongroom.testing.laboratory import dumped
from tests.parts.postgres import Server, newest_alone

Open = Callable[..., PostgreSQL]
both_formats = pytest.mark.parametrize("format", ["custom", "directory"])


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("orders", '*."orders"'),
        ("app.Orders", '"app"."Orders"'),
        ("app.order_*", '"app"."order_"*'),
        ("my app.big table", '"my app"."big table"'),
        ('"a.b".c', '"a.b"."c"'),
        ('app."we""ird.*"', '"app"."we""ird.*"'),
        ('app.5" disks', '"app"."5"" disks"'),
        ("*.t?", '*."t"?'),
    ],
)
def test_a_table_goes_to_pg_dump_in_quotes(given: str, text: str) -> None:
    assert parse_table(given).text == text


def test_a_schemas_dot_is_its_own() -> None:
    assert parse_name("a.b").text == '"a.b"'
    assert parse_name("a.b").fits("a.b")
    assert not parse_name("a.b").fits("axb")


@pytest.mark.parametrize("given", ["", "a.b.c", 'a."b', "a.", '""'])
def test_what_names_no_table_is_refused(given: str) -> None:
    with pytest.raises(ConfigError):
        build(PostgreSQL.Config, {"tables": [given]})


def test_tables_and_schemas_at_once_are_refused() -> None:
    with pytest.raises(ConfigError, match="not both"):
        build(PostgreSQL.Config, {"tables": ["a.b"], "schemas": ["c"]})


SHOP = """
CREATE SCHEMA app; CREATE SCHEMA "Audit.Log"; CREATE SCHEMA other;
CREATE TYPE app.mood AS ENUM ('glad', 'sad');
CREATE TABLE app.orders AS SELECT g AS a FROM generate_series(1, 10) g;
CREATE TABLE app."Orders" AS SELECT g AS a FROM generate_series(1, 20) g;
CREATE TABLE app."big table" AS SELECT g AS a FROM generate_series(1, 30) g;
CREATE TABLE app.cache_1 AS SELECT g AS a FROM generate_series(1, 40) g;
CREATE TABLE app.cache_2 AS SELECT g AS a FROM generate_series(1, 50) g;
CREATE TABLE "Audit.Log"."we""ird.$1" AS SELECT g AS a FROM generate_series(1, 60) g;
CREATE TABLE other.parted (a int) PARTITION BY RANGE (a);
CREATE TABLE other.low PARTITION OF other.parted FOR VALUES FROM (0) TO (10);
CREATE TABLE app.high PARTITION OF other.parted FOR VALUES FROM (10) TO (100);
INSERT INTO other.parted SELECT g FROM generate_series(0, 99) g;
SELECT lo_create(4711);
"""
ALL = {
    "app.orders": 10,
    "app.Orders": 20,
    "app.big table": 30,
    "app.cache_1": 40,
    "app.cache_2": 50,
    '"Audit.Log"."we""ird.$1"': 60,
    "other.parted": 100,
    "other.low": 10,
    "app.high": 90,
}


def but(*names: str, **rows: int) -> dict[str, int]:
    return {
        name: rows.get(name.rpartition(".")[2], count) for name, count in ALL.items() if name not in names
    }


PARTED = ("other.parted", "other.low", "app.high")


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"schemas": ["app", "othe?"]}, but('"Audit.Log"."we""ird.$1"')),
        ({"exclude_schemas": ["app", "Aud*"]}, {"other.parted": 10, "other.low": 10}),  # high is in app
        (
            {
                "tables": [
                    "app.Orders",
                    "big table",
                    'Audit.Log."we""ird.$1"'.replace("Audit.Log", '"Audit.Log"'),
                ]
            },
            {"app.Orders": 20, "app.big table": 30, '"Audit.Log"."we""ird.$1"': 60},
        ),
        ({"tables": ["other.parted"]}, {"other.parted": 100, "other.low": 10, "app.high": 90}),
        (
            {"tables": ["app.*"], "exclude_tables": ["*.cache_?", "orders", "high"]},
            {"app.Orders": 20, "app.big table": 30},
        ),
        ({"exclude_tables": ["app.cache_*", "parted"]}, but("app.cache_1", "app.cache_2", *PARTED)),
        (
            {"exclude_table_data": ["Orders", "other.parted"]},
            but(Orders=0, parted=0, low=0, high=0),
        ),
        ({"content": "schema"}, dict.fromkeys(ALL, 0)),
    ],
    ids=lambda value: " ".join(value) if "app.orders" not in value else "",
)
def test_what_is_counted_is_what_is_restored(
    server: Server, open_on: Open, values: dict[str, object], wanted: dict[str, int]
) -> None:
    server.create_database("shop", SHOP)
    source = open_on(server, databases=["shop"], **values)
    assert source.check().databases == ("shop",)
    chunks, counted = dumped(source, "shop")
    assert counted.consistent
    assert dict(counted.tables) == wanted
    plain = open_on(server)
    plain.restore("copy", chunks)
    # What pg_restore made, counted by other means, is what was counted in the dump.
    rows = {name: len(rows) for name, rows in server.rows("copy").items()}
    low = rows.get("other.low", 0)
    assert sorted(count for name, count in rows.items() if name != "other.parted") == sorted(
        count for name, count in wanted.items() if name != "other.parted"
    )
    assert low == wanted.get("other.low", 0)
    assert counted.differences(plain.fingerprint("copy")) == []


@pytest.mark.parametrize("values", [{"tables": ["app.orders", "app.gone"]}, {"schemas": ["app", "gone"]}])
def test_what_is_chosen_and_not_there_fails(server: Server, open_on: Open, values: dict[str, object]) -> None:
    server.create_database("shop", SHOP)
    source = open_on(server, databases=["shop"], **values)
    with pytest.raises(ConfigError, match="gone"):
        source.check()
    with pytest.raises(strongroom.SourceError, match="gone") as caught:
        dumped(source, "shop")
    assert "lists of schemas and tables" in caught.value.remedy


@newest_alone
@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"tables": ["app.cache_*"], "exclude_tables": ["cache_?"]}, "exclude_tables"),
        ({"tables": ["app.high", "other.low"], "exclude_tables": ["parted"]}, "exclude_tables"),
        ({"schemas": ["app"], "exclude_schemas": ["a*"]}, "exclude_schemas"),
    ],
)
def test_lists_that_leave_nothing_are_refused(
    server: Server, open_on: Open, values: dict[str, object], named: str
) -> None:
    server.create_database("shop", SHOP)
    source = open_on(server, databases=["shop"], **values)
    for attempt in (source.check, lambda: dumped(source, "shop")):
        with pytest.raises(ConfigError, match="nothing would be backed up") as caught:
            attempt()
        assert named in caught.value.remedy


@newest_alone
def test_a_partition_without_its_table_is_refused(server: Server, open_on: Open) -> None:
    server.create_database("shop", SHOP)
    source = open_on(server, databases=["shop"], schemas=["app"])
    with pytest.raises(ConfigError, match=r"app\.high is a partition of other\.parted") as caught:
        source.check()
    assert "exclude_tables" in caught.value.remedy


@newest_alone
def test_what_is_left_out_need_not_be_readable(server: Server, open_on: Open) -> None:
    server.create_database("shop", SHOP)
    server.sql("postgres", "CREATE ROLE reader LOGIN PASSWORD 'pw'")
    server.sql("shop", 'GRANT USAGE ON SCHEMA app TO reader; GRANT SELECT ON app."Orders" TO reader')
    source = open_on(server, user="reader", password="pw", databases=["shop"], tables=["app.Orders"])
    assert source.check().databases == ("shop",)
    assert dumped(source, "shop")[1].tables == {"app.Orders": 20}
    with pytest.raises(strongroom.SourceError, match=r"app\.orders"):
        open_on(server, user="reader", password="pw", databases=["shop"], exclude_tables=["high"]).check()


@newest_alone
@both_formats
def test_rows_alone_are_no_database(server: Server, open_on: Open, format: str) -> None:
    server.create_database("shop", SHOP)
    source = open_on(server, databases=["shop"], content="data", format=format)
    assert any("cannot be drilled" in note for note in source.check().notes)
    assert source.extension_for("shop") == {"custom": "data.dump", "directory": "data.dir.tar"}[format]
    chunks, counted = dumped(source, "shop")
    assert dict(counted.tables) == ALL
    server.create_database("hollow")
    for target in ("copy", "hollow"):
        with pytest.raises(strongroom.SourceError, match="rows and no tables") as caught:
            source.restore(target, chunks)
        assert not isinstance(caught.value, strongroom.ToolFailed | strongroom.DumpIncomplete)
        assert "restore_clean" in caught.value.remedy
    assert "copy" not in server.databases()


@both_formats
def test_rows_alone_take_the_place_of_the_rows_that_are_there(
    server: Server, open_on: Open, format: str
) -> None:
    server.create_database("shop", SHOP)
    chunks, counted = dumped(open_on(server, content="data", format=format), "shop")
    before = server.rows("shop")
    server.sql(
        "shop", "INSERT INTO app.orders VALUES (99); DELETE FROM other.parted; CREATE TABLE app.later (a int)"
    )
    source = open_on(server, content="data", restore_clean=True)
    source.restore("shop", chunks)
    after = server.rows("shop")
    assert after.pop("app.later") == []
    assert after == before
    assert counted.differences(source.fingerprint("shop")) == []


_ROUND = """
CREATE TABLE boss (id int PRIMARY KEY, team int NOT NULL, over int REFERENCES boss);
CREATE TABLE team (id int PRIMARY KEY, "led by" int NOT NULL REFERENCES boss DEFERRABLE);
CREATE TABLE "part ed" (id int PRIMARY KEY, boss int REFERENCES boss) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF "part ed" FOR VALUES FROM (0) TO (100);
ALTER TABLE boss ADD COLUMN part int, ADD FOREIGN KEY (part) REFERENCES part1;
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
INSERT INTO team VALUES (1, 1), (2, 2);
INSERT INTO boss VALUES (1, 1, 2), (2, 2, 1);
INSERT INTO "part ed" VALUES (5, 1);
UPDATE boss SET part = 5;
COMMIT;
ALTER TABLE boss ADD CONSTRAINT "its team" FOREIGN KEY (team) REFERENCES team;
"""
_TRIGGERED = """
CREATE TABLE n (a int, upd timestamptz);
INSERT INTO n VALUES (1, '2026-01-01');
CREATE TABLE al (a int, x text) PARTITION BY RANGE (a);
CREATE TABLE al1 PARTITION OF al FOR VALUES FROM (0) TO (100);
INSERT INTO al VALUES (1, 'orig');
CREATE TABLE off (a int, x text);
INSERT INTO off VALUES (1, 'orig');
CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.x := 'CHANGED'; RETURN new; END $$;
CREATE FUNCTION now_() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN new.upd := '2000-01-01'; RETURN new; END $$;
CREATE TRIGGER "a ""trigger" BEFORE INSERT OR UPDATE ON n FOR EACH ROW EXECUTE FUNCTION now_();
CREATE TRIGGER always BEFORE INSERT ON al FOR EACH ROW EXECUTE FUNCTION mark();
ALTER TABLE al ENABLE ALWAYS TRIGGER always;
CREATE TRIGGER never BEFORE INSERT ON off FOR EACH ROW EXECUTE FUNCTION mark();
ALTER TABLE off DISABLE TRIGGER never;
CREATE TABLE target (k int, d int, PRIMARY KEY (k, d)) PARTITION BY RANGE (d);
CREATE TABLE target1 PARTITION OF target FOR VALUES FROM (0) TO (100);
CREATE TABLE a_first (k int, d int, FOREIGN KEY (k, d) REFERENCES target);
INSERT INTO target VALUES (1, 1);
INSERT INTO a_first VALUES (1, 1);
"""
_STATES = "SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2"


@both_formats
def test_chosen_tables_bring_their_schemas(server: Server, open_on: Open, format: str) -> None:
    server.create_database("shop", SHOP)
    wanted = server.rows("shop")
    source = open_on(server, tables=["app.orders", "big table", "we*"], format=format)
    chunks, counted = dumped(source, "shop")
    server.create_database("hollow")
    for target in ("copy", "hollow"):
        source.restore(target, chunks)
        rows = server.rows(target)
        assert len(rows) == 3
        assert rows == {name: wanted[name] for name in rows}
        assert counted.differences(source.fingerprint(target)) == []


def test_triggers_leave_rows_alone_as_they_were(server: Server, open_on: Open) -> None:
    server.create_database("shop", _TRIGGERED)
    before, states = server.rows("shop"), server.sql("shop", _STATES)
    chunks, _ = dumped(open_on(server, content="data"), "shop")
    server.sql("shop", "DELETE FROM n; DELETE FROM al; DELETE FROM off")
    open_on(server, content="data", restore_clean=True).restore("shop", chunks)
    assert server.rows("shop") == before
    assert server.sql("shop", _STATES) == states


def test_partitions_by_hash_may_hold_other_rows_elsewhere(server: Server, open_on: Open) -> None:
    server.create_database(
        "shop",
        "CREATE TYPE m AS ENUM ('a', 'b', 'c');"
        " CREATE TABLE h (e m, i int) PARTITION BY HASH (e);"
        " CREATE TABLE h0 PARTITION OF h FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        " CREATE TABLE h1 PARTITION OF h FOR VALUES WITH (MODULUS 2, REMAINDER 1) PARTITION BY LIST (e);"
        " CREATE TABLE h1x PARTITION OF h1 DEFAULT;"
        " INSERT INTO h SELECT (enum_range(null::m))[1 + i % 3], i FROM generate_series(1, 60) i",
    )
    source = open_on(server)
    chunks, counted = dumped(source, "shop")
    assert dict(counted.tables) == {"public.h": 60}
    source.restore("copy", chunks)
    assert counted.differences(source.fingerprint("copy")) == []


_KEYS = "SELECT conrelid::regclass, conname, condeferrable, condeferred FROM pg_constraint ORDER BY 1, 2"


def test_rows_whose_foreign_keys_go_round_in_a_circle_can_be_restored(server: Server, open_on: Open) -> None:
    server.create_database("shop", _ROUND)
    keys, before = server.sql("shop", _KEYS), server.rows("shop")
    chunks, counted = dumped(open_on(server, content="data"), "shop")
    server.sql("shop", 'UPDATE boss SET over = NULL, part = NULL; DELETE FROM "part ed"')
    source = open_on(server, content="data", restore_clean=True)
    source.restore("shop", chunks)
    assert server.rows("shop") == before
    assert server.sql("shop", _KEYS) == keys, "the keys are as they were"
    assert counted.differences(source.fingerprint("shop")) == []
    with pytest.raises(Exception, match="violates foreign key"):
        server.sql("shop", "UPDATE boss SET team = 77")
