"""A whole cluster for real: streamed, verified, restored, started, and compared with the one it came from.

The conformance suite for sources fills and reads databases under names of the source's own; here the source
has one "database", which is the server, and its targets are folders. So what the suite asks is asked here.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

import strongroom
from engine.contract.config import build, split_secrets
from engine.errors import ConfigError
from plugins.sources.postgres import trial
from plugins.sources.postgres.session import Psql
from plugins.sources.postgresql_physical import PostgreSQLPhysical
from strongroom import BackupFacts, TargetState
from strongroom.testing import Surroundings
from strongroom.testing.laboratory import dumped
from tests.parts.postgres import PASSWORD, Server, newest_alone, server_folder, tools_folder

Open = Callable[..., PostgreSQLPhysical]

SHOP = """
CREATE TABLE t AS SELECT g AS a, repeat('ü', 50) AS b FROM generate_series(1, 2000) g;
CREATE TABLE parted (a int) PARTITION BY RANGE (a);
CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (100);
INSERT INTO parted SELECT g FROM generate_series(0, 99) g;
CREATE TABLE hashed (a int) PARTITION BY HASH (a);
CREATE TABLE hashed0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO hashed SELECT g FROM generate_series(1, 30) g;
"""
ALL_TOOLS = ("psql", "pg_basebackup", "pg_verifybackup", "pg_waldump", "postgres", "pg_ctl")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that the user of a restored server can reach, with a short name."""
    folder = Path(tempfile.mkdtemp(prefix="phys-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def open_cluster(around: Surroundings, place: Path) -> Open:
    def opener(server: Server, **values: object) -> PostgreSQLPhysical:
        chosen = {"tools": str(server.binaries), "scratch_directory": str(place), **values}
        return PostgreSQLPhysical(build(PostgreSQLPhysical.Config, server.values(**chosen)), around.context)

    return opener


def running_in(place: Path) -> list[str]:
    """The processes whose working folder is below a place: servers that were started there."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str((process / "cwd").readlink()).startswith(str(place)):
                found.append(process.name)
        except OSError:
            continue
    return found


# ------------------------------------------------------------------------------------- looking


def test_a_check_finds_a_server_that_can_be_copied(server: Server, open_cluster: Open) -> None:
    source = open_cluster(server)
    report = source.check()
    assert report.databases == ("cluster",)
    assert report.engine == "postgresql-physical"
    assert report.version.startswith(f"{server.major}.")
    assert {tool.name for tool in report.tools} == {"pg_basebackup", "pg_verifybackup", "postgres", "psql"}
    assert any("wal_keep_size" in note for note in report.notes)
    assert not any("outside of the data directory" in note for note in report.notes)
    assert source.databases() == ["cluster"]


def test_a_user_that_may_not_replicate_is_told(server: Server, open_cluster: Open) -> None:
    server.sql("postgres", "CREATE ROLE copier LOGIN PASSWORD 'pw'")
    copier = open_cluster(server, user="copier", password="pw")
    with pytest.raises(strongroom.SourceError, match="'copier' may not replicate") as caught:
        copier.check()
    assert "ALTER ROLE copier REPLICATION" in caught.value.remedy
    with pytest.raises(strongroom.SourceError):
        dumped(copier, "cluster")
    server.sql("postgres", "ALTER ROLE copier REPLICATION")
    again = open_cluster(server, user="copier", password="pw")
    assert again.check().databases == ("cluster",)
    assert dumped(again, "cluster")[1].tables["files"] > 500


@newest_alone
def test_a_server_that_lets_no_replication_in_is_told(server: Server, open_cluster: Open) -> None:
    hba = server.data / "pg_hba.conf"
    before = hba.read_text(encoding="utf-8")
    lines = [line for line in before.splitlines() if "replication" not in line]
    try:
        hba.write_text("\n".join(lines) + "\n", encoding="utf-8")
        server.sql("postgres", "SELECT pg_reload_conf()")
        with pytest.raises(strongroom.ConnectionFailed, match="replication") as caught:
            while True:  # until the server has read it
                open_cluster(server).check()
        assert "host replication postgres" in caught.value.remedy
    finally:
        hba.write_text(before, encoding="utf-8")
        server.sql("postgres", "SELECT pg_reload_conf()")


@newest_alone
def test_tablespaces_are_refused(server: Server, open_cluster: Open, place: Path) -> None:
    owner = server.data.stat()
    folder = place / "tablespace"
    folder.mkdir()
    os.chown(folder, owner.st_uid, owner.st_gid)
    server.sql("postgres", f"CREATE TABLESPACE fast LOCATION '{folder}'")
    try:
        with pytest.raises(strongroom.SourceError, match="has 1 tablespace of its own") as caught:
            open_cluster(server).check()
        assert "the source postgresql" in caught.value.remedy
        with pytest.raises(strongroom.SourceError):
            dumped(open_cluster(server), "cluster")
    finally:
        server.sql("postgres", "DROP TABLESPACE fast")


def test_the_tool_is_of_the_servers_own_version(old: Server, new: Server, open_cluster: Open) -> None:
    for server, other in ((old, 18), (new, 15)):
        source = open_cluster(server, tools=str(server_folder(other)))
        for attempt in (source.check, lambda source=source: dumped(source, "cluster")):
            with pytest.raises(strongroom.ToolMissing, match=f"needs pg_basebackup {server.major}; "):
                attempt()
        found = {tool.name: tool.version for tool in open_cluster(server, tools="").check().tools}
        assert found["pg_basebackup"].startswith(f"{server.major}.")


@newest_alone
def test_a_wrong_password_is_said_and_not_shown(server: Server, open_cluster: Open) -> None:
    source = open_cluster(server, password="not-the-Password-1")
    for attempt in (source.check, source.databases, lambda: dumped(source, "cluster")):
        with pytest.raises(strongroom.ConnectionFailed, match="password") as caught:
            attempt()
        assert "not-the-Password-1" not in f"{caught.value!r} {caught.value.remedy} {source.config!r}"


@newest_alone
def test_a_url_is_taken_apart(server: Server) -> None:
    config = build(PostgreSQLPhysical.Config, {"url": server.url("shop")})
    public, hidden = split_secrets(config)
    assert public == {"host": "127.0.0.1", "port": server.port, "maintenance_database": "shop"}
    assert hidden == {"password": PASSWORD}


# ----------------------------------------------------------------------- dumping and restoring


def start(server: Server, folder: Path) -> Iterator[int]:
    """Run a restored cluster as its configuration says, on a port of its own."""
    with tempfile.TemporaryDirectory(prefix="sock-", dir="/tmp") as sockets:
        owner = (folder / "PG_VERSION").stat()
        os.chown(sockets, owner.st_uid, owner.st_gid)
        account = (
            {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if not os.geteuid() else {}
        )
        child = subprocess.Popen(
            [
                *(str(server.binaries / "postgres"), "-D", str(folder), "-k", sockets),
                *("-c", "listen_addresses=", "-c", "port=5433"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **account,  # type: ignore[call-overload]
        )
        try:
            yield sockets  # type: ignore[misc]
        finally:
            child.send_signal(signal.SIGINT)
            child.wait(30)


def test_a_restored_cluster_starts_and_is_what_was_copied(
    server: Server, open_cluster: Open, place: Path, around: Surroundings
) -> None:
    server.create_database("shöp", SHOP)
    server.sql("postgres", "CREATE ROLE keeper")
    source = open_cluster(server)
    with source.dump("cluster") as dump:
        chunks = list(dump)
        counted = dump.fingerprint()
        assert PASSWORD not in dump.details
    assert counted is not None and counted.consistent
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        members = archive.getmembers()
    assert counted.tables["files"] == sum(member.isfile() for member in members)
    assert counted.tables["bytes"] == sum(member.size for member in members)
    target = place / "we ird'ü"
    assert source.target_state(str(target)) is TargetState.MISSING
    source.restore(str(target), chunks)
    assert target.stat().st_mode & 0o777 == 0o700
    assert counted.differences(source.fingerprint(str(target))) == []
    assert counted.differences(open_cluster(server).fingerprint(str(target))) == []
    assert any("as pg_verifybackup says" in text for text, _ in around.log)
    for sockets in start(server, target):
        environment = {**server.environment(), "PGHOST": str(sockets), "PGPORT": "5433"}

        def ask(sql: str, database: str = "shöp", environment: dict[str, str] = environment) -> str:
            argv = [str(server.binaries / "psql"), "-XAtc", sql, database]
            for _ in range(200):
                done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=30)
                if done.returncode == 0:
                    return done.stdout.strip()
                threading.Event().wait(0.05)
            raise AssertionError(done.stderr)

        for question in ("SELECT count(*), sum(a), sum(length(b)) FROM t", "SELECT count(*) FROM parted"):
            assert ask(question) == server.sql("shöp", question)
        assert ask("SELECT count(*) FROM pg_roles WHERE rolname = 'keeper'") == "1"


def test_a_cluster_is_copied_while_others_write(server: Server, open_cluster: Open, place: Path) -> None:
    server.create_database("busy", "CREATE TABLE a (x int); CREATE TABLE b (x int)")
    argv = [str(server.binaries / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "busy"]
    pair = b"BEGIN; INSERT INTO a VALUES (1); INSERT INTO b VALUES (1); COMMIT;\n"
    source = open_cluster(server)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, env=server.environment()) as writer:
        assert writer.stdin is not None
        stop = threading.Event()
        stdin = writer.stdin

        def write() -> None:
            while not stop.is_set():
                stdin.write(pair)
                stdin.flush()

        thread = threading.Thread(target=write)
        thread.start()
        try:
            chunks, counted = dumped(source, "cluster")
        finally:
            stop.set()
            thread.join()
            stdin.close()
    name = source.scratch_name("cluster", "drill_1", place)
    source.restore(name, chunks)
    assert counted.differences(source.fingerprint(name)) == []
    source.drop(name)


# What a backup's own configuration may ask for, and what holds in a drill.
QUIET = {
    "archive_mode": ("on", "off"),
    "listen_addresses": ("'*'", ""),
    "shared_preload_libraries": ("'not_there'", ""),
    "max_logical_replication_workers": ("7", "0"),
}


def test_a_drill_starts_the_cluster_reads_all_of_it_and_leaves_nothing(
    server: Server,
    open_cluster: Open,
    place: Path,
    around: Surroundings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.create_database("shop", SHOP)
    for setting, (wanted, _) in QUIET.items():
        server.sql("postgres", f"ALTER SYSTEM SET {setting} = {wanted}")
    try:
        source = open_cluster(server)
        chunks, counted = dumped(source, "cluster")
    finally:
        for setting in QUIET:
            server.sql("postgres", f"ALTER SYSTEM RESET {setting}")
    seen: dict[str, str] = {}
    real = trial._count

    def looking(psql: Psql, version: str) -> trial.Read:
        seen.update({name: psql.ask("template1", f"SHOW {name};")[0][0] for name in QUIET})
        return real(psql, version)

    monkeypatch.setattr(trial, "_count", looking)
    name = source.scratch_name("cluster", "drill_1", place)
    assert source.target_state(name) is TargetState.MISSING
    source.restore(name, chunks)
    assert counted.differences(source.fingerprint(name)) == []
    said = next(text for text, _ in around.log if "recovered to a consistent state" in text)
    assert "6 tables, 2,130 rows" in said
    assert seen == {name: held for name, (_, held) in QUIET.items()}
    assert running_in(place) == []
    source.drop(name)
    source.drop(name)
    assert list(place.iterdir()) == []


def test_a_page_that_is_damaged_fails_the_drill(server: Server, open_cluster: Open, place: Path) -> None:
    """Damage that the manifest does not know: the file was broken before it was copied."""
    server.create_database("shop", SHOP + "CHECKPOINT;")
    file = server.data / server.sql("shop", "SELECT pg_relation_filepath('t')")
    server.sql("shop", "CHECKPOINT")
    with file.open("r+b") as stream:
        stream.seek(8192)
        stream.write(b"\xff" * 4096)
    source = open_cluster(server)
    name = source.scratch_name("cluster", "drill_1", place)
    # pg_basebackup sees it itself where the server has checksums, as 18 has by default.
    try:
        chunks, _ = dumped(source, "cluster")
    except strongroom.SourceError as error:
        assert "checksum" in error.message
        return
    with pytest.raises(strongroom.ToolFailed, match="invalid page"):
        source.restore(name, chunks)
    assert list(place.iterdir()) == []
    assert running_in(place) == []


# ------------------------------------------------------------------------------- what must not pass


@pytest.fixture
def whole(server: Server, open_cluster: Open) -> bytes:
    """A base backup."""
    return b"".join(dumped(open_cluster(server), "cluster")[0])


@newest_alone
def test_what_is_not_whole_is_refused_and_leaves_nothing(
    server: Server, open_cluster: Open, place: Path, whole: bytes
) -> None:
    source = open_cluster(server)
    (place / "hollow").mkdir()
    flipped = bytearray(whole)
    at = whole.index(b"PG_VERSION\0") + 512
    flipped[at : at + 2] = b"19" if server.major == 18 else b"18"

    broken = bytearray(whole)  # a bit of one file, which tar does not notice and the manifest does
    broken[whole.index(b"postgresql.conf\0") + 600] ^= 1

    def failing() -> Iterator[bytes]:
        yield whole
        raise strongroom.ChecksumMismatch("flipped")

    attempts: list[tuple[type[Exception], Sequence[bytes] | Iterator[bytes]]] = [
        (strongroom.SourceError, []),
        (strongroom.SourceError, [whole[: len(whole) // 3]]),
        (strongroom.SourceError, [whole[: -(1 << 16)]]),
        (strongroom.SourceError, [whole.rstrip(b"\0")]),
        (strongroom.SourceError, [b"\\! touch /tmp/owned\n" * 1000]),
        (strongroom.SourceError, [bytes(flipped)]),
        (strongroom.ToolFailed, [bytes(broken)]),
        (strongroom.ChecksumMismatch, failing()),
    ]
    for kind, chunks in attempts:
        with pytest.raises(kind):
            source.restore(str(place / "copy"), chunks)
        assert not (place / "copy").exists()
    with pytest.raises(strongroom.SourceError):
        source.restore(str(place / "hollow"), [whole[: len(whole) // 3]])
    assert source.target_state(str(place / "hollow")) is TargetState.EMPTY
    source.restore(str(place / "hollow"), [whole])
    before = sorted(path.name for path in (place / "hollow").iterdir())
    with pytest.raises(strongroom.TargetNotEmpty):
        source.restore(str(place / "hollow"), [whole])
    assert sorted(path.name for path in (place / "hollow").iterdir()) == before


def with_member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.size = kind, link, 1 if kind == tarfile.REGTYPE else 0
        archive.addfile(member, io.BytesIO(b"x"))
    return file.getvalue()


@pytest.mark.parametrize(
    "archive",
    [
        with_member("/tmp/strongroom-out"),
        with_member("base/../../out"),
        with_member("pg_tblspc/1", tarfile.SYMTYPE, "/etc"),
        with_member("base/1", tarfile.LNKTYPE, "/etc/passwd"),
        with_member("base/1", tarfile.FIFOTYPE),
    ],
)
def test_nothing_is_written_outside_of_the_folder(
    new: Server, open_cluster: Open, place: Path, archive: bytes
) -> None:
    with pytest.raises(strongroom.SourceError, match="archive holds"):
        open_cluster(new).restore(str(place / "copy"), [archive])
    assert list(place.iterdir()) == []
    assert not Path("/tmp/strongroom-out").exists()


@pytest.mark.parametrize("name", ["copy", "cluster", "/", "", "a/b"])
def test_a_target_is_a_folder(new: Server, open_cluster: Open, name: str) -> None:
    with pytest.raises(ConfigError, match="restored into a folder"):
        open_cluster(new).target_state(name)


def test_the_folder_of_a_restore_is_a_choice(new: Server, open_cluster: Open, place: Path) -> None:
    source = open_cluster(new, restore_directory=str(place / "copy"))
    assert source.restored_name("cluster") == "cluster"
    assert source.folder_of("cluster") == str(place / "copy")
    assert source.beside_name("cluster", "r1") == str(place / "copy_r1")


@newest_alone
def test_no_folder_is_replaced_or_dropped_under_a_server(server: Server, open_cluster: Open) -> None:
    source = open_cluster(server)
    for harm in (lambda: source.drop(str(server.data)), lambda: source.replace("/tmp/x", str(server.data))):
        with pytest.raises(strongroom.SourceError, match="server runs in"):
            harm()
    assert server.sql("postgres", "SELECT 1") == "1"


def test_a_folder_is_replaced_and_the_old_one_kept(
    new: Server, open_cluster: Open, place: Path, around: Surroundings
) -> None:
    source = open_cluster(new)
    (place / "data").mkdir()
    (place / "data" / "mine").write_text("precious", encoding="utf-8")
    beside = source.beside_name(str(place / "data"), "r1")
    source.restore(beside, dumped(source, "cluster")[0])
    kept = source.replace(beside, str(place / "data"))
    assert kept is not None
    assert (Path(kept) / "mine").read_text(encoding="utf-8") == "precious"
    assert (place / "data" / "PG_VERSION").exists()
    assert any(f"postgres -D {place / 'data'};" in text for text, _ in around.log)


@newest_alone
@pytest.mark.parametrize("how", ["killed", "late status", "cut"])
def test_a_tool_that_fails_fails_the_dump(
    server: Server, open_cluster: Open, tmp_path: Path, how: str
) -> None:
    end = {
        "killed": '"@REAL@" "$@" | head -c 1500000; kill -9 $$',
        "late status": '"@REAL@" "$@"; exit 7',
        "cut": '"@REAL@" "$@" | head -c 1500000; exit 0',
    }[how]
    script = f'case "$1" in --version) exec "@REAL@" "$@";; esac\n{end}'
    tools = tools_folder(tmp_path / "tools", server.binaries, {"pg_basebackup": script}, tools=ALL_TOOLS)
    source = open_cluster(server, tools=str(tools))
    with source.dump("cluster") as dump, pytest.raises(strongroom.SourceError) as caught:
        list(dump)
    assert caught.value.remedy


def test_a_database_is_no_cluster(new: Server, open_cluster: Open) -> None:
    with pytest.raises(strongroom.DatabaseMissing, match="'gone'"):
        dumped(open_cluster(new), "gone")


# -------------------------------------------------------------------------------------- cancelling


@newest_alone
def test_a_cancel_ends_a_dump_and_a_drill(
    server: Server, open_cluster: Open, place: Path, around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_cluster(server)
    chunks, _ = dumped(source, "cluster")
    name = source.scratch_name("cluster", "drill_1", place)
    real = trial._count

    def cancelling(psql: object, version: str) -> object:
        around.cancel.cancel("enough")
        return real(psql, version)  # type: ignore[arg-type]

    monkeypatch.setattr(trial, "_count", cancelling)
    with pytest.raises(strongroom.Cancelled):
        source.restore(name, chunks)
    assert running_in(place) == []
    # What a cancelled source could not clear away any more, whoever asked for the restore drops.
    fresh = PostgreSQLPhysical(source.config, Surroundings(around.folder).context)
    fresh.drop(name)
    assert list(place.iterdir()) == []
    with pytest.raises(strongroom.Cancelled), source.dump("cluster") as dump:
        list(dump)


@newest_alone
def test_a_drill_that_was_cut_off_is_cleared_away(server: Server, open_cluster: Open, place: Path) -> None:
    source = open_cluster(server)
    name = source.scratch_name("cluster", "drill_1", place)
    source.restore(name, dumped(source, "cluster")[0])
    owner = Path(name, "PG_VERSION").stat()
    account = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if not os.geteuid() else {}
    child = subprocess.Popen(
        [
            *(str(server.binaries / "postgres"), "-D", name, "-k", name, "-c", "listen_addresses="),
            *("-c", f"hba_file={name}/strongroom.hba"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **account,  # type: ignore[call-overload]
    )
    try:
        while not Path(name, "postmaster.pid").exists():
            assert child.poll() is None
            threading.Event().wait(0.02)
        source.drop(name)
        child.wait(30)
    finally:
        child.kill()
        child.wait()
    assert list(place.iterdir()) == []


# -------------------------------------------------------------------------------------- preflight


def test_before_a_restore_tools_and_room_are_looked_for(
    old: Server, open_cluster: Open, place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def facts(version: str, size: int = 1000) -> BackupFacts:
        return BackupFacts("cluster", "postgresql-physical", version, "", "base.tar", size)

    source = open_cluster(old)
    target = str(place / "new" / "copy")
    assert source.preflight(target, facts("15.2")) == ()
    with pytest.raises(strongroom.ToolMissing, match="needs pg_verifybackup 18"):
        source.preflight(target, facts("18.1"))
    with pytest.raises(strongroom.SourceError, match="MiB are free"):
        source.preflight(target, facts("15.2", 1 << 60))
    some = tools_folder(tmp_path / "tools", old.binaries, tools=("psql", "pg_verifybackup"))
    (note,) = open_cluster(old, tools=str(some)).preflight(target, facts("15.2"))
    assert "cannot be started here" in note
