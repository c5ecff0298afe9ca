"""PostgreSQL for real: what a check finds, what a dump keeps, how a swap goes, and where secrets are not."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

import strongroom
from engine.contract.config import build, split_secrets
from engine.hosts.local import LocalHost
from plugins.sources.postgresql import PostgreSQL
from strongroom import Context, LogLevel, Process
from strongroom.testing import Surroundings
from strongroom.testing.laboratory import dumped
from tests.parts.postgres import (
    PASSWORD,
    Server,
    postgres,  # noqa: F401 - a fixture
    postgres15,  # noqa: F401 - a fixture
    postgres18,  # noqa: F401 - a fixture
    server_folder,
)

Open = Callable[..., PostgreSQL]


@pytest.fixture
def server(postgres: Server) -> Iterator[Server]:  # noqa: F811
    """The server; databases and roles that a test makes are gone afterwards."""
    yield from cleaned(postgres)


def cleaned(server: Server) -> Iterator[Server]:
    databases = set(server.databases())
    roles = set(server.list("postgres", "SELECT rolname FROM pg_roles"))
    yield server
    for name in set(server.databases()) - databases:
        server.drop_database(name)
    for role in set(server.list("postgres", "SELECT rolname FROM pg_roles")) - roles:
        server.sql("postgres", f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')


@pytest.fixture
def open(server: Server, around: Surroundings) -> Open:
    def opener(context: Context | None = None, **values: object) -> PostgreSQL:
        config = build(PostgreSQL.Config, server.values(**values))
        return PostgreSQL(config, context or around.context)

    return opener


def as_user(server: Server, name: str, sql: str = "") -> dict[str, object]:
    """Make a role with a password of its own; return the values that log in as it."""
    server.sql("postgres", f"CREATE ROLE {name} LOGIN PASSWORD 'pw of {name}'; {sql}")
    return {"user": name, "password": f"pw of {name}"}


# ------------------------------------------------------------------------------------- checking


def test_a_check_names_what_the_user_may_not_read(server: Server, open: Open) -> None:
    server.create_database("shop", "CREATE TABLE seen (a int); CREATE TABLE hidden (a int)")
    reader = as_user(server, "reader")
    server.sql("shop", "GRANT SELECT ON seen TO reader")
    source = open(**reader, databases=["shop"])
    with pytest.raises(strongroom.SourceError, match=r"public\.hidden \(SELECT\)") as caught:
        source.check()
    assert "public.seen" not in caught.value.message
    assert "GRANT pg_read_all_data TO reader" in caught.value.remedy
    server.sql("postgres", "GRANT pg_read_all_data TO reader")
    assert source.check().databases == ("shop",)
    assert dumped(source, "shop")[1].tables == {"public.seen": 0, "public.hidden": 0}


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ('CREATE SCHEMA "in"; CREATE TABLE "in".t (a int)', r"schema \"in\""),
        (
            "CREATE TABLE t (a int); ALTER TABLE t ENABLE ROW LEVEL SECURITY; GRANT SELECT ON t TO reader",
            "row security",
        ),
        ("SELECT lo_create(4711)", "large object 4711"),
        ("CREATE SEQUENCE counter", r"public\.counter"),
    ],
)
def test_a_check_knows_every_obstacle_that_pg_dump_would_meet(
    server: Server, open: Open, sql: str, named: str
) -> None:
    reader = as_user(server, "reader")
    server.create_database("shop", sql)
    source = open(**reader, databases=["shop"])
    with pytest.raises(strongroom.SourceError, match=named):
        source.check()
    with pytest.raises(strongroom.SourceError):  # and so it is: the dump does not go through
        dumped(source, "shop")


def test_a_database_that_lets_the_user_not_in_is_named(server: Server, open: Open) -> None:
    server.create_database("shop")
    server.sql("postgres", "REVOKE CONNECT ON DATABASE shop FROM PUBLIC")
    source = open(**as_user(server, "reader"), databases=["shop"])
    with pytest.raises(strongroom.ConnectionFailed, match="'reader' may not connect to the database 'shop'"):
        source.check()


def test_a_user_without_the_maintenance_database_gets_by(server: Server, open: Open) -> None:
    reader = as_user(server, "reader", "GRANT pg_read_all_data TO reader")
    server.create_database("shop", "CREATE TABLE t AS SELECT 1 AS a")
    source = open(**reader, databases=["shop"], maintenance_database="not there")
    assert source.check().databases == ("shop",)


def test_all_databases_means_those_that_somebody_can_have_filled(server: Server, open: Open) -> None:
    server.clean()
    server.create_database("shop")
    server.create_database("closed")
    server.create_database("mould", options="TEMPLATE template0 IS_TEMPLATE true")
    server.sql("postgres", "ALTER DATABASE closed ALLOW_CONNECTIONS false")
    try:
        assert open().databases() == ["shop"]
        server.sql("postgres", "CREATE TABLE filled (a int)")
        assert open().databases() == ["postgres", "shop"]
    finally:
        server.sql("postgres", "DROP TABLE IF EXISTS filled; ALTER DATABASE mould IS_TEMPLATE false")


def test_every_missing_database_is_named_and_the_others_can_be_dumped(server: Server, open: Open) -> None:
    server.create_database("shop")
    source = open(databases=["shop", "lost", "gone"])
    assert source.databases() == ["gone", "lost", "shop"]
    report = source.check()
    assert {name: type(error) for name, error in report.failing.items()} == {
        "gone": strongroom.DatabaseMissing,
        "lost": strongroom.DatabaseMissing,
    }
    with pytest.raises(strongroom.SourceError, match=r"'gone'.*'lost'"):
        report.raise_failing()


def test_a_database_whose_table_may_not_be_read_fails_alone(server: Server, open: Open) -> None:
    server.create_database("shop", "CREATE TABLE t AS SELECT 1 AS a; GRANT SELECT ON t TO PUBLIC")
    server.create_database("secret", "CREATE TABLE t AS SELECT 1 AS a")
    report = open(**as_user(server, "reader_of_one"), databases=["shop", "secret"]).check()
    assert list(report.failing) == ["secret"]
    assert "may not read" in report.failing["secret"].message


# ------------------------------------------------------------------------------------- secrets


class RecordingHost(LocalHost):
    """A host that remembers what it was asked to run."""

    def __init__(self, cancel: strongroom.CancelToken) -> None:
        super().__init__(cancel)
        self.argv: list[Sequence[str]] = []

    def run(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: bool = False
    ) -> Process:
        self.argv.append(argv)
        return super().run(argv, env=env, stdin=stdin)


def test_the_password_is_in_no_argument_and_no_text(server: Server, open: Open, around: Surroundings) -> None:
    server.create_database("shop", "CREATE TABLE t AS SELECT 1 AS a")
    host = RecordingHost(around.cancel)
    context = around.context
    source = open(Context(host, context.cancel, context.scratch, context.log), databases=["shop"])
    source.check()
    with source.dump("shop") as dump:
        chunks = list(dump)
        dump.fingerprint()
        shown = f"{dump.details} {dump.tool_version}"
    source.restore("copy", chunks)
    source.replace("copy", "shop")
    assert len(host.argv) > 8
    assert PASSWORD not in f"{host.argv} {shown} {source.config!r} {around.log}"


def test_a_pasted_url_is_taken_apart_and_not_kept(server: Server, around: Surroundings) -> None:
    server.create_database("shop", "CREATE TABLE t AS SELECT 1 AS a")
    config = build(PostgreSQL.Config, {"url": server.url("shop")})
    public, hidden = split_secrets(config)
    assert public == {"host": "127.0.0.1", "port": server.port, "databases": ["shop"]}
    assert hidden == {"password": PASSWORD}
    assert PostgreSQL(config, around.context).check().databases == ("shop",)


def test_a_pgpass_file_gives_the_password(
    server: Server, open: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.create_database("shop")
    monkeypatch.setenv("HOME", str(tmp_path))
    source = open(password=None, databases=["shop"])
    with pytest.raises(strongroom.ConnectionFailed, match="asks for a password") as caught:
        source.check()
    assert "~/.pgpass" in caught.value.remedy
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    file = tmp_path / ".pgpass"
    file.write_text(f"127.0.0.1:{server.port}:*:postgres:{escaped}\n", encoding="utf-8")
    file.chmod(0o600)
    assert open(password=None, databases=["shop"]).check().databases == ("shop",)


def test_a_unix_socket_is_a_host_too(server: Server, open: Open) -> None:
    server.create_database("shop")
    assert open(host=str(server.folder), databases=["shop"]).check().databases == ("shop",)


def test_tls_that_the_server_has_not_is_refused(old: Server, around: Surroundings) -> None:
    with pytest.raises(strongroom.ConnectionFailed, match="TLS with") as caught:
        source_of(old, around, ssl_mode="require").check()
    assert "TLS mode" in caught.value.remedy


def test_tools_without_tls_say_so(old: Server, around: Surroundings) -> None:
    source = source_of(old, around, ssl_mode="require", tools=str(server_folder(18)))
    with pytest.raises(strongroom.ConnectionFailed, match="cannot use TLS") as caught:
        source.check()
    assert "apt install postgresql-client" in caught.value.remedy


def test_the_systems_psql_comes_before_the_bundled_one_without_tls(
    old: Server, new: Server, around: Surroundings
) -> None:
    for server in (old, new):
        psql = next(tool for tool in source_of(server, around).check().tools if tool.name == "psql")
        assert psql.version.startswith("15.")


# ------------------------------------------------------------------------------------- dumping

EVERYTHING = """
CREATE SCHEMA other;
CREATE TABLE parted (a int, b text) PARTITION BY RANGE (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (100) TO (200) PARTITION BY LIST (b);
CREATE TABLE parted_2_x PARTITION OF parted_2 FOR VALUES IN ('x');
INSERT INTO parted SELECT g, 'x' FROM generate_series(0, 149) g;
CREATE TABLE parent (a int);
CREATE TABLE child () INHERITS (parent);
INSERT INTO parent VALUES (1), (2);
INSERT INTO child VALUES (3);
CREATE TABLE other."Mixed Case" AS SELECT g AS a, NULL::text AS b, g::numeric / 3 AS c
  FROM generate_series(1, 10) g;
CREATE SCHEMA "a.b"; CREATE SCHEMA a;
CREATE TABLE "a.b".c AS SELECT 1 AS x; CREATE TABLE a."b.c" AS SELECT generate_series(1, 2) AS x;
CREATE UNLOGGED TABLE fleeting AS SELECT 1 AS a;
CREATE MATERIALIZED VIEW seen AS SELECT count(*) FROM parted;
CREATE VIEW thin AS SELECT * FROM parent;
CREATE SEQUENCE counter START 41;
SELECT nextval('counter'), nextval('counter');
CREATE FUNCTION twice(a int) RETURNS int LANGUAGE sql AS 'SELECT a * 2';
CREATE TYPE mood AS ENUM ('glad', 'sad');
COMMENT ON TABLE parent IS 'it''s a comment';
SELECT lo_from_bytea(4711, '\\x00ff10');
"""


def test_everything_in_a_database_comes_back(server: Server, open: Open) -> None:
    server.create_database("shop", EVERYTHING)
    source = open(databases=["shop"])
    chunks, counted = dumped(source, "shop")
    assert counted.consistent
    assert counted.tables == {
        "public.parted": 150,
        "public.parted_1": 100,
        "public.parted_2": 50,
        "public.parted_2_x": 50,
        "public.parent": 2,
        "public.child": 1,
        "public.fleeting": 1,
        "other.Mixed Case": 10,
        '"a.b".c': 1,
        'a."b.c"': 2,
    }
    source.restore("copy", chunks)
    assert server.rows("copy") == server.rows("shop")
    for question in (
        "SELECT nextval('counter')",
        "SELECT twice(21)",
        "SELECT obj_description('parent'::regclass)",
        "SELECT lo_get(4711)",
        "SELECT * FROM seen",
        "SELECT enum_range(NULL::mood)",
        "SELECT count(*) FROM thin",
    ):
        assert server.sql("copy", question) == server.sql("shop", question), question


def test_the_rows_of_extensions_are_not_counted(server: Server, open: Open) -> None:
    server.create_database("shop", "CREATE TABLE t (a int); CREATE TABLE belongs (a int)")
    # No extension with a table of its own is sure to be here; being a member is what decides.
    server.sql("shop", "ALTER EXTENSION plpgsql ADD TABLE belongs")
    assert open(databases=["shop"]).fingerprint("shop").tables == {"public.t": 0}


def test_a_database_keeps_its_encoding_and_locale(server: Server, open: Open) -> None:
    server.create_database(
        "old",
        "CREATE TABLE t AS SELECT 'Gr\u00fc\u00dfe' AS a",
        options="TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'",
    )
    source = open(databases=["old"])
    source.restore("copy", dumped(source, "old")[0])
    settings = (
        "SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = '{}'"
    )
    assert server.sql("postgres", settings.format("copy")) == "LATIN1|C|C"
    assert server.rows("copy") == server.rows("old") == {"public.t": ["(Grüße)"]}


def test_a_server_that_ends_idle_sessions_does_not_end_the_snapshot(server: Server, open: Open) -> None:
    server.create_database("shop", "CREATE TABLE t AS SELECT generate_series(1, 200000) AS a")
    server.sql("postgres", "ALTER DATABASE shop SET idle_in_transaction_session_timeout = '20ms'")
    server.sql("postgres", "ALTER DATABASE shop SET statement_timeout = '2s'")
    _, counted = dumped(open(databases=["shop"]), "shop")
    assert counted.tables == {"public.t": 200000}


def test_a_lost_snapshot_costs_the_count_and_not_the_dump(
    server: Server, open: Open, around: Surroundings
) -> None:
    server.create_database("shop", "CREATE TABLE t AS SELECT generate_series(1, 1000) AS a")
    source = open(databases=["shop"])
    with source.dump("shop") as dump:
        chunks = list(dump)
        ended = server.sql(
            "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop'"
        )
        assert "t" in ended
        assert dump.fingerprint() is None
    assert any("could not be counted" in text and level is LogLevel.WARNING for text, level in around.log)
    source.restore("copy", chunks)
    assert server.rows("copy") == server.rows("shop")


def test_a_dump_leaves_no_session_and_no_transaction(server: Server, open: Open) -> None:
    server.create_database(
        "shop", "CREATE TABLE t AS SELECT repeat('x', 1000) FROM generate_series(1, 20000)"
    )
    dump = open(databases=["shop"]).dump("shop")
    next(iter(dump))
    dump.close()
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop'"
    # A server notices a broken connection at its next write; it has much to write to pg_dump.
    wait = "PERFORM pg_stat_clear_snapshot(), pg_sleep(0.01)"
    gone = f"DO $$ BEGIN WHILE ({sessions}) > 0 LOOP {wait}; END LOOP; END $$"
    server.sql("postgres", f"SET statement_timeout = '10s'; {gone}")


def test_the_standard_tool_restores_what_a_command_for_people_says(
    server: Server, open: Open, tmp_path: Path
) -> None:
    server.create_database("shop", EVERYTHING)
    source = open(databases=["shop"])
    (tmp_path / "shop.dump").write_bytes(b"".join(dumped(source, "shop")[0]))
    for name in ("plain", "it's = odd"):
        server.create_database(name)
        environment = {**server.environment(), "PATH": f"{server.binaries}:{os.environ['PATH']}"}
        command = f"{source.restore_command(name)} < shop.dump"
        subprocess.run(["sh", "-c", command], check=True, cwd=tmp_path, env=environment, timeout=60)
        assert server.rows(name) == server.rows("shop")


# ------------------------------------------------------------------------------------ restoring


def test_owners_and_rights_come_back_or_are_left_out(server: Server, open: Open) -> None:
    server.sql("postgres", "CREATE ROLE keeper; CREATE ROLE visitor")
    server.create_database("shop", "CREATE TABLE t (a int); ALTER TABLE t OWNER TO keeper")
    server.sql("shop", "GRANT SELECT ON t TO visitor")
    source = open(databases=["shop"])
    chunks, _ = dumped(source, "shop")
    owner = "SELECT tableowner FROM pg_tables WHERE tablename = 't'"
    right = "SELECT has_table_privilege('visitor', 't', 'SELECT')"
    source.restore("copy", chunks)
    assert (server.sql("copy", owner), server.sql("copy", right)) == ("keeper", "t")
    open(restore_owner=False, restore_privileges=False).restore("ours", chunks)
    assert (server.sql("ours", owner), server.sql("ours", right)) == ("postgres", "f")


def test_an_owner_that_is_not_there_is_named_and_nothing_is_left(server: Server, open: Open) -> None:
    server.sql("postgres", "CREATE ROLE keeper")
    server.create_database("shop", "CREATE TABLE t (a int); ALTER TABLE t OWNER TO keeper")
    source = open(databases=["shop"])
    chunks, _ = dumped(source, "shop")
    server.drop_database("shop")
    server.sql("postgres", "DROP ROLE keeper")
    with pytest.raises(strongroom.SourceError, match='role "keeper" does not exist') as caught:
        source.restore("copy", chunks)
    assert "restore_owner" in caught.value.remedy
    assert "copy" not in server.databases()


def test_a_restore_that_the_server_refuses_on_its_way_leaves_an_empty_target_empty(
    server: Server, open: Open
) -> None:
    server.create_database(
        "shop",
        "CREATE TABLE a AS SELECT 1 AS x; CREATE TABLE b (x int REFERENCES c)".replace(" REFERENCES c", ""),
    )
    source = open(databases=["shop"])
    chunks, _ = dumped(source, "shop")
    server.create_database("hollow")
    # What stands in its way shows at the end: the table is made by another while the restore runs.
    server.sql(
        "hollow",
        "CREATE FUNCTION public.no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF EXISTS (SELECT FROM pg_class WHERE relname = 'b') THEN RAISE 'not here'; END IF; END $$;"
        " CREATE EVENT TRIGGER no ON ddl_command_end EXECUTE FUNCTION public.no()",
    )
    with pytest.raises(strongroom.SourceError):
        source.restore("hollow", chunks)
    assert server.rows("hollow") == {}


def test_a_user_that_may_not_create_databases_is_told(server: Server, open: Open) -> None:
    reader = as_user(server, "reader", "GRANT pg_read_all_data TO reader")
    server.create_database("shop", "CREATE TABLE t (a int)")
    source = open(**reader, databases=["shop"])
    chunks, _ = dumped(source, "shop")
    with pytest.raises(strongroom.SourceError, match="may not do this") as caught:
        source.restore("copy", chunks)
    assert "CREATEDB" in caught.value.remedy


# -------------------------------------------------------------------------------------- swapping


def test_a_successor_takes_over_what_belongs_to_the_database(server: Server, open: Open) -> None:
    server.sql("postgres", "CREATE ROLE keeper; CREATE ROLE visitor")
    server.create_database("shop", "CREATE TABLE t AS SELECT 1 AS a")
    server.sql(
        "postgres",
        "ALTER DATABASE shop OWNER TO keeper; ALTER DATABASE shop CONNECTION LIMIT 7;"
        " COMMENT ON DATABASE shop IS 'it''s the shop';"
        ' ALTER DATABASE shop SET search_path = "$user", public, other;'
        " ALTER DATABASE shop SET work_mem = '5MB';"
        " ALTER ROLE visitor IN DATABASE shop SET statement_timeout = '9s';"
        " REVOKE ALL ON DATABASE shop FROM PUBLIC; GRANT CONNECT ON DATABASE shop TO visitor",
    )
    about = (
        "SELECT pg_get_userbyid(datdba), datconnlimit, shobj_description(oid, 'pg_database'), datacl::text,"
        " (SELECT string_agg(setrole::regrole::text || s.setconfig::text, ' ' ORDER BY setrole)"
        "  FROM pg_db_role_setting s WHERE setdatabase = d.oid) FROM pg_database d WHERE datname = 'shop'"
    )
    before = server.sql("postgres", about)
    assert "search_path" in before and "visitor" in before
    source = open(databases=["shop"])
    source.restore("shop_r1", dumped(source, "shop")[0])
    assert source.replace("shop_r1", "shop") == "shop_before_r1"
    assert server.sql("postgres", about) == before


def test_a_database_in_use_is_swapped_and_its_clients_find_the_new_one(server: Server, open: Open) -> None:
    server.create_database("shop", "CREATE TABLE t AS SELECT 'old' AS a")
    server.create_database("newer", "CREATE TABLE t AS SELECT 'new' AS a")
    source = open(databases=["shop"])
    source.restore("shop_r1", dumped(source, "newer")[0])
    stop, seen = threading.Event(), threading.Event()
    argv = [str(server.binaries / "psql"), "-X", "-q", "-c", "SELECT pg_sleep(60)", "shop"]

    def keep_connecting() -> None:
        while not stop.is_set():
            with subprocess.Popen(
                argv, env=server.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as client:
                seen.set()
                while client.poll() is None and not stop.wait(0.01):
                    pass
                client.kill()

    clients = [threading.Thread(target=keep_connecting) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        seen.wait(30)
        assert source.replace("shop_r1", "shop") == "shop_before_r1"
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert server.rows("shop") == {"public.t": ["(new)"]}
    assert server.rows("shop_before_r1") == {"public.t": ["(old)"]}


def test_the_maintenance_database_itself_can_be_replaced(server: Server, open: Open) -> None:
    server.create_database("desk", "CREATE TABLE t AS SELECT 1 AS a")
    source = open(databases=["desk"], maintenance_database="desk")
    beside = source.beside_name("desk", "r1")
    source.restore(beside, dumped(source, "desk")[0])
    assert source.replace(beside, "desk") == "desk_before_r1"
    source.drop("desk")
    assert "desk" not in server.databases()


def test_a_swap_whose_process_died_has_happened_or_has_not(server: Server, open: Open) -> None:
    server.create_database("kiosk", "CREATE TABLE t AS SELECT 1 AS a")
    source = open(databases=["kiosk"])
    beside = source.beside_name("kiosk", "r1")
    source.restore(beside, dumped(source, "kiosk")[0])
    assert source.resume_replace(beside, "kiosk") is False
    assert source.resume_replace(beside, "stall") is False, "what it lacks yet is known to nobody any more"
    assert {beside, "kiosk"} <= set(server.databases()) and "stall" not in server.databases()
    source.replace(beside, "kiosk")
    assert source.resume_replace(beside, "kiosk") is True


@pytest.mark.parametrize("letter", ["x", "ü"])
def test_a_name_that_the_server_would_cut_means_no_other_database(
    server: Server, open: Open, letter: str
) -> None:
    fits = letter * (63 // len(letter.encode()))
    server.create_database(fits, "CREATE TABLE precious AS SELECT 1 AS a")
    too_long = fits + letter
    source = open(databases=[fits])
    for harm in (
        lambda: source.target_state(too_long),
        lambda: source.restore(too_long, dumped(source, fits)[0]),
        lambda: source.replace(fits, too_long),
        lambda: source.drop(too_long),
    ):
        with pytest.raises(strongroom.ConfigError, match="no name for a PostgreSQL database"):
            harm()
    assert server.sql(fits, "SELECT a FROM precious") == "1"
    with pytest.raises(strongroom.DatabaseMissing):
        open(databases=[too_long]).check()


@pytest.mark.parametrize("template", ["template0", "template1"])
def test_a_template_is_no_target(server: Server, open: Open, template: str) -> None:
    server.create_database("desk", "CREATE TABLE t AS SELECT 1 AS a")
    source = open(databases=["desk"])
    with pytest.raises(strongroom.ConfigError, match="is a template"):
        source.target_state(template)
    with pytest.raises(strongroom.ConfigError, match="is a template"):
        source.restore(template, dumped(source, "desk")[0])


# ------------------------------------------------------------------------- versions of the tools


@pytest.fixture
def old(postgres15: Server) -> Iterator[Server]:  # noqa: F811
    yield from cleaned(postgres15)


@pytest.fixture
def new(postgres18: Server) -> Iterator[Server]:  # noqa: F811
    yield from cleaned(postgres18)


def source_of(server: Server, around: Surroundings, **values: object) -> PostgreSQL:
    return PostgreSQL(build(PostgreSQL.Config, server.values(**values)), around.context)


def test_each_server_is_dumped_by_the_tools_of_its_own_version(
    old: Server, new: Server, around: Surroundings
) -> None:
    for server in (old, new):
        server.create_database("shop")
        with source_of(server, around).dump("shop") as dump:
            assert b"".join(dump)
            assert dump.tool_version.startswith(f"pg_dump {server.major}.")
            assert dump.engine_version.startswith(f"{server.major}.")


def test_a_dump_of_15_is_restored_into_18(old: Server, new: Server, around: Surroundings) -> None:
    old.create_database("shop", EVERYTHING)
    chunks, counted = dumped(source_of(old, around), "shop")
    target = source_of(new, around)
    target.restore("shop", chunks)
    assert new.rows("shop") == old.rows("shop")
    assert counted.differences(target.fingerprint("shop")) == []


def test_a_dump_that_18_made_of_15_is_restored_into_15(old: Server, around: Surroundings) -> None:
    old.create_database("shop", EVERYTHING)
    bundled = str(server_folder(18))
    source = source_of(old, around, tools=bundled)
    assert any("restoring needs pg_restore 18" in note for note in source.check().notes)
    chunks, counted = dumped(source, "shop")
    for name, tools in (("copy", bundled), ("again", "")):  # with and without the tools of 15 at hand
        target = source_of(old, around, tools=tools)
        target.restore(name, chunks)
        assert old.rows(name) == old.rows("shop")
        assert old.sql(name, "SELECT lo_get(4711)") == old.sql("shop", "SELECT lo_get(4711)")
        assert counted.differences(target.fingerprint(name)) == []


def test_a_dump_that_goes_through_psql_runs_no_command_of_psqls(
    old: Server, around: Surroundings, tmp_path: Path
) -> None:
    owned = tmp_path / "owned"
    old.create_database("shop", f"CREATE TABLE \"t\n\\! touch {owned}\n\" AS SELECT E'\\\\! x' AS a")
    source = source_of(old, around, tools=str(server_folder(18)))
    chunks, _ = dumped(source, "shop")
    source.restore("copy", chunks)
    assert old.rows("copy") == old.rows("shop")
    assert not owned.exists()
    # And were the dump itself evil: the line would be SQL's start, and psql's restricted mode refuses it.
    evil = b"".join(chunks).replace(b"SET client_encoding = 'UTF8';", b"\\! touch /tmp/strongroom-x ;\n")
    assert evil != b"".join(chunks)
    with pytest.raises(strongroom.SourceError):
        source.restore("evil", [evil])
    assert "evil" not in old.databases()
    assert not Path("/tmp/strongroom-x").exists()


@pytest.mark.parametrize("part", [0.4, 0.98])
def test_a_cut_dump_through_psql_commits_nothing(old: Server, around: Surroundings, part: float) -> None:
    # More than is read ahead of the tools' start, so that the end comes while they work.
    bulk = "CREATE TABLE bulk AS SELECT repeat('x', 1000) AS a FROM generate_series(1, 2000)"
    old.create_database("shop", EVERYTHING + bulk)
    source = source_of(old, around, tools=str(server_folder(18)))
    whole = b"".join(dumped(source, "shop")[0])
    old.create_database("hollow")
    with pytest.raises(strongroom.SourceError):
        source.restore("hollow", [whole[: int(len(whole) * part)]])
    assert old.rows("hollow") == {}

    def failing() -> Iterator[bytes]:
        yield whole
        raise strongroom.ChecksumMismatch("flipped")

    with pytest.raises(strongroom.ChecksumMismatch):
        source.restore("hollow", failing())
    assert old.rows("hollow") == {}


def test_an_older_pg_dump_is_refused_before_it_starts(new: Server, around: Surroundings) -> None:
    new.create_database("shop")
    source = source_of(new, around, tools=str(server_folder(15)))
    for attempt in (source.check, lambda: dumped(source, "shop")):
        with pytest.raises(
            strongroom.ToolMissing, match=r"needs pg_dump 18 or newer.*there is 15\."
        ) as caught:
            attempt()
        assert "postgresql-client-18" in caught.value.remedy
        assert "strongroom[postgresql-tools]" in caught.value.remedy


def test_an_archive_that_is_too_new_for_the_tools_is_refused_untouched(
    old: Server, new: Server, around: Surroundings
) -> None:
    new.create_database("shop", "CREATE TABLE t (a int)")
    chunks, _ = dumped(source_of(new, around), "shop")
    target = source_of(old, around, tools=str(server_folder(15)))
    with pytest.raises(strongroom.ToolMissing, match="pg_restore 17 or newer"):
        target.restore("copy", chunks)
    assert "copy" not in old.databases()
