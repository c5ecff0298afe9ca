"""The database side fails: each time the run says so in words that help, and half a dump is no backup."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.events import Status
from tests.faults.conftest import JOB, Gate
from tests.faults.places import Older
from tests.faults.servers import BULK, configure, crash, source_of, tools
from tests.faults.soundness import assert_sound, older
from tests.faults.three import Three
from tests.parts.commands import Installation
from tests.parts.postgres import PASSWORD, Server, running, server_folder

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults-postgres")]


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    """A server that the tests of this module may kill."""
    newest = max(major for major in range(13, 40) if server_folder(major) is not None)
    with running(newest) as server:
        server.create_database("shop", BULK)
        yield server


@pytest.fixture
def server(mortal: Server) -> Iterator[Server]:
    yield mortal
    if not mortal.is_running:
        mortal.start()
    for name in set(mortal.databases()) - {"postgres", "shop"}:
        mortal.drop_database(name)


def fails(installation: Installation, kind: str, *words: str) -> None:
    """Run the job; it fails with an error of that kind, which holds these words and no secret."""
    ended = installation.run("run", JOB, "--json", code=1)
    assert ended.document["status"] == "Failed"
    assert ended.document["backups"] == []
    error = ended.document["error"]
    assert error["kind"] == kind, error
    for word in words:
        assert word in error["message"] + error["remedy"]
    assert error["remedy"], "every error says what to do"
    assert PASSWORD not in ended.stdout + ended.stderr


def dumping(three: Three, server: Server, folder: str) -> None:
    """Let the job dump the database `shop` of a server, to all three places, by the tools of a folder."""
    three.installation.environ["SHOP_PASSWORD"] = PASSWORD
    three.configure(source=source_of(server, databases=["shop"], tools=folder))


def assert_nothing_new(three: Three, before: Older) -> None:
    """Every place is as it was `before`, with no upload under way."""
    assert three.before() == before
    assert [its.unfinished() for its in three.places.values()] == [[], [], []]


def test_a_wrong_password(installation: Installation, server: Server) -> None:
    configure(installation, server, databases=["shop"])
    before_it = installation.json("run", JOB)
    before = older(installation.folder / "disk")
    right, installation.environ["SHOP_PASSWORD"] = PASSWORD, "quite another one"
    configure(installation, server, databases=["shop"])
    fails(installation, "ConnectionFailed", "password", str(server.port))
    told = installation.json("check", "source", "shop", code=1)["error"]
    assert told["kind"] == "ConnectionFailed"
    assert "quite another one" not in str(told)

    installation.environ["SHOP_PASSWORD"] = right
    configure(installation, server, databases=["shop"])
    assert before_it["status"] == "Success"
    assert_sound(installation, JOB, before)


def test_an_unknown_host(installation: Installation, server: Server) -> None:
    configure(installation, server, host="db.invalid")
    fails(installation, "ConnectionFailed", "db.invalid")


def test_no_pg_dump_and_one_that_is_too_old(
    installation: Installation, server: Server, tmp_path: Path
) -> None:
    folder = Path(tools(tmp_path / "tools", server, {}))
    configure(installation, server, databases=["shop"], tools=str(folder))
    assert installation.json("run", JOB)["status"] == "Success"
    before = older(installation.folder / "disk")

    (folder / "pg_dump").unlink()
    fails(installation, "ToolMissing", "pg_dump", "postgresql-client")

    (folder / "pg_dump").write_text('#!/bin/sh\necho "pg_dump (PostgreSQL) 9.6.24"\n')
    (folder / "pg_dump").chmod(0o755)
    fails(installation, "ToolMissing", f"PostgreSQL {server.major}", "9.6", "postgresql-client")

    (folder / "pg_dump").unlink()
    (folder / "pg_dump").symlink_to(server.binaries / "pg_dump")
    assert_sound(installation, JOB, before)


def test_a_database_that_is_named_and_not_there(installation: Installation, server: Server) -> None:
    configure(installation, server, databases=["gone"])
    fails(installation, "DatabaseMissing", "'gone'")
    assert_sound(installation, JOB, again=Status.FAILED)


def test_one_of_several_databases_that_is_not_there_leaves_the_others_their_backups(
    installation: Installation, server: Server
) -> None:
    configure(installation, server, databases=["shop", "gone"])
    ended = installation.start("run", JOB, "--json").ended()
    assert ended.code == 3, ended.stderr
    assert ended.document["status"] == "Partial"
    assert ended.document["error"]["kind"] == "DatabaseMissing"
    assert "'gone'" in ended.document["error"]["message"]
    assert [its["database"] for its in ended.document["backups"]] == ["shop"]
    tested = installation.start("check", "source", "shop").ended()
    assert tested.code != 0
    assert "'gone'" in tested.stdout + tested.stderr
    assert_sound(installation, JOB, again=Status.PARTIAL)


def test_a_database_that_disappears_between_the_check_and_its_dump(
    installation: Installation, server: Server, gate: Gate, tmp_path: Path
) -> None:
    server.create_database("zweite", "CREATE TABLE t AS SELECT 1 AS a")
    script = f'case "$*" in *shop*) @REAL@ "$@" | {gate.held(1000)};; *) exec @REAL@ "$@";; esac'
    folder = tools(tmp_path / "tools", server, {"pg_dump": script})
    configure(installation, server, databases=["shop", "zweite"], tools=folder)
    command = installation.start("run", JOB, "--json")
    gate.reached()
    # Renamed, not dropped: DROP DATABASE waits for every backend to look up, and the one whose client
    # we hold looks up only when it can write on.
    server.sql("postgres", "ALTER DATABASE zweite RENAME TO elsewhere")
    gate.open()
    ended = command.ended()
    assert ended.code == 3, ended.stderr
    assert ended.document["status"] == "Partial"
    assert ended.document["error"]["kind"] == "DatabaseMissing"
    assert "zweite" in ended.document["error"]["message"]
    assert [its["database"] for its in ended.document["backups"]] == ["shop"]
    (disk,) = ended.document["destinations"]
    assert (disk["status"], disk["error"]) == ("Success", None), "the disk did all that was asked of it"
    (listed,) = installation.json("backups")
    assert listed["id"] == ended.document["backups"][0]["id"]
    assert listed["database"] == "shop"

    before = older(installation.folder / "disk")
    server.sql("postgres", "ALTER DATABASE elsewhere RENAME TO zweite")
    gate.open()
    assert_sound(installation, JOB, before)


def test_a_server_that_is_killed_in_the_middle_of_a_dump(
    three: Three, server: Server, gate: Gate, tmp_path: Path
) -> None:
    folder = tools(tmp_path / "tools", server, {"pg_dump": f'@REAL@ "$@" | {gate.held(100_000)}'})
    dumping(three, server, folder)
    gate.open()
    three.succeeds()
    gate.reached()
    before = three.before()

    command = three.installation.start("run", JOB, "--json")
    gate.reached()
    crash(server)
    gate.open()
    ended = command.ended()
    assert ended.code == 1, ended.stderr
    assert ended.document["error"]["kind"] == "ConnectionFailed"
    assert "Traceback" not in ended.stderr
    assert_nothing_new(three, before)

    fails(three.installation, "ConnectionFailed", "No server answers")
    server.start()
    gate.open()
    three.sound(before)


def test_a_pg_dump_that_is_killed(three: Three, server: Server, gate: Gate, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f'{{ echo $BASHPID > {pid}; exec @REAL@ "$@"; }} | {gate.held(100_000)}'
    dumping(three, server, tools(tmp_path / "tools", server, {"pg_dump": script}))
    before = three.before()
    command = three.installation.start("run", JOB, "--json")
    gate.reached()
    os.kill(int(pid.read_text()), signal.SIGKILL)
    gate.open()
    ended = command.ended()
    assert ended.code == 1, ended.stderr
    assert ended.document["error"]["kind"] == "ToolFailed"
    assert "pg_dump" in ended.document["error"]["message"]
    assert_nothing_new(three, before)
    gate.open()
    three.sound(before)


def test_an_exit_status_that_comes_after_the_last_byte_fails_the_run(
    three: Three, server: Server, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    script = f'@REAL@ "$@"; status=$?; [ -e {broken} ] && exit 7; exit $status'
    dumping(three, server, tools(tmp_path / "tools", server, {"pg_dump": script}))
    three.succeeds()
    before = three.before()
    broken.touch()
    fails(three.installation, "ToolFailed", "pg_dump", "7")
    assert_nothing_new(three, before)
    assert len(three.installation.json("backups")) == 3
    broken.unlink()
    three.sound(before)
