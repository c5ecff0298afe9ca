"""Who gets into Redis and Valkey, and how: users and their rights, sockets, TLS, replicas."""

from __future__ import annotations

import re
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import strongroom
from plugins.sources.keyvalue import placing
from plugins.sources.keyvalue.server import KeyValueFamily
from strongroom import BackupFacts
from strongroom.testing.laboratory import Surroundings, dumped
from tests.parts.certificates import certificate
from tests.parts.redis import PASSWORD, Server, running
from tests.plugins.sources.keyvalue.conftest import LIBRARY, emptied, fill


def test_a_user_for_backups_needs_little(redis: Server, opened: Callable[..., KeyValueFamily]) -> None:
    with redis.client() as client:
        client.set("a", 1)
        client.execute_command("ACL", "SETUSER", "backup", "reset")
        rights = ["on", "~*", "+ping", "+info", "+psync", "+sync", "+replconf", "+acl|dryrun"]
        client.execute_command("ACL", "SETUSER", "backup", *rights, f">{PASSWORD}")
        source = opened(redis, user="backup")
        assert source.check().version.startswith("7.")
        dumped(source, "redis")
        facts = BackupFacts("redis", "redis", "7.0.15", "redis-cli 7.0.15", "rdb", 1)
        with pytest.raises(strongroom.SourceError, match="may not restore"):
            source.preflight("redis", facts)
        client.execute_command("ACL", "SETUSER", "backup", "-acl|dryrun")
        assert source.check().version.startswith("7."), "where it may not ask, a dump is begun"
        client.execute_command("ACL", "SETUSER", "backup", "-sync")
        for more in ("-acl|dryrun", "+acl|dryrun"):
            client.execute_command("ACL", "SETUSER", "backup", more)
            with pytest.raises(strongroom.SourceError, match="may not") as caught:
                source.check()
            assert "+sync" in caught.value.remedy
        client.execute_command("ACL", "DELUSER", "backup")


def _documented_rights(page: Path) -> list[str]:
    """What docs/sources.md says that a user needs for backups and for restores."""
    text = page.read_text()
    backups = re.search(r"ACL SETUSER backup on >\.\.\. (.*)", text)
    restores = re.search(r"A restore needs `(.*?)` besides", text)
    assert backups is not None and restores is not None
    return [*backups[1].split(), *restores[1].split()]


def test_a_user_with_the_documented_rights_restores(
    redis: Server, opened: Callable[..., KeyValueFamily]
) -> None:
    fill(redis)
    with redis.client() as client:
        client.function_load(LIBRARY)
        rights = _documented_rights(Path(__file__).parents[4] / "docs/sources.md")
        client.execute_command("ACL", "SETUSER", "backup", "reset", "on", f">{PASSWORD}", *rights)
        source = opened(redis, user="backup")
        facts = BackupFacts("redis", "redis", "7.0.15", "redis-cli 7.0.15", "rdb", 1)
        source.preflight("redis", facts)
        chunks, counted = dumped(source, "redis")
        source.restore("redis", chunks)
        assert counted.differences(source.fingerprint("redis")) == []
        client.execute_command("ACL", "DELUSER", "backup")


@pytest.mark.parametrize("merge", [False, True])
def test_a_user_who_may_not_echo_is_told_so_and_nothing_hangs(
    redis: Server,
    opened: Callable[..., KeyValueFamily],
    monkeypatch: pytest.MonkeyPatch,
    merge: bool,
) -> None:
    with redis.client() as client:
        client.set("precious", 1)
        client.execute_command(
            "ACL", "SETUSER", "hasty", "reset", "on", f">{PASSWORD}", "~*", "+@all", "-echo"
        )
        source = opened(redis, user="hasty", restore_mode="merge" if merge else "replace-all")
        chunks, _ = dumped(source, "redis")
        facts = BackupFacts("redis", "redis", "7.0.15", "redis-cli 7.0.15", "rdb", 1)
        with pytest.raises(strongroom.SourceError, match=r"may not restore.*echo") as caught:
            source.preflight("redis", facts)
        assert "+echo" in caught.value.remedy
        with pytest.raises(strongroom.SourceError, match=r"may not do this.*echo") as caught:
            source.restore("redis", chunks)
        assert "+echo" in caught.value.remedy
        assert source.untouched
        assert client.get("precious") == b"1"
        # The right may go while the keys are on their way.
        monkeypatch.setattr(placing, "move_probe", lambda *_: None)
        with pytest.raises(strongroom.SourceError, match=r"may not do this.*echo"):
            source.restore("redis", chunks)
        assert client.dbsize() == (1 if merge else 0)
        client.execute_command("ACL", "DELUSER", "hasty")


def test_no_password_where_one_is_wanted(redis: Server, opened: Callable[..., KeyValueFamily]) -> None:
    with pytest.raises(strongroom.ConnectionFailed, match="asks for a password"):
        opened(redis, password=None).check()


def test_a_socket_is_a_way_in(redis: Server, opened: Callable[..., KeyValueFamily]) -> None:
    with redis.client() as client:
        client.set("a", 1)
    source = opened(redis, host=str(redis.socket), port=1)
    assert source.check().databases == ("redis",)
    chunks, counted = dumped(source, "redis")
    emptied(redis)
    source.restore("redis", chunks)
    assert counted.differences(source.fingerprint("redis")) == []


def test_the_password_is_in_no_argument(
    redis: Server, opened: Callable[..., KeyValueFamily], around: Surroundings
) -> None:
    source = opened(redis, user="default")
    with source.dump("redis") as dump:
        assert b"".join(dump)
        assert PASSWORD not in dump.details
    assert PASSWORD not in " ".join(source._client.argv("--rdb", "-"))
    assert PASSWORD not in repr(around.log)


def test_nobody_there(opened: Callable[..., KeyValueFamily], redis: Server) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        with pytest.raises(strongroom.ConnectionFailed, match="No server answers"):
            opened(redis, port=probe.getsockname()[1]).check()
    with pytest.raises(strongroom.ConnectionFailed, match="no host named"):
        opened(redis, host="nowhere.invalid").check()


def test_tls_with_a_client_certificate(tmp_path: Path, opened: Callable[..., KeyValueFamily]) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "other").mkdir()
    authority = certificate(tmp_path / "own")
    stranger = certificate(tmp_path / "other")
    files = {
        "ssl_cert": str(authority.parent / "server.crt"),
        "ssl_key": str(authority.parent / "server.key"),
    }
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--tls-port", str(port), "--tls-ca-cert-file", str(authority)]
    options += ["--tls-cert-file", files["ssl_cert"], "--tls-key-file", files["ssl_key"]]
    for server in running("redis", *options):
        with server.client() as client:
            client.set("a", 1)
        secure = {"port": port, "ssl_mode": "verify-ca", "ssl_ca": str(authority), **files}
        source = opened(server, **secure)
        source.check()
        chunks, counted = dumped(source, "redis")
        source.restore("redis", chunks)
        assert counted.differences(source.fingerprint("redis")) == []
        opened(server, **{**secure, "ssl_mode": "require", "ssl_ca": ""}).check()
        other = {
            "ssl_cert": str(stranger.parent / "server.crt"),
            "ssl_key": str(stranger.parent / "server.key"),
        }
        none = {"ssl_cert": "", "ssl_key": ""}
        plain = {"port": server.port, "ssl_mode": "require", "connect_timeout": 1}
        for wrong, cause, fields in (
            ({"ssl_ca": str(stranger)}, "verify failed", "ssl_ca"),
            (none, "asks for a client certificate, and the source has none", "ssl_cert and ssl_key"),
            ({**none, "ssl_mode": "require"}, "asks for a client certificate", "ssl_cert and ssl_key"),
            (other, "does not accept the source's client certificate", "ssl_cert and ssl_key"),
            ({"ssl_mode": "disable"}, "speaks TLS alone on that port", "ssl_mode to verify-ca"),
            (plain, "within 1 s to the beginning of TLS.*speaks none", "ssl_mode to disable"),
        ):
            with pytest.raises(strongroom.ConnectionFailed, match=cause) as caught:
                opened(server, **{**secure, **wrong}).check()
            assert fields in caught.value.remedy
        opened(server).check()


def test_a_cluster_and_a_sentinel_are_refused(opened: Callable[..., KeyValueFamily]) -> None:
    for server in running("redis", "--cluster-enabled", "yes", "--databases", "1"):
        source = opened(server)
        for attempt in (source.check, lambda: dumped(source, "redis")):  # noqa: B023 - called at once
            with pytest.raises(strongroom.SourceError, match="node of a cluster"):
                attempt()


def test_a_replica_can_be_backed_up_and_not_restored_into(
    redis: Server, opened: Callable[..., KeyValueFamily]
) -> None:
    with redis.client() as client:
        client.set("a", 1)
    options = ["--replicaof", "127.0.0.1", str(redis.port), "--masterauth", PASSWORD]
    for replica in running("redis", *options, password=""):
        with replica.client(password=None) as client:
            while client.info("replication")["master_link_status"] != "up":
                time.sleep(0.02)
        source = opened(replica, password=None)
        assert any("replica" in note for note in source.check().notes)
        chunks, counted = dumped(source, "redis")
        assert counted.tables["keys"] == 1
        facts = BackupFacts("redis", "redis", "7.0.15", "redis-cli 7.0.15", "rdb", 1)
        with pytest.raises(strongroom.SourceError, match="is a replica"):
            source.preflight("redis", facts)
        with pytest.raises(strongroom.SourceError):
            source.restore("redis", chunks)


def test_a_server_is_not_dropped(redis: Server, opened: Callable[..., KeyValueFamily]) -> None:
    with redis.client() as client:
        client.set("a", 1)
        with pytest.raises(strongroom.SourceError, match="not dropped"):
            opened(redis).drop("redis")
        assert client.dbsize() == 1
    with pytest.raises(strongroom.ConfigError) as caught:
        opened(redis).target_state("copy")
    assert "whole path" in caught.value.remedy


def test_connected_clients_are_a_warning(redis: Server, opened: Callable[..., KeyValueFamily]) -> None:
    facts = BackupFacts("redis", "redis", "7.0.15", "redis-cli 7.0.15", "rdb", 1)
    with redis.client() as client:
        client.ping()
        assert any("connected" in warning for warning in opened(redis).preflight("redis", facts))


def test_no_server_program_is_a_note_of_the_check(
    redis: Server, opened: Callable[..., KeyValueFamily], tmp_path: Path
) -> None:
    tools = tmp_path / "client alone"
    tools.mkdir()
    (tools / "redis-cli").symlink_to(str(shutil.which("redis-cli")))
    source = opened(redis, tools=str(tools))
    assert any("redis-server" in note for note in source.check().notes)
    facts = BackupFacts("redis", "redis", "7.0.15", "redis-cli 7.0.15", "rdb", 1)
    with pytest.raises(strongroom.ToolMissing):
        source.preflight("redis", facts)
