"""MariaDB for real: what a database is made of, rights, and the tools' ways to fail."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import strongroom
from engine.contract.config import build
from plugins.sources.maria import catalogue
from plugins.sources.mariadb import MariaDB
from plugins.sources.mysql import MySQL
from strongroom import TargetState
from strongroom.testing.laboratory import Surroundings, dumped
from tests.parts.certificates import certificate
from tests.parts.mariadb import PASSWORD, Server, mariadb, quoted, running  # noqa: F401 - a fixture
from tests.parts.postgres import tools_folder
from tests.plugins.sources.maria.conftest import everything, made_with, whole

# ----------------------------------------------------------------------------------- what is in it


@pytest.mark.parametrize("adapter", [MariaDB, MySQL])
def test_all_of_a_database_comes_back(server: Server, source: Callable[..., Any], adapter: type[Any]) -> None:
    name = everything(server)
    here = source(adapter)
    chunks, counted = dumped(here, name)
    assert counted.tables == {"parents": 2, "children": 2, "old_fashioned": 3, "versions": 2, "halves": 2}
    here.restore("copy", chunks)
    assert whole(server, "copy") == whole(server, name)
    assert made_with(server, "copy") == made_with(server, name) == ["latin1", "latin1_german1_ci"]
    assert counted.differences(here.fingerprint("copy")) == []


def test_a_dump_is_for_the_client_alone_to_read(server: Server, source: Callable[..., MariaDB]) -> None:
    """By hand, as docs/sources.md says it."""
    name = everything(server)
    text = b"".join(dumped(source(), name)[0])
    server.sql("CREATE DATABASE byhand CHARACTER SET latin1 COLLATE latin1_german1_ci")
    argv = [str(server.binaries / "mariadb"), "--no-defaults", f"--socket={server.socket}", "--user=root"]
    subprocess.run([*argv, "--binary-mode", "--database=byhand"], input=text, check=True, capture_output=True)
    assert whole(server, "byhand") == whole(server, name)


def test_tables_are_left_out_by_name(server: Server, source: Callable[..., MariaDB]) -> None:
    server.sql("CREATE DATABASE shop; USE shop; CREATE TABLE keep (i int); CREATE TABLE sessions (i int);")
    here = source(exclude_tables=["sessions", "not there"])
    chunks, counted = dumped(here, "shop")
    assert dict(counted.tables) == {"keep": 0}
    here.restore("copy", chunks)
    assert [name for (name,) in server.sql("SHOW TABLES FROM copy")] == ["keep"]


def test_every_database_but_the_servers_own_is_found(server: Server, source: Callable[..., MariaDB]) -> None:
    server.sql("CREATE DATABASE shop; CREATE DATABASE `Zoo`; CREATE DATABASE blog")
    assert source().databases() == ["Zoo", "blog", "shop"]
    assert source(databases=["shop", "Zoo"]).databases() == ["Zoo", "shop"]
    report = source(databases=["SHOP", "blog"]).check()
    assert list(report.failing) == ["SHOP"]
    with pytest.raises(strongroom.DatabaseMissing, match="'SHOP'"):
        report.raise_failing()


# ------------------------------------------------------------------------------------------ rights


def limited(server: Server, source: Callable[..., Any], *grants: str, **values: object) -> Any:
    server.make_user("limited", "pass word", "USAGE ON *.*")
    for grant in grants:
        server.sql(f"GRANT {grant} TO 'limited'@'%'")
    return source(user="limited", password="pass word", **values)


@pytest.mark.parametrize(
    ("grants", "missing"),
    [
        (["SELECT, SHOW VIEW, TRIGGER ON shop.*"], "EVENT"),
        (["SELECT, SHOW VIEW, EVENT ON shop.*"], "TRIGGER"),
        (["SELECT ON shop.*", "EVENT, TRIGGER ON *.*"], "SHOW VIEW"),
        (["SELECT, SHOW VIEW, TRIGGER, EVENT ON shop.*"], "EXECUTE"),
        (["ALL ON `sh\\_p`.*"], "'shop'"),
    ],
)
def test_a_check_names_the_right_that_is_missing(
    server: Server, source: Callable[..., Any], grants: list[str], missing: str
) -> None:
    everything(server)
    with pytest.raises(strongroom.StrongroomError) as caught:
        limited(server, source, *grants, databases=["shop"]).check()
    assert missing in f"{caught.value.message} {caught.value.remedy}"
    assert caught.value.remedy


@pytest.mark.parametrize(
    "grants",
    [
        ["SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE ON *.*"],
        ["ALL ON `sh%`.*", "SELECT ON mysql.*"],
        ["ALL ON `sh_p`.*", "SELECT ON mysql.*"],
    ],
)
def test_what_a_check_passes_is_dumped_whole(
    server: Server, source: Callable[..., Any], grants: list[str]
) -> None:
    name = everything(server)
    here = limited(server, source, *grants)
    report = here.check()
    assert report.databases == (name,)
    assert any("old_fashioned" in note for note in report.notes)
    chunks, _ = dumped(here, name)
    source().restore("copy", chunks)
    assert whole(server, "copy") == whole(server, name)


def test_the_right_source_is_named_for_the_other_kind_of_server(source: Callable[..., Any]) -> None:
    assert any("mariadb" in note for note in source(MySQL).check().notes)
    assert not any("mysql" in note for note in source(MariaDB).check().notes)


# ------------------------------------------------------------------------------------ how to log in


def test_the_users_own_file_is_asked_for_a_password(
    server: Server, source: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.sql("CREATE DATABASE shop")
    monkeypatch.setenv("HOME", str(tmp_path))
    secret = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
    (tmp_path / ".my.cnf").write_text(f'[client]\nuser=somebody else\nport=1\npassword="{secret}"\n')
    assert source(password=None).databases() == ["shop"]
    (tmp_path / ".my.cnf").unlink()
    with pytest.raises(strongroom.ConnectionFailed, match="password"):
        source(password=None).databases()


def test_a_socket_will_do(server: Server, source: Callable[..., Any]) -> None:
    server.sql("CREATE DATABASE shop")
    assert source(host=str(server.socket), user="root", password=None).databases() == ["shop"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"port": 1}, "No server answers"),
        ({"host": "no-such-host.invalid"}, "no host named|No server answers"),
        ({"ssl_mode": "require"}, "TLS"),
        ({"ssl_mode": "verify-full"}, "TLS"),
    ],
)
def test_a_server_that_is_not_reached(
    source: Callable[..., Any], values: dict[str, object], words: str
) -> None:
    with pytest.raises(strongroom.ConnectionFailed, match=words) as caught:
        source(**values).check()
    assert caught.value.remedy


@pytest.fixture(scope="module")
def with_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server with a certificate, and the folder of the authority that signed it."""
    folder = tmp_path_factory.mktemp("tls")
    authority = certificate(folder)
    files = {"ca": authority, "cert": folder / "server.crt", "key": folder / "server.key"}
    for server in running(*(f"--ssl-{name}={path}" for name, path in files.items())):
        server.sql("CREATE DATABASE shop")
        yield server, folder


@pytest.mark.parametrize("mode", ["prefer", "require", "verify-ca", "verify-full"])
def test_tls_is_used_and_the_server_known_by_its_authority(
    with_tls: tuple[Server, Path], around: Surroundings, mode: str
) -> None:
    server, folder = with_tls
    values = server.values(ssl_mode=mode, ssl_ca=str(folder / "ca.crt"))
    source = MariaDB(build(MariaDB.Config, values), around.context)
    assert source.check().databases == ("shop",)
    assert catalogue.cipher(source._client)


def test_a_server_of_another_authority_is_not_spoken_to(
    with_tls: tuple[Server, Path], around: Surroundings, tmp_path: Path
) -> None:
    server, _ = with_tls
    values = server.values(ssl_mode="verify-full", ssl_ca=str(certificate(tmp_path)))
    with pytest.raises(strongroom.ConnectionFailed, match="TLS") as caught:
        MariaDB(build(MariaDB.Config, values), around.context).check()
    assert caught.value.remedy


# --------------------------------------------------------------------------------- what must not pass


def stand_in(server: Server, folder: Path, script: str) -> str:
    version = 'case "$2" in --version) exec "@REAL@" "$@";; esac\n'
    names = ("mariadb", "mysql", "mariadb-dump", "mysqldump")
    return str(
        tools_folder(folder / "tools", server.binaries, {"mariadb-dump": version + script}, tools=names)
    )


def test_a_dump_without_its_end_mark_is_none(
    server: Server, source: Callable[..., Any], tmp_path: Path
) -> None:
    everything(server)
    tools = stand_in(server, tmp_path, '"@REAL@" "$@" | sed "/^-- Dump completed/d"')
    with pytest.raises(strongroom.DumpIncomplete, match="end mark"):
        dumped(source(tools=tools), "shop")


def test_a_table_that_changes_during_the_dump_fails_it(
    server: Server, source: Callable[..., Any], tmp_path: Path
) -> None:
    everything(server)
    tools = stand_in(
        server, tmp_path, 'echo "mysqldump: Error 1412: Table definition has changed" >&2; exit 3'
    )
    with pytest.raises(strongroom.DumpIncomplete, match="changed a table"):
        dumped(source(tools=tools), "shop")


def test_a_dump_runs_no_command_of_the_clients(
    server: Server, source: Callable[..., Any], tmp_path: Path
) -> None:
    server.sql("CREATE DATABASE shop; CREATE TABLE shop.t (i int)")
    here = source()
    text = b"".join(dumped(here, "shop")[0])
    owned = tmp_path / "owned"
    for command in (f"\\! touch {owned}", f"system touch {owned}", f"source {owned}", f"tee {owned}"):
        bad = text.replace(b"CREATE TABLE `t`", f"{command}\nCREATE TABLE `t`".encode())
        with pytest.raises(strongroom.SourceError):
            here.restore("copy", [bad])
        assert not owned.exists()
        assert here.target_state("copy") is TargetState.MISSING


def test_a_password_is_in_no_argument(server: Server, source: Callable[..., Any], tmp_path: Path) -> None:
    server.sql("CREATE DATABASE shop; CREATE TABLE shop.t (i int)")
    seen = tmp_path / "seen"
    tools = stand_in(
        server, tmp_path, f'tr "\\0" " " </proc/$$/cmdline >>{seen}; env >>{seen}; exec "@REAL@" "$@"'
    )
    with source(tools=tools).dump("shop") as dump:
        assert b"".join(dump)
        assert PASSWORD not in dump.details
    assert "mariadb-dump" in seen.read_text() and PASSWORD not in seen.read_text()
    assert not [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and PASSWORD in path.read_text("utf-8", "replace")
    ]


def test_the_servers_own_databases_are_no_targets(source: Callable[..., Any]) -> None:
    for name in ("mysql", "INFORMATION_SCHEMA", "sys", "x" * 65, "trailing "):
        with pytest.raises(strongroom.ConfigError):
            source().target_state(name)


def test_a_mounted_tool_folder_is_the_only_place(source: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(strongroom.ToolMissing) as caught:
        source(tools=str(tmp_path)).check()
    assert str(tmp_path) in caught.value.message and os.sep in caught.value.message


def test_rows_of_a_table_with_an_invisible_column_are_counted(mariadb: Server, around: Surroundings) -> None:  # noqa: F811
    mariadb.sql("CREATE DATABASE hidden; CREATE TABLE hidden.g (a INT, d INT INVISIBLE DEFAULT 5, t TEXT)")
    mariadb.sql("INSERT INTO hidden.g (a, t) VALUES (1, '),('), (2, ';'), (3, 'x\\ny')")
    try:
        source = MariaDB(build(MariaDB.Config, mariadb.values(databases=["hidden"])), around.context)
        with source.dump("hidden") as dump:
            for _ in dump:
                pass
            counted = dump.fingerprint()
        assert counted is not None
        assert dict(counted.tables) == {"g": 3}
        assert counted.differences(source.fingerprint("hidden")) == []
    finally:
        mariadb.sql("DROP DATABASE hidden")


def test_what_the_tools_do_not_keep_is_said_by_the_check(mariadb: Server, around: Surroundings) -> None:  # noqa: F811
    mariadb.sql("CREATE DATABASE lossy; CREATE TABLE lossy.f (f FLOAT, d DOUBLE)")
    mariadb.sql("CREATE TABLE lossy.h (x INT) WITH SYSTEM VERSIONING; CREATE TABLE lossy.fine (x DOUBLE)")
    mariadb.sql(
        "CREATE TABLE lossy.t (x INT, s BIGINT UNSIGNED GENERATED ALWAYS AS ROW START, e BIGINT UNSIGNED"
        " GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME(s, e)) WITH SYSTEM VERSIONING"
    )
    try:
        source = MariaDB(build(MariaDB.Config, mariadb.values(databases=["lossy"])), around.context)
        notes = source.check().notes
        assert any("FLOAT" in note and "(f)" in note for note in notes)
        assert any("history" in note and "(h, t)" in note for note in notes)
        mariadb.sql("INSERT INTO lossy.t (x) VALUES (1); UPDATE lossy.t SET x = 2")
        assert dict(dumped(source, "lossy")[1].tables) == {"f": 0, "h": 0, "t": 1, "fine": 0}
        mariadb.sql("DROP TABLE lossy.t")
        assert not any("history" in note for note in source.check().notes)
        assert not any("fine" in note for note in notes)
    finally:
        mariadb.sql("DROP DATABASE lossy")


def test_the_history_of_a_table_is_kept(mariadb: Server, around: Surroundings) -> None:  # noqa: F811
    mariadb.sql(
        "CREATE DATABASE old; USE old;"
        " CREATE TABLE `pr ice` (id INT PRIMARY KEY, x INT) WITH SYSTEM VERSIONING;"
        " INSERT INTO `pr ice` VALUES (1, 1), (2, 2), (3, 3); UPDATE `pr ice` SET x = 10 WHERE id = 1;"
        " DELETE FROM `pr ice` WHERE id = 2; CREATE TABLE plain (id INT); INSERT INTO plain VALUES (1)"
    )
    everything = "SELECT id, x, ROW_START, ROW_END FROM {}.`pr ice` FOR SYSTEM_TIME ALL ORDER BY 1, 3"
    try:
        source = MariaDB(build(MariaDB.Config, mariadb.values(databases=["old"])), around.context)
        chunks, counted = dumped(source, "old")
        assert dict(counted.tables) == {"pr ice": 4, "plain": 1}
        source.restore("old_copy", chunks)
        assert mariadb.sql(everything.format("old_copy")) == mariadb.sql(everything.format("old"))
        assert counted.differences(source.fingerprint("old_copy")) == []
    finally:
        mariadb.sql("DROP DATABASE old; DROP DATABASE IF EXISTS old_copy")


def test_an_event_at_which_the_tool_never_ends_is_named(mariadb: Server, around: Surroundings) -> None:  # noqa: F811
    mariadb.sql(
        "CREATE DATABASE timed; USE timed; CREATE TABLE t (i INT);"
        " CREATE EVENT `an event` ON SCHEDULE EVERY 1 DAY DISABLE COMMENT 'a;;b' DO SET @x = 1"
    )
    try:
        source = MariaDB(build(MariaDB.Config, mariadb.values(databases=["timed"])), around.context)
        for attempt in (source.check, lambda: dumped(source, "timed")):
            with pytest.raises(strongroom.SourceError, match="never ends at the event 'an event' of 'timed'"):
                attempt()
    finally:
        mariadb.sql("DROP DATABASE timed")


def test_a_default_that_asks_a_sequence_comes_back(mariadb: Server, around: Surroundings) -> None:  # noqa: F811
    mariadb.sql(
        "CREATE DATABASE numbered; USE numbered; CREATE SEQUENCE sq START WITH 10;"
        " CREATE TABLE uses (id INT DEFAULT NEXTVAL(sq), v INT); INSERT INTO uses (v) VALUES (1), (2)"
    )
    try:
        source = MariaDB(build(MariaDB.Config, mariadb.values(databases=["numbered"])), around.context)
        chunks, counted = dumped(source, "numbered")
        source.restore("numbered_copy", chunks)
        mariadb.sql("INSERT INTO numbered_copy.uses (v) VALUES (3)")
        assert mariadb.sql("SELECT v FROM numbered_copy.uses ORDER BY v") == [["1"], ["2"], ["3"]]
        assert counted.tables["uses"] == 2
    finally:
        mariadb.sql("DROP DATABASE numbered; DROP DATABASE IF EXISTS numbered_copy")
