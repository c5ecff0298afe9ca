"""Firebird: what a database holds comes back, by path and by alias, with a server and without one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import strongroom
from engine.contract.config import build
from engine.hosts.local import LocalHost
from plugins.sources.bird.failures import failure
from plugins.sources.bird.streaming import counted
from plugins.sources.bird.tools import Server as Place
from plugins.sources.firebird import Firebird
from strongroom import BackupFacts, TargetState
from strongroom.testing.laboratory import Surroundings, dumped
from tests.parts.firebird import PASSWORD, Server, firebird  # noqa: F401 - a fixture
from tests.parts.postgres import tools_folder

THINGS = """
CREATE DOMAIN money AS DECIMAL(18, 4) CHECK (VALUE >= 0);
CREATE GENERATOR numbers;
SET GENERATOR numbers TO 4711;
CREATE EXCEPTION too_much 'too much';
CREATE TABLE "Tä b'le" (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(200), price money,
  raw BLOB SUB_TYPE BINARY, since TIMESTAMP, good BOOLEAN, twice COMPUTED BY (id * 2));
CREATE TABLE child (id INTEGER NOT NULL PRIMARY KEY,
  parent INTEGER REFERENCES "Tä b'le" (id) ON DELETE CASCADE);
CREATE GLOBAL TEMPORARY TABLE passing (a INTEGER) ON COMMIT PRESERVE ROWS;
CREATE DESCENDING INDEX by_name ON "Tä b'le" (name);
CREATE VIEW dear AS SELECT * FROM "Tä b'le" WHERE price > 10;
SET TERM ^;
CREATE TRIGGER numbered FOR "Tä b'le" BEFORE INSERT AS BEGIN
  IF (NEW.id IS NULL) THEN NEW.id = GEN_ID(numbers, 1); END^
CREATE PROCEDURE total RETURNS (n BIGINT) AS BEGIN SELECT COUNT(*) FROM "Tä b'le" INTO :n; SUSPEND; END^
CREATE FUNCTION plus_one(a INTEGER) RETURNS INTEGER AS BEGIN RETURN a + 1; END^
SET TERM ;^
COMMIT;
INSERT INTO "Tä b'le" (name, price, raw, since, good)
  VALUES ('Zoë 漢', 12.5, x'00FF10', '2024-02-29 10:00:00', TRUE);
INSERT INTO "Tä b'le" (name, price) VALUES (NULL, 0);
INSERT INTO child VALUES (1, 4712);
COMMIT;
"""
LOOK = """SET LIST ON; SET BLOB ALL;
SELECT * FROM "Tä b'le" ORDER BY id; SELECT * FROM child; SELECT * FROM dear; SELECT * FROM total;
SELECT plus_one(2) AS three, GEN_ID(numbers, 0) AS numbers FROM rdb$database;
SELECT rdb$index_name, COALESCE(rdb$index_type, 0), rdb$unique_flag FROM rdb$indices
  WHERE rdb$system_flag = 0 ORDER BY 1;
SELECT rdb$trigger_name FROM rdb$triggers WHERE rdb$system_flag = 0 ORDER BY 1;
"""

Open = Callable[..., Firebird]


@pytest.fixture
def server(firebird: Server) -> Iterator[Server]:  # noqa: F811
    before = firebird.files()
    yield firebird
    for path in firebird.files() - before:
        path.unlink()


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    return Surroundings(tmp_path)


@pytest.fixture
def source(server: Server, around: Surroundings) -> Open:
    def opened(*databases: str, **values: object) -> Firebird:
        chosen = server.values(databases=list(databases), **values)
        return Firebird(build(Firebird.Config, {**chosen, **values}), around.context)

    return opened


def looked(server: Server, database: str) -> list[str]:
    """What the statements show; the numbers of blobs are a database's own."""
    text = server.isql(LOOK, database)
    return [line for line in text.splitlines() if not line.startswith("RAW ")]


def test_everything_in_a_database_comes_back(server: Server, source: Open) -> None:
    name = server.make("things", {})
    server.isql(THINGS, name)
    adapter = source(name)
    chunks, rows = dumped(adapter, name)
    assert dict(rows.tables) == {"Tä b'le": 2, "CHILD": 1, "PASSING": 0}
    adapter.restore("copy", chunks)
    assert looked(server, "copy") == looked(server, name)
    assert "4713" in "".join(looked(server, "copy"))
    assert rows.differences(adapter.fingerprint("copy")) == []


def test_an_alias_is_as_good_as_a_path(server: Server, source: Open) -> None:
    path = server.make("of alias", {"t": [(1, "one")]})
    adapter = source("by_alias")
    assert adapter.check().databases == ("by_alias",)
    assert adapter.can_replace
    chunks, _ = dumped(adapter, "by_alias")
    beside = adapter.beside_name("by_alias", "r1")
    assert beside == path.replace("of alias", "of alias_r1")
    adapter.restore(beside, chunks)
    server.isql("INSERT INTO \"t\" VALUES (2, 'gone after the swap');\nCOMMIT;\n", path)
    kept = adapter.replace(beside, "by_alias")
    assert kept == path.replace("of alias", "of alias_before_r1")
    assert server.rows(path) == {"t": [(1, "one")]}
    assert len(server.rows(kept)["t"]) == 2
    assert adapter.restored_name("/some/where.fdb") == "by_alias"


def test_who_is_connected_is_thrown_out_before_a_swap(server: Server, source: Open) -> None:
    """A server would go on with the renamed file, and its client would write into what goes."""
    path = server.make("busy", {"t": [(1, "old")]})
    adapter = source(path)
    adapter.restore(adapter.beside_name(path, "r1"), dumped(adapter, path)[0])
    argv, env = server.client(path)
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(argv, env=env, **pipes) as held:
        assert held.stdin is not None and held.stdout is not None
        held.stdin.write(b"SET HEADING OFF;\nSELECT 'here' FROM rdb$database;\n")
        held.stdin.flush()
        while b"here" not in held.stdout.readline():
            pass
        kept = adapter.replace(adapter.beside_name(path, "r1"), path)
        _, said = held.communicate(b"INSERT INTO \"t\" VALUES (9, 'lost');\nCOMMIT;\n", timeout=60)
        assert held.returncode != 0
        assert b"Statement failed" in said
    assert kept is not None
    assert server.rows(path) == server.rows(kept) == {"t": [(1, "old")]}


class Crash(BaseException):
    """What ends a process, and lets nothing be tidied up."""


def test_a_swap_that_dies_at_any_step_is_finished_or_was_not_begun(
    server: Server, source: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = LocalHost.capture
    moment = 0
    ends = []

    def dying(self: LocalHost, argv: list[str], **more: Any) -> Any:
        nonlocal moment
        if argv[0] == "mv" or "-shut" in argv or "-online" in argv:
            if moment == 0:
                raise Crash
            moment -= 1
        return capture(self, argv, **more)

    for step in range(10):
        path = server.make(f"dying{step}", {"t": [(1, "new")]})
        adapter = source(path)
        beside = adapter.beside_name(path, "r1")
        adapter.restore(beside, dumped(adapter, path)[0])
        server.isql("UPDATE \"t\" SET words = 'old';\nCOMMIT;\n", path)
        moment = step
        monkeypatch.setattr(LocalHost, "capture", dying)
        try:
            adapter.replace(beside, path)
            break
        except Crash:
            pass
        finally:
            monkeypatch.setattr(LocalHost, "capture", capture)
        took = source(path).resume_replace(beside, path)
        ends.append(took)
        assert server.rows(path) == {"t": [(1, "new" if took else "old")]}
        kept = path.replace(f"dying{step}", f"dying{step}_before_r1")
        assert not took or server.rows(kept) == {"t": [(1, "old")]}
    assert set(ends) == {True, False} and len(ends) == 6


def test_a_server_elsewhere_is_not_renamed_here(server: Server, source: Open) -> None:
    path = server.make("far", {"t": [(1, "one")]})
    assert source(path).can_replace
    far = source(path, host="localhost.localdomain")
    assert not far.can_replace
    notes = source(server.make("gone soon", {})).check().notes
    assert notes == ()


def test_files_are_opened_without_a_server(server: Server, source: Open, tmp_path: Path) -> None:
    """The tools get this server's own root, so that nobody's lock folder is touched."""
    path = server.make("alone", {"t": [(n, "x") for n in range(50)]})
    settings = "".join(f"export {name}='{value}'\n" for name, value in server.environment().items())
    names = ("gbak", "isql-fb", "gfix")
    scripts = dict.fromkeys(names, settings + 'exec "@REAL@" "$@"')
    folder = tools_folder(tmp_path / "tools", server.binaries, scripts, tools=names)
    # The super server holds a file exclusively while somebody is connected; now nobody is.
    adapter = source(path, host="", password=None, tools=str(folder))
    assert "without a server" in " ".join(adapter.check().notes)
    chunks, rows = dumped(adapter, path)
    assert dict(rows.tables) == {"t": 50}
    adapter.restore("alone copy", chunks)
    assert server.rows("alone copy") == server.rows(path)
    kept = adapter.replace(str(server.path("alone copy")), path)
    assert kept is not None and adapter.target_state(kept) is TargetState.FILLED


def test_the_password_is_in_no_argument(server: Server, source: Open) -> None:
    path = server.make("quiet", {"t": [(1, "one")]})
    with source(path).dump(path) as dump:
        assert b"".join(dump)
        assert PASSWORD not in dump.details
    assert PASSWORD not in source(path).restore_command(path)


def test_a_backup_of_a_newer_server_is_refused_beforehand(server: Server, source: Open) -> None:
    path = server.make("older", {})
    newer = BackupFacts(path, "firebird", "4.0.1", "gbak 4.0.1", "fbk", 1)
    with pytest.raises(strongroom.SourceError, match=r"backup of Firebird 4\.0\.1, and gbak here is 3"):
        source(path).preflight(path, newer)
    assert source(path).preflight(path, BackupFacts(path, "firebird", "2.5.9", "", "fbk", 1)) == ()


def test_nothing_answers_at_a_wrong_port(server: Server, source: Open) -> None:
    with pytest.raises(strongroom.ConnectionFailed, match="no Firebird server at") as caught:
        source("/x/y.fdb", port=1).check()
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["-rep", "a\nb", ""])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(strongroom.ConfigError):
        build(Firebird.Config, {"databases": [name]})


def test_rows_are_counted_by_the_last_word_of_each_table() -> None:
    log = (
        "gbak:    writing data for table BULK\ngbak:10000 records written\ngbak:25000 records written\n"
        'gbak:    writing data for table Tä b\'le "x"\ngbak:0 records written\n'
        "gbak:writing triggers\ngbak:closing file, committing, and finishing. 1024 bytes written\n"
    )
    assert counted(log) == {"BULK": 25000, 'Tä b\'le "x"': 0}


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("gbak: ERROR:no permission for read/select access to TABLE T", strongroom.SourceError),
        (
            "gbak: ERROR:database x already exists.  To replace it ...",
            strongroom.TargetNotEmpty,
        ),
        ("gbak: ERROR:something else", strongroom.ToolFailed),
    ],
)
def test_what_the_tools_say_becomes_an_error(said: str, kind: type[strongroom.SourceError]) -> None:
    error = failure("gbak", 1, said, Place("h", 1, "u", None), "x")
    assert type(error) is kind
    assert error.remedy
