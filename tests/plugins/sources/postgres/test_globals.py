"""Roles and tablespaces: dumped whole, restored where they are missing, tried without a trace."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import strongroom
from plugins.sources.postgres.globals import NAME
from plugins.sources.postgres.statements import parse
from plugins.sources.postgresql import PostgreSQL
from strongroom import TargetState
from strongroom.testing import Surroundings
from strongroom.testing.laboratory import dumped
from tests.parts.postgres import Server, newest_alone, tools_folder

Open = Callable[..., PostgreSQL]
ODD = "we'ird \"\\role; 漢"
QUOTED = '"' + ODD.replace('"', '""') + '"'

ROLES = f"""
CREATE ROLE keeper LOGIN PASSWORD 'of the keeper' CONNECTION LIMIT 7;
CREATE ROLE {QUOTED} CREATEDB VALID UNTIL '2031-01-01';
GRANT keeper TO {QUOTED} WITH ADMIN OPTION;
COMMENT ON ROLE keeper IS E'it''s\\n\\\\! touch /tmp/strongroom-owned\\n-- a comment; :x';
ALTER ROLE keeper SET search_path = "$user", public;
ALTER ROLE {QUOTED} SET work_mem = '5MB';
"""
ABOUT = (
    "SELECT string_agg(concat_ws('|', rolname, rolcreatedb, rolcanlogin, rolconnlimit, rolvaliduntil,"
    " rolconfig, shobj_description(a.oid, 'pg_authid'), rolpassword), ' / ' ORDER BY rolname)"
    " FROM pg_authid a"
    " LEFT JOIN LATERAL (SELECT array_agg(c) AS rolconfig FROM pg_db_role_setting s, unnest(setconfig) c"
    " WHERE setrole = a.oid) x ON true WHERE rolname NOT LIKE 'pg\\_%' AND rolname <> 'postgres'"
)
MEMBERS = (
    "SELECT string_agg(roleid::regrole || '>' || member::regrole || admin_option, ' ') FROM pg_auth_members"
    " WHERE roleid >= 16384"
)


def lose(server: Server) -> None:
    server.sql("postgres", f"DROP ROLE IF EXISTS {QUOTED}; DROP ROLE IF EXISTS keeper")


@pytest.fixture
def place(server: Server) -> Iterator[Path]:
    """An empty folder that the server may have for a tablespace."""
    folder = Path(tempfile.mkdtemp(prefix="ts-", dir="/tmp"))
    owner = server.data.stat()
    os.chown(folder, owner.st_uid, owner.st_gid)
    yield folder
    server.sql("postgres", "DROP TABLESPACE IF EXISTS fast")
    shutil.rmtree(folder)


@newest_alone
def test_the_set_of_a_job_has_them_beside_the_databases(server: Server, open_on: Open) -> None:
    server.create_database("shop")
    source = open_on(server, databases=["shop"], globals=True)
    assert source.databases() == [NAME, "shop"]
    report = source.check()
    assert report.databases == (NAME, "shop")
    assert any(tool.name == "pg_dumpall" for tool in report.tools)
    assert source.extension_for(NAME) == "sql"
    assert source.extension_for("shop") == "dump"
    assert NAME not in open_on(server, databases=["shop"]).databases()
    assert NAME in open_on(server, globals=True).databases()


@newest_alone
def test_a_database_of_that_name_is_refused(server: Server, open_on: Open) -> None:
    for name in (NAME, f"{NAME}_2"):
        server.create_database(name)
        with pytest.raises(strongroom.ConfigError, match="called so"):
            open_on(server).databases()
        with pytest.raises(strongroom.ConfigError, match="called so"):
            open_on(server, databases=[name]).check()
        server.drop_database(name)


def test_roles_that_were_lost_come_back_as_they_were(server: Server, open_on: Open) -> None:
    server.sql("postgres", ROLES)
    source = open_on(server, globals=True)
    before, members = server.sql("postgres", ABOUT), server.sql("postgres", MEMBERS)
    chunks, counted = dumped(source, NAME)
    assert counted.consistent
    assert {name: counted.tables[name] for name in ("roles", "memberships", "tablespaces")} == {
        "roles": 3,
        "memberships": 1,
        "tablespaces": 0,
    }
    assert source.target_state(NAME) is TargetState.EMPTY
    lose(server)
    other = open_on(server)
    other.restore(NAME, chunks)
    assert (server.sql("postgres", ABOUT), server.sql("postgres", MEMBERS)) == (before, members)
    assert counted.differences(other.fingerprint(NAME)) == []
    assert not Path("/tmp/strongroom-owned").exists()


def test_roles_that_are_there_stay_as_they_are_unless_asked(
    server: Server, open_on: Open, around: Surroundings
) -> None:
    server.sql("postgres", ROLES)
    before = server.sql("postgres", ABOUT)
    chunks, counted = dumped(open_on(server), NAME)
    server.sql("postgres", f"ALTER ROLE keeper PASSWORD 'a new one'; DROP ROLE {QUOTED}")
    changed = server.sql("postgres", "SELECT rolpassword FROM pg_authid WHERE rolname = 'keeper'")
    source = open_on(server)
    source.restore(NAME, chunks)
    assert server.sql("postgres", "SELECT rolpassword FROM pg_authid WHERE rolname = 'keeper'") == changed
    assert server.sql("postgres", MEMBERS) != ""
    assert counted.differences(source.fingerprint(NAME)) == []
    (said,) = [text for text, _ in around.log if "left as they are" in text]
    assert "keeper, postgres. Of these roles only the names are compared" in said
    open_on(server, restore_existing_roles=True).restore(NAME, chunks)
    assert sum("left as they are" in text for text, _ in around.log) == 1
    assert server.sql("postgres", ABOUT) == before


def test_a_trial_runs_every_statement_and_leaves_no_trace(server: Server, open_on: Open) -> None:
    server.sql("postgres", ROLES)
    source = open_on(server)
    chunks, counted = dumped(source, NAME)
    lose(server)
    name = source.scratch_name(NAME, "drill_1", Path("/nowhere"))
    assert source.target_state(name) is TargetState.MISSING
    source.restore(name, chunks)
    assert counted.differences(source.fingerprint(name)) == []
    source.drop(name)
    assert server.sql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'keeper'") == "0"
    # What the server would refuse is seen in the trial.
    wrong = b"".join(chunks).replace(b"CONNECTION LIMIT 7", b"CONNECTION LIMIT 7 NONSENSE")
    with pytest.raises(strongroom.SourceError, match="nonsense") as caught:
        source.restore(name, [wrong])
    assert "SCRAM" not in str(caught.value)


@newest_alone
def test_a_failure_makes_no_role_at_all(server: Server, open_on: Open) -> None:
    server.sql("postgres", ROLES)
    source = open_on(server)
    whole = b"".join(dumped(source, NAME)[0])
    lose(server)
    for broken in (
        whole[: len(whole) // 2],
        whole[:-60],
        whole.replace(b"SET work_mem TO '5MB'", b"SET no_such_setting_at_all TO '5MB'"),
        whole.replace(b"--\n-- Roles", b"DROP ROLE keeper;\n--\n-- Roles"),
        whole.replace(b"--\n-- Roles", b"\\! touch /tmp/strongroom-owned\n--\n-- Roles"),
        whole.replace(b"CREATE ROLE keeper;", b"CREATE ROLE keeper; SELECT pg_sleep(1);"),
        b"PGDMP" + whole,
    ):
        assert broken != whole
        with pytest.raises(strongroom.SourceError) as caught:
            source.restore(NAME, [broken])
        assert caught.value.remedy
        assert source.untouched
        assert server.sql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'keeper'") == "0"
    assert not Path("/tmp/strongroom-owned").exists()


@newest_alone
def test_they_are_no_database(server: Server, open_on: Open) -> None:
    source = open_on(server)
    chunks, _ = dumped(source, NAME)
    with pytest.raises(strongroom.ConfigError, match="roles and tablespaces, and no database"):
        source.restore("copy", chunks)
    server.create_database("shop", "CREATE TABLE t (a int)")
    with pytest.raises(strongroom.DumpIncomplete, match="not the roles"):
        source.restore(NAME, dumped(source, "shop")[0])


def test_tablespaces_come_back(server: Server, open_on: Open, place: Path) -> None:
    make = f"CREATE ROLE keeper; CREATE TABLESPACE fast OWNER keeper LOCATION '{place}'"
    for statement in (*make.split("; "), "GRANT CREATE ON TABLESPACE fast TO PUBLIC"):
        server.sql("postgres", statement)
    about = "SELECT pg_get_userbyid(spcowner), spcacl::text FROM pg_tablespace WHERE spcname = 'fast'"
    before = server.sql("postgres", about)
    source = open_on(server)
    chunks, counted = dumped(source, NAME)
    assert counted.tables["tablespaces"] == 1
    source.restore(f"{NAME}_drill_1", chunks)
    assert counted.differences(source.fingerprint(f"{NAME}_drill_1")) == []
    server.sql("postgres", "DROP TABLESPACE fast")
    with pytest.raises(strongroom.SourceError, match="trial cannot make tablespaces") as caught:
        source.restore(f"{NAME}_drill_2", chunks)
    assert not isinstance(caught.value, strongroom.ToolFailed | strongroom.DumpIncomplete)
    source.restore(NAME, chunks)
    assert server.sql("postgres", about) == before
    assert counted.differences(source.fingerprint(NAME)) == []
    server.sql("postgres", "DROP TABLESPACE fast")
    shutil.rmtree(place)
    with pytest.raises(strongroom.SourceError, match=r"roles have been made.*'fast'") as caught:
        source.restore(NAME, chunks)
    assert "folder" in caught.value.remedy
    assert not source.untouched
    place.mkdir()
    server.sql("postgres", "DROP ROLE keeper")


def test_a_login_that_may_not_read_passwords_backs_up_without(server: Server, open_on: Open) -> None:
    server.sql("postgres", ROLES + "CREATE ROLE reader LOGIN PASSWORD 'pw'")
    source = open_on(server, user="reader", password="pw", globals=True)
    assert any("without their passwords" in note for note in source.check().notes)
    text = b"".join(dumped(source, NAME)[0])
    assert b"PASSWORD" not in text
    assert "keeper" in parse(text).roles
    lose(server)
    with pytest.raises(strongroom.SourceError, match="may not do this"):
        source.restore(NAME, [text])
    open_on(server).restore(NAME, [text])
    assert server.sql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'keeper'") == "1"


@newest_alone
@pytest.mark.parametrize("how", ["killed", "late status", "no end"])
def test_a_dump_that_is_not_whole_fails(server: Server, open_on: Open, tmp_path: Path, how: str) -> None:
    end = {
        "killed": '"@REAL@" "$@" | head -c 500; kill -9 $$',
        "late status": '"@REAL@" "$@"; exit 7',
        "no end": '"@REAL@" "$@" | head -n 12; exit 0',
    }[how]
    script = f'case "$1" in --version) exec "@REAL@" "$@";; esac\n{end}'
    names = ("psql", "pg_dump", "pg_restore", "pg_dumpall")
    tools = tools_folder(tmp_path / "tools", server.binaries, {"pg_dumpall": script}, tools=names)
    with pytest.raises(strongroom.SourceError):
        dumped(open_on(server, tools=str(tools)), NAME)


def test_roles_go_up_to_a_newer_server(old: Server, new: Server, open_on: Open) -> None:
    old.sql("postgres", ROLES)
    before = old.sql("postgres", ABOUT)
    chunks, counted = dumped(open_on(old), NAME)
    source = open_on(new)
    source.restore(NAME, chunks)
    assert new.sql("postgres", ABOUT) == before
    assert counted.differences(source.fingerprint(NAME)) == []


@pytest.mark.parametrize(
    ("attribute", "options", "fits"),
    [
        ("INHERIT", "ADMIN TRUE", True),
        ("NOINHERIT", "INHERIT FALSE", True),
        ("INHERIT", "INHERIT FALSE", False),
        ("NOINHERIT", "INHERIT TRUE", False),
        ("INHERIT", "SET FALSE", False),
    ],
)
def test_memberships_go_down_as_they_were_or_not_at_all(
    old: Server, new: Server, open_on: Open, attribute: str, options: str, fits: bool
) -> None:
    new.sql("postgres", f"CREATE ROLE keeper; CREATE ROLE {QUOTED} {attribute}")
    new.sql("postgres", f"GRANT keeper TO {QUOTED} WITH {options}")
    chunks, counted = dumped(open_on(new), NAME)
    source = open_on(old)
    if fits:
        source.restore(NAME, chunks)
        assert old.sql("postgres", MEMBERS) == new.sql("postgres", MEMBERS)
        assert counted.differences(source.fingerprint(NAME)) == []
        return
    with pytest.raises(strongroom.SourceError, match="which PostgreSQL 15 cannot have") as caught:
        source.restore(NAME, chunks)
    assert ODD in caught.value.message
    assert old.sql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'keeper'") == "0"
