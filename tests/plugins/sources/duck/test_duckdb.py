"""DuckDB: every type and thing comes back, and an export can do no more than be loaded."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import duckdb
import pytest

import strongroom
from engine.contract.config import build
from engine.hosts.local import LocalHost
from plugins.sources.duck.loading import Entry, entries, written
from plugins.sources.duckdb import DuckDB
from strongroom import BackupFacts, LogLevel, TargetState
from strongroom.testing.laboratory import Surroundings, dumped

TYPES = {
    "HUGEINT": ["170141183460469231731687303715884105727", "-5"],
    "UHUGEINT": ["340282366920938463463374607431768211455"],
    "UTINYINT": ["255"],
    "INTERVAL": [
        "'1 year 2 months 3 days 04:05:06.123457'",
        "'-1 microsecond'",
        "'-3 months -01:00:00'",
    ],
    "BIT": ["'0101011'::BIT"],
    "UUID": ["'0a5b3ee0-1111-4222-8333-123456789abc'"],
    "TIMESTAMPTZ": ["'2024-03-31 02:30:00.123456+05'", "'infinity'"],
    "TIMESTAMP": ["'-infinity'", "'0001-01-01 (BC) 00:00:00'"],
    "TIMETZ": ["'10:00:00.5+05:30'", "'23:59:59.999999-15:59:59'"],
    "TIMESTAMP_NS": ["'2024-01-01 00:00:00.123456789'"],
    "TIME": ["'10:00:00.123456'"],
    "DATE": ["'infinity'", "'2024-02-29'"],
    "DECIMAL(38,38)": ["0.12345678901234567890123456789012345678"],
    "DOUBLE": ["'nan'", "'-inf'", "-0.0"],
    "BLOB": ["''::BLOB", "'\\x00\\xFF'::BLOB"],
    "VARCHAR": ["''", "'漢\n\t''\"'"],
    "JSON": ["'{\"a\": [1, null]}'"],
    "ENUM('sad', 'hap''py')": ["'hap''py'"],
    "UNION(n INTEGER, s VARCHAR)": ["union_value(n := 3)", "union_value(s := NULL)"],
    "INTEGER[3]": ["[1, 2, NULL]"],
    "INTEGER[][]": ["[[1], NULL, []]"],
    "MAP(VARCHAR, HUGEINT)": ["MAP {'k, =}': 170141183460469231731687303715884105727}"],
    'STRUCT(a INTERVAL, "b c" VARCHAR)': ["{'a': INTERVAL '-1 microsecond', 'b c': 'x, ''y'' } \" \\ {'}"],
    "TIMETZ[]": ["['10:00:00+03', NULL]"],
}
THINGS = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE price AS DECIMAL(20, 5);
CREATE SCHEMA "Od d";
CREATE SCHEMA hollow;
CREATE SEQUENCE seq START 5 INCREMENT 3;
CREATE MACRO plus_one(a) AS a + 1;
CREATE MACRO two(a, b := 5) AS a + b;
CREATE MACRO rows_of(a) AS TABLE (SELECT a AS x);
CREATE TABLE "Tä b'le ""x"".y" (
    id INTEGER PRIMARY KEY DEFAULT nextval('seq'), m mood, v VARCHAR COLLATE nocase UNIQUE,
    n INTEGER NOT NULL DEFAULT plus_one(1), CHECK (n > 0));
INSERT INTO "Tä b'le ""x"".y" (m, v) VALUES ('sad', 'a'), (NULL, 'ß');
CREATE TABLE "Od d".parent (id INTEGER PRIMARY KEY, g INTEGER GENERATED ALWAYS AS (id * 2));
INSERT INTO "Od d".parent SELECT range FROM range(1000);
CREATE TABLE "Od d".child (parent INTEGER REFERENCES "Od d".parent (id), cost price, since INTERVAL);
INSERT INTO "Od d".child SELECT range % 1000, range / 7, to_days(range::INTEGER) FROM range(5000);
CREATE INDEX child_cost ON "Od d".child (cost);
CREATE UNIQUE INDEX child_odd ON "Od d".parent ((id + 1));
CREATE TABLE later (a INTEGER);
CREATE VIEW zz AS SELECT count(*) AS n FROM "Od d".child;
CREATE VIEW aa AS SELECT n, plus_one(n) AS m FROM zz;
"""

Open = Callable[..., DuckDB]


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    folder = tmp_path / "around"
    folder.mkdir()
    return Surroundings(folder)


@pytest.fixture
def source(tmp_path: Path, around: Surroundings) -> Open:
    def opened(sql: str = "CREATE TABLE t AS FROM range(10)", **values: object) -> DuckDB:
        path = tmp_path / "shop.duckdb"
        if sql:
            with duckdb.connect(str(path)) as connection:
                connection.execute(sql)
        return DuckDB(build(DuckDB.Config, {"path": str(path), **values}), around.context)

    return opened


def asked(path: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def archive(files: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            about = tarfile.TarInfo(name)
            about.size, about.type = len(content), kind
            if kind != tarfile.REGTYPE:
                about.size, about.linkname = 0, "/etc/hostname"
            tar.addfile(about, io.BytesIO(content))
    return target.getvalue()


def whole(chunks: Iterable[bytes]) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        return {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]


# -------------------------------------------------------------------------------- what comes back


@pytest.mark.parametrize("of_interest", [True, False], ids=["as text", "by EXPORT alone"])
def test_every_type_comes_back_exactly(source: Open, tmp_path: Path, of_interest: bool) -> None:
    """An interval or a time with a zone in any table makes the export go another way for all of them."""
    kinds = {k: v for k, v in TYPES.items() if of_interest or not ("INTERVAL" in k or "TIMETZ" in k)}
    statements = []
    for number, (kind, values) in enumerate(kinds.items()):
        statements.append(f"CREATE TABLE t{number} (k INTEGER, v {kind}, a INTEGER)")
        rows = ", ".join(f"({k}, {value}, {k})" for k, value in enumerate([*values, "NULL"]))
        statements.append(f"INSERT INTO t{number} VALUES {rows}")  # noqa: S608
    adapter = source(";\n".join(statements))
    chunks, counted = dumped(adapter, "shop")
    adapter.restore("copy", chunks)
    assert counted.differences(adapter.fingerprint("copy")) == []
    for number in range(len(kinds)):
        sql = f"SELECT k, typeof(v), v::VARCHAR, a FROM t{number} ORDER BY k"  # noqa: S608
        assert asked(tmp_path / "copy.duckdb", sql) == asked(adapter.path, sql)


def test_everything_that_an_export_holds_comes_back(source: Open, tmp_path: Path) -> None:
    adapter = source(THINGS)
    chunks, counted = dumped(adapter, "shop")
    assert dict(counted.tables) == {
        "Tä b'le \"x\".y": 2, "Od d.parent": 1000, "Od d.child": 5000, "later": 0
    }  # fmt: skip
    adapter.restore("copy", chunks)
    copy = tmp_path / "copy.duckdb"
    for sql in (
        "SELECT schema_name, table_name, sql, estimated_size FROM duckdb_tables() ORDER BY ALL",
        "SELECT view_name, sql FROM duckdb_views() WHERE NOT internal ORDER BY ALL",
        "SELECT index_name, sql, is_unique FROM duckdb_indexes() ORDER BY ALL",
        "SELECT constraint_type, constraint_text FROM duckdb_constraints() ORDER BY ALL",
        "SELECT function_name, parameters, macro_definition FROM duckdb_functions()"
        " WHERE NOT internal ORDER BY ALL",
        "SELECT schema_name FROM duckdb_schemas() WHERE NOT internal ORDER BY ALL",
        "SELECT type_name, labels FROM duckdb_types() WHERE NOT internal ORDER BY ALL",
        'FROM "Tä b\'le ""x"".y"',
        'FROM "Od d".parent ORDER BY 1',
        'FROM "Od d".child ORDER BY ALL',
        "SELECT * FROM aa",
        "SELECT two(1), x FROM rows_of(3)",
    ):
        assert asked(copy, sql) == asked(adapter.path, sql), sql
    with duckdb.connect(str(copy)) as connection:
        assert connection.execute("SELECT nextval('seq')").fetchall() == [(11,)]


def test_rows_that_are_in_the_log_alone_are_backed_up(source: Open, tmp_path: Path) -> None:
    adapter = source("CREATE TABLE t AS FROM range(10)")
    script = "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); "
    script += "c.execute('INSERT INTO t VALUES (99)'); os._exit(0)"
    subprocess.run([sys.executable, "-c", script, adapter.path], check=True)
    assert adapter.path.with_name("shop.duckdb.wal").stat().st_size
    before = adapter.path.read_bytes()
    chunks, counted = dumped(adapter, "shop")
    assert dict(counted.tables) == {"t": 11}
    assert adapter.path.read_bytes() == before, "the source was written to"
    adapter.restore("copy", chunks)
    assert (99,) in asked(tmp_path / "copy.duckdb", "FROM t")


def test_duckdb_alone_imports_what_was_exported(source: Open, tmp_path: Path) -> None:
    adapter = source(THINGS.replace("VIEW zz", "VIEW a0").replace("FROM zz", "FROM a0"))
    folder = tmp_path / "by hand"
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", folder], input=b"".join(dumped(adapter, "shop")[0]), check=True)
    with duckdb.connect(str(tmp_path / "hand.duckdb")) as connection:
        connection.execute(f"IMPORT DATABASE '{folder}'")
    sql = 'FROM "Od d".child ORDER BY ALL'
    assert asked(tmp_path / "hand.duckdb", sql) == asked(adapter.path, sql)


# -------------------------------------------------------------------------------- what is refused


def test_what_duckdb_cannot_export_is_said_by_check(source: Open) -> None:
    adapter = source("CREATE TABLE tree (id INTEGER PRIMARY KEY, up INTEGER REFERENCES tree (id))")
    for attempt in (adapter.check, lambda: dumped(adapter, "shop")):
        with pytest.raises(strongroom.SourceError, match="tree refers to itself"):
            attempt()


def test_views_that_read_files_are_told_and_left_out(
    source: Open, around: Surroundings, tmp_path: Path
) -> None:
    (tmp_path / "far.csv").write_text("a\n1\n")
    adapter = source(
        f"CREATE TABLE t AS FROM range(3); CREATE VIEW far AS FROM read_csv('{tmp_path}/far.csv');"
        "CREATE VIEW beyond AS FROM far; CREATE VIEW near AS FROM t"
    )
    assert any("read files" in note and "far" in note for note in adapter.check().notes)
    adapter.restore("copy", dumped(adapter, "shop")[0])
    views = "SELECT view_name FROM duckdb_views() WHERE NOT internal"
    assert asked(tmp_path / "copy.duckdb", views) == [("near",)]
    assert any("2 views or macros" in message for message, _ in around.log)
    assert [level for message, level in around.log if "read files" in message] == [LogLevel.WARNING]


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{out}';",
        "ATTACH '{out}';",
        "CREATE TABLE t AS SELECT * FROM read_text('/etc/hostname');",
        "CREATE TABLE t AS SELECT * FROM glob('/etc/*');",
        "SET enable_external_access = true;",
        "INSTALL httpfs;",
        "CREATE PERSISTENT SECRET s (TYPE http);",
        "CREATE SECRET s (TYPE http);",
        "PRAGMA database_list;",
    ],
)
def test_a_hostile_export_reaches_nothing(source: Open, tmp_path: Path, sql: str) -> None:
    out = tmp_path / "owned"
    adapter = source()
    files = {"schema.sql": sql.format(out=out).encode(), "load.sql": b""}
    with pytest.raises(strongroom.ToolFailed):
        adapter.restore("copy", [archive(files)])
    assert not out.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["around", "shop.duckdb"]


def test_a_load_script_is_not_run(source: Open, tmp_path: Path) -> None:
    adapter = source()
    secret = tmp_path / "secret.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 42 AS range) TO '{secret}' (FORMAT parquet)")
    files = whole(dumped(adapter, "shop")[0])
    files["load.sql"] = f"COPY t FROM '{secret}' (FORMAT 'parquet');\n".encode()
    with pytest.raises(strongroom.DumpIncomplete, match=r"lacks secret\.parquet"):
        adapter.restore("copy", [archive(files)])
    files["load.sql"] = f"COPY (SELECT 1) TO '{tmp_path}/x.csv';".encode()
    with pytest.raises(strongroom.DumpIncomplete, match="not of DuckDB's form"):
        adapter.restore("copy", [archive(files)])
    assert adapter.target_state("copy") is TargetState.MISSING


@pytest.mark.parametrize("name", ["../out.parquet", "/tmp/out.parquet", "a/b.parquet", "x.sh", ".parquet"])
def test_an_archive_with_anything_else_is_refused(source: Open, name: str) -> None:
    with pytest.raises(strongroom.SourceError, match="no part of an export"):
        source().restore("copy", [archive({"schema.sql": b"", name: b"x", "load.sql": b""})])


def test_links_and_doubles_are_refused(source: Open) -> None:
    with pytest.raises(strongroom.SourceError, match="no part of an export"):
        source().restore("copy", [archive({"schema.sql": b""}, tarfile.SYMTYPE)])
    twice = archive({"schema.sql": b"x"})[:1024] + archive({"schema.sql": b"", "load.sql": b""})
    with pytest.raises(strongroom.SourceError, match="twice"):
        source("").restore("copy", [twice])


def test_load_scripts_are_read_as_duckdb_writes_them() -> None:
    text = (
        "COPY t FROM '/some where/it''s.parquet' (FORMAT 'parquet');\n"
        'COPY "Od d"."a ""b"".c; x" FROM \'C:\\x\\y.parquet\' (FORMAT \'parquet\', x 1);\n\n'
    )
    found = [Entry("main", "t", "it's.parquet"), Entry("Od d", 'a "b".c; x', "y.parquet")]
    assert entries(text) == found
    assert entries(written(found)) == found


# -------------------------------------------------------------------------------- around


def test_a_file_that_is_none_is_refused(source: Open, tmp_path: Path) -> None:
    adapter = source("")
    with pytest.raises(strongroom.DatabaseMissing):
        adapter.check()
    adapter.path.write_bytes(b"SQLite format 3\0" * 100)
    with pytest.raises(strongroom.SourceError, match="not a DuckDB database"):
        adapter.check()
    assert adapter.target_state("shop") is TargetState.FILLED


def test_a_host_that_is_not_this_machine_is_refused(source: Open, around: Surroundings) -> None:
    class Far(LocalHost):
        name, local = "far", False

    near = source()
    context = strongroom.Context(Far(around.cancel), around.cancel, around.context.scratch)
    far = DuckDB(near.config, context)
    for attempt in (far.check, lambda: far.dump("shop"), lambda: far.target_state("copy")):
        with pytest.raises(strongroom.ConfigError, match="not on far"):
            attempt()


def test_what_lacks_room_is_said_before_anything_is_fetched(source: Open) -> None:
    facts = BackupFacts("shop", "duckdb", "2.0.1", "", "tar", 1 << 60)
    with pytest.raises(strongroom.SourceError, match="are needed, and"):
        source().preflight("copy", facts)
    assert source("").preflight("copy", BackupFacts("shop", "duckdb", "9.1", "", "tar", 1))
    assert source("").preflight("copy", BackupFacts("shop", "duckdb", "1.4", "", "tar", 1)) == ()


def test_a_cancel_interrupts_an_export(source: Open, around: Surroundings) -> None:
    adapter = source("CREATE TABLE t AS SELECT range a, repeat('x', 200) || random() b FROM range(1000000)")
    with adapter.dump("shop") as dump:
        threading.Timer(0.05, around.cancel.cancel, ("enough",)).start()
        with pytest.raises(strongroom.Cancelled):
            list(dump)
    assert around.left() == []


def test_a_replaced_file_that_is_open_elsewhere_stays(source: Open, tmp_path: Path) -> None:
    adapter = source(lock_timeout=0.1)
    adapter.restore(adapter.beside_name("shop", "r1"), dumped(adapter, "shop")[0])
    script = f"import duckdb; c = duckdb.connect({str(adapter.path)!r}); print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline()
        with pytest.raises(strongroom.ConnectionFailed, match="open for writing"):
            adapter.replace("shop_r1.duckdb", "shop")
        holder.kill()
    assert sorted(path.name for path in tmp_path.glob("*.duckdb")) == ["shop.duckdb", "shop_r1.duckdb"]
    assert adapter.replace("shop_r1.duckdb", "shop") == "shop_before_r1.duckdb"


def test_nothing_is_painted_on_standard_output(tmp_path: Path) -> None:
    """A process that was started without a file of its own counts as a person's prompt to DuckDB."""
    line = (
        "from pathlib import Path; from engine.cancellation import CancelToken;"
        "from plugins.sources.duck.opening import opened\n"
        "with opened(None, Path.cwd(), 500, CancelToken()) as connection:\n"
        '    connection.execute("SET progress_bar_time = 1")\n'
        '    its = connection.execute("SELECT count(DISTINCT hash(i)) FROM range(6000000) t(i)").fetchall()\n'
        "assert its == [(6000000,)]\n"
    )
    root = Path(__file__).parents[4]
    done = subprocess.run(
        [sys.executable, "-c", line],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
    )
    assert (done.returncode, done.stdout) == (0, b"")
