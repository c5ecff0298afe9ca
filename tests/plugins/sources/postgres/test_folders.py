"""The directory format: several workers, one snapshot, a tar that holds nothing else."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import strongroom
from engine.hosts.local import LocalHost
from plugins.sources.postgres import checking
from plugins.sources.postgres.folders import room, unpacked
from plugins.sources.postgresql import PostgreSQL
from strongroom.testing import Surroundings
from strongroom.testing.laboratory import dumped
from tests.parts.postgres import Server, newest_alone, tools_folder

Open = Callable[..., PostgreSQL]

SHOP = """
CREATE TABLE "Größe" AS SELECT g AS a, repeat('ü', 100) AS b FROM generate_series(1, 3000) g;
CREATE TABLE small AS SELECT g AS a FROM generate_series(1, 7) g;
CREATE TABLE hollow (a int);
SELECT lo_from_bytea(4711, '\\x00ff10');
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's temporary folder is this test's own, and empty after it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_workers_dump_one_snapshot_into_a_tar(
    server: Server, open_on: Open, tmp_path: Path, temporary: Path
) -> None:
    server.create_database("shop", SHOP)
    source = open_on(server, databases=["shop"], parallel=3)
    assert source.extension_for("shop") == "dir.tar"
    report = source.check()
    assert not any("room" in note for note in report.notes)
    with source.dump("shop") as dump:
        assert "--snapshot=" in dump.details
        chunks = list(dump)
        counted = dump.fingerprint()
    assert counted is not None
    assert dict(counted.tables) == {"public.Größe": 3000, "public.small": 7, "public.hollow": 0}
    assert list(temporary.iterdir()) == []
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        names = archive.getnames()
    assert names[0] == "toc.dat"
    assert all("/" not in name and not name.endswith(".gz") for name in names)
    plain = open_on(server, restore_jobs=2)
    plain.restore("copy", chunks)
    assert list(temporary.iterdir()) == []
    assert server.rows("copy") == server.rows("shop")
    assert server.sql("copy", "SELECT lo_get(4711)") == server.sql("shop", "SELECT lo_get(4711)")
    assert counted.differences(plain.fingerprint("copy")) == []
    # And the standard tools alone read it, by the command for people.
    server.create_database("plain")
    (tmp_path / "shop.dir.tar").write_bytes(b"".join(chunks))
    environment = {**server.environment(), "PATH": f"{server.binaries}:/usr/bin:/bin"}
    command = f"{source.restore_command('plain')} < shop.dir.tar"
    subprocess.run(["sh", "-c", command], check=True, cwd=tmp_path, env=environment, timeout=60)
    assert server.rows("plain") == server.rows("shop")


WRITER = """
import itertools, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, text=True)
for number in itertools.count(1):
    child.stdin.write("BEGIN; INSERT INTO a VALUES (1); INSERT INTO b VALUES (1); COMMIT;\\n")
    child.stdin.write(f"\\\\echo {number}\\n")
    child.stdin.flush()
"""


def test_all_workers_see_the_same_while_others_write(server: Server, open_on: Open) -> None:
    bulk = "CREATE TABLE bulk AS SELECT repeat(md5(g::text), 30) AS a FROM generate_series(1, 5000) g"
    server.create_database("busy", f"CREATE TABLE a (x int); CREATE TABLE b (x int); {bulk}")
    psql = [str(server.binaries / "psql"), "-X", "-q", "-d", "busy", "-v", "ON_ERROR_STOP=1"]
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, *psql], stdout=subprocess.PIPE, env=server.environment()
    ) as writer:
        assert writer.stdout is not None
        try:
            for _ in range(20):
                assert writer.stdout.readline()
            source = open_on(server, parallel=4)
            chunks, counted = dumped(source, "busy")
            assert writer.poll() is None
        finally:
            writer.kill()
    assert counted.consistent
    assert counted.tables["public.a"] == counted.tables["public.b"] >= 20
    source.restore("copy", chunks)
    assert counted.differences(source.fingerprint("copy")) == []


@newest_alone
@pytest.mark.parametrize("part", [0.0, 0.3, 0.97, 1.0])
def test_a_cut_tar_is_refused_and_leaves_nothing(
    server: Server, open_on: Open, part: float, temporary: Path
) -> None:
    server.create_database("shop", SHOP)
    source = open_on(server, format="directory")
    whole = b"".join(dumped(source, "shop")[0]).rstrip(b"\0")  # what pads the end is no loss
    with pytest.raises(strongroom.SourceError):
        source.restore("copy", [whole[: int(len(whole) * part)]])
    assert "copy" not in server.databases()
    assert list(temporary.iterdir()) == []


def evil(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", content: bytes = b"x") -> bytes:
    """An archive with a table of contents, and something else."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
        first = tarfile.TarInfo("toc.dat")
        first.size = 5
        archive.addfile(first, io.BytesIO(b"PGDMP"))
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, link
        member.size = len(content) if kind == tarfile.REGTYPE else 0
        archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


@pytest.mark.parametrize(
    "archive",
    [
        evil("../out"),
        evil("/tmp/strongroom-out"),
        evil("folder/file"),
        evil("link", tarfile.SYMTYPE, "/etc/passwd"),
        evil("hard", tarfile.LNKTYPE, "toc.dat"),
        evil("toc.dat"),
        evil("device", tarfile.CHRTYPE),
        evil("-rf"),
        evil("x" * 200),
    ],
)
def test_what_is_no_file_of_a_dump_never_reaches_tar(
    around: Surroundings, temporary: Path, archive: bytes
) -> None:
    with pytest.raises(strongroom.SourceError, match="archive holds"), unpacked(around.context, [archive]):
        pytest.fail("it was taken")
    with (
        pytest.raises(strongroom.SourceError),
        unpacked(around.context, [archive[at : at + 100] for at in range(0, len(archive), 100)]),
    ):
        pytest.fail("it was taken")
    assert list(temporary.iterdir()) == []


@newest_alone
def test_a_cancel_ends_the_workers(
    server: Server, open_on: Open, around: Surroundings, tmp_path: Path
) -> None:
    server.create_database("shop", SHOP)
    version = 'case "$1" in --version) exec "@REAL@" "$@";; esac\n'
    tools = tools_folder(tmp_path / "tools", server.binaries, {"pg_dump": version + "sleep 60"})
    source = open_on(server, parallel=2, tools=str(tools))
    with source.dump("shop") as dump:
        threading.Timer(0.2, around.cancel.cancel, args=("enough",)).start()
        with pytest.raises(strongroom.Cancelled):
            list(dump)


@newest_alone
@pytest.mark.parametrize("how", ["killed", "late status"])
def test_a_dump_tool_that_fails_fails_the_dump(
    server: Server, open_on: Open, tmp_path: Path, temporary: Path, how: str
) -> None:
    server.create_database("shop", SHOP)
    end = {"killed": "kill -9 $$", "late status": "exit 7"}[how]
    version = 'case "$1" in --version) exec "@REAL@" "$@";; esac\n'
    tools = tools_folder(tmp_path / "tools", server.binaries, {"pg_dump": f'{version}"@REAL@" "$@"\n{end}'})
    source = open_on(server, parallel=2, tools=str(tools))
    with source.dump("shop") as dump, pytest.raises(strongroom.ToolFailed):
        list(dump)
    assert list(temporary.iterdir()) == []


@newest_alone
def test_room_is_looked_for(
    server: Server, open_on: Open, around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = room(LocalHost(around.cancel))
    assert free is not None and free > 1 << 20
    server.create_database("shop", SHOP)
    source = open_on(server, databases=["shop"], format="directory")
    monkeypatch.setattr(checking, "room", lambda host: 1000)
    with pytest.raises(strongroom.SourceError, match="no room") as caught:
        source.check()
    assert "TMPDIR" in caught.value.remedy
    monkeypatch.setattr(checking, "room", lambda host: None)
    assert any("could not be told" in note for note in source.check().notes)
