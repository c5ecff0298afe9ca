"""Redis and Valkey for real: every type of value, time limits, restores over what is there, rights, TLS."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import strongroom
from engine.contract.config import build
from plugins.sources.keyvalue import moving, placing
from plugins.sources.keyvalue.scratch import FILE, Scratch, loaded
from plugins.sources.keyvalue.server import KeyValueFamily
from plugins.sources.redis import Redis
from plugins.sources.valkey import Valkey
from strongroom import BackupFacts, TargetState
from strongroom.testing.laboratory import Surroundings, dumped
from tests.parts.certificates import certificate
from tests.parts.redis import PASSWORD, Server, programs, running
from tests.parts.redis import redis as redis_server  # noqa: F401 - a fixture
from tests.parts.redis import valkey as valkey_server  # noqa: F401 - a fixture

NOW = int(time.time() * 1000)
LATER = NOW + 3_600_000
LIBRARY = "#!lua name=shop\nredis.register_function('twice', function(k, a) return a[1] * 2 end)"


def fill(server: Server) -> None:
    """One of everything that a server may hold, in several numbered databases."""
    noise = random.Random(4)
    for number in (0, 3, 39):
        with server.client(number) as client:
            client.set(b"\x00\xff bin \r\n \"x\" '$HOME'", b"\x00\r\n\xff")
            client.set("empty", "")
            client.set("", "of no name")
            client.mset({"number": -70000, "small": 7, "float": "1.5", "12345": "a name that is a number"})
            client.set("packed" * 30, "ab" * 100_000)
            client.set("noise", noise.randbytes(3 << 20))
            client.rpush("list", *range(20), "ü")
            client.rpush("long list", *(f"{i} " + "v" * 60 for i in range(4000)), "z" * 100_000)
            client.sadd("numbers", *range(100))
            client.sadd("few", "a", "ü", b"\x00")
            client.sadd("many", *(f"member {i}" for i in range(2000)))
            client.hset("hash", mapping={f"f{i}": "v" * i for i in range(40)})
            client.hset("large hash", mapping={f"f{i}": i for i in range(2000)})
            client.zadd("scores", {f"m{i}": i / 3 for i in range(40)})
            client.zadd("large scores", {f"m{i}": i / 7 - 50 for i in range(2000)})
            client.zadd("infinite", {"low": float("-inf"), "high": float("inf")})
            for i in range(300):
                client.xadd("stream", {"a": i, b"\xff": "c" * 20}, id=f"{i + 1}-1")
            client.xgroup_create("stream", "readers", "0")
            client.xreadgroup("readers", "first", {"stream": ">"}, count=7)
            client.xreadgroup("readers", "second", {"stream": ">"}, count=5)
            client.xack("stream", "readers", "3-1")
            client.pfadd("counted", *range(1000))
            client.setbit("bits", 1000, 1)
            client.geoadd("places", (13.4, 52.5, "Berlin"))
            client.set("session", "s", pxat=LATER)
            client.hset("session hash", "a", 1)
            client.pexpireat("session hash", LATER + 1)


def content(server: Server) -> dict[tuple[int, bytes], Any]:
    """Every key of every database with its value and its time limit, by a client of another make."""
    found: dict[tuple[int, bytes], Any] = {}
    for number in range(40):
        with server.client(number) as client:
            for key in client.scan_iter():
                kind = client.type(key)
                value: Any
                match kind:
                    case b"string":
                        value = client.get(key)
                    case b"list":
                        value = client.lrange(key, 0, -1)
                    case b"set":
                        value = sorted(client.smembers(key))
                    case b"hash":
                        value = client.hgetall(key)
                    case b"zset":
                        value = client.zrange(key, 0, -1, withscores=True)
                    case _:
                        pending = client.xpending_range(key, "readers", "-", "+", 100)
                        waits = [(each["message_id"], each["consumer"]) for each in pending]
                        value = client.xrange(key), client.xinfo_groups(key), waits
                found[number, key] = (kind, value, client.pexpiretime(key))
    return found


@pytest.fixture
def opened(tmp_path: Path, around: Surroundings) -> Iterator[Callable[..., KeyValueFamily]]:
    """Opens an adapter for a server, with programs of both kinds."""
    tools = tmp_path / "programs"
    tools.mkdir()
    for program in (shutil.which("redis-cli"), shutil.which("redis-server"), programs("valkey")):
        if program is not None:
            (tools / Path(program).name).symlink_to(program)

    def opener(server: Server, adapter: type[KeyValueFamily] = Redis, **values: object) -> KeyValueFamily:
        chosen = {**server.values(tools=str(tools)), **values}
        return adapter(build(adapter.Config, chosen), around.context)

    yield opener
    assert around.left() == []


@pytest.fixture
def redis(redis_server: Server) -> Server:  # noqa: F811
    """The session's Redis, emptied."""
    return _emptied(redis_server)


@pytest.fixture
def valkey(valkey_server: Server) -> Server:  # noqa: F811
    """The session's Valkey, emptied."""
    return _emptied(valkey_server)


def _emptied(server: Server) -> Server:
    with server.client() as client:
        client.flushall()
        client.function_flush()
    return server


@pytest.mark.parametrize("adapter", [Redis, Valkey])
def test_every_type_of_value_comes_back(
    adapter: type[KeyValueFamily], opened: Callable[..., KeyValueFamily], request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue(adapter.name)
    fill(server)
    with server.client() as client:
        client.function_load(LIBRARY)
    before = content(server)
    source = opened(server, adapter)
    chunks, counted = dumped(source, adapter.name)
    assert counted.tables["keys"] == len(before)
    assert counted.tables["timed keys"] == 6
    _emptied(server)
    source.restore(adapter.name, chunks)
    assert content(server) == before
    with server.client() as client:
        assert client.fcall("twice", 0, 21) == 42
    assert counted.differences(source.fingerprint(adapter.name)) == []
    # A source that has restored nothing counts the server alone.
    assert counted.differences(opened(server, adapter).fingerprint(adapter.name)) == []


def test_a_backup_goes_into_the_other_family(
    redis: Server, valkey: Server, opened: Callable[..., KeyValueFamily]
) -> None:
    fill(redis)
    before = content(redis)
    chunks, counted = dumped(opened(redis), "redis")
    target = opened(valkey, Valkey)
    facts = BackupFacts("redis", "redis", "7.0.15", "redis-cli 7.0.15", "rdb", 1)
    assert "redis" in target.accepts
    assert target.preflight("valkey", facts) == ()
    target.restore("valkey", chunks)
    assert content(valkey) == before
    assert counted.differences(target.fingerprint("valkey")) == []


def test_a_newer_dump_is_refused_before_anything_is_touched(
    redis: Server, opened: Callable[..., KeyValueFamily]
) -> None:
    facts = BackupFacts("valkey", "valkey", "9.1.2", "valkey-cli 9.1.2", "rdb", 1)
    with pytest.raises(strongroom.ToolMissing, match=r"Valkey 9\.1\.2") as caught:
        opened(redis).preflight("redis", facts)
    assert caught.value.remedy


def test_keys_that_vanish_meanwhile_break_no_drill_and_no_restore(
    redis: Server, opened: Callable[..., KeyValueFamily], tmp_path: Path
) -> None:
    with redis.client() as client:
        client.mset({f"stays {i}": i for i in range(100)})
        for i in range(50):
            client.set(f"goes {i}", i, px=1500)
        client.set("later", 1, pxat=LATER)
    source = opened(redis)
    chunks, counted = dumped(source, "redis")
    assert (counted.tables["keys"], counted.tables["timed keys"]) == (151, 51)
    with redis.client() as client:
        while client.exists("goes 49"):
            time.sleep(0.05)
        client.flushall()
    drilled = source.scratch_name("redis", "drill_1", tmp_path)
    facts = BackupFacts("redis", "redis", "7.0.15", "redis-cli 7.0.15", "rdb", 1)
    assert source.preflight(drilled, facts) == (), "nobody is told what to do with a drill's file"
    source.restore(drilled, chunks)
    assert counted.differences(source.fingerprint(drilled)) == []
    assert counted.differences(opened(redis).fingerprint(drilled)) == []
    assert source.target_state("redis") is TargetState.EMPTY, "a drill touches no server"
    source.restore("redis", chunks)
    with redis.client() as client:
        assert client.dbsize() == 101
        assert client.pexpiretime("later") == LATER
    assert counted.differences(source.fingerprint("redis")) == []
    source.drop(drilled)
    assert source.target_state(drilled) is TargetState.MISSING


def test_a_loss_is_seen(redis: Server, opened: Callable[..., KeyValueFamily]) -> None:
    fill(redis)
    source = opened(redis)
    chunks, counted = dumped(source, "redis")
    for change in (
        lambda client: client.delete("number"),
        lambda client: client.rename("few", "fewer"),
        lambda client: client.srem("few", "a"),
        lambda client: client.append("noise", "x"),
    ):
        source.restore("redis", chunks)
        with redis.client(3) as client:
            change(client)
        assert counted.differences(source.fingerprint("redis")) != []


def test_a_restore_over_replaces_all_or_merges(redis: Server, opened: Callable[..., KeyValueFamily]) -> None:
    with redis.client() as client:
        client.mset({"both": "backup", "backup": 1})
    source = opened(redis)
    chunks, counted = dumped(source, "redis")
    merging = opened(redis, restore_mode="merge")
    assert source.restores_over and merging.restores_over
    for restoring, kept in ((merging, 2), (source, 0)):
        _emptied(redis)
        with redis.client() as client, redis.client(5) as other:
            client.mset({"both": "live", "live": 1})
            client.function_load(LIBRARY)
            other.set("elsewhere", 1)
        restoring.restore("redis", chunks)
        with redis.client() as client, redis.client(5) as other:
            assert client.get("both") == b"backup"
            assert client.exists("live") + other.exists("elsewhere") == kept
            assert bool(client.function_list()) is bool(kept)
        assert counted.differences(restoring.fingerprint("redis")) == []


def test_a_file_can_be_the_target(
    redis: Server, opened: Callable[..., KeyValueFamily], tmp_path: Path
) -> None:
    fill(redis)
    before = content(redis)
    path = tmp_path / 'an "odd" näme $x.rdb'
    source = opened(redis, restore_to_file=str(path))
    chunks, counted = dumped(source, "redis")
    name = source.restored_name("redis")
    assert (name, source.restores_over) == (str(path), False)
    facts = BackupFacts("redis", "redis", "7.0.15", "redis-cli 7.0.15", "rdb", 1)
    assert "stop the server" in source.preflight(name, facts)[0]
    source.restore(name, chunks)
    assert path.read_bytes() == b"".join(chunks)
    assert path.stat().st_mode & 0o777 == 0o600
    assert counted.differences(source.fingerprint(name)) == []
    with pytest.raises(strongroom.TargetNotEmpty):
        source.preflight(name, facts)
    with pytest.raises(strongroom.TargetNotEmpty):
        source.restore(name, chunks)
    for server in running("redis", password=""):
        shutil.copy(path, server.folder / "dump.rdb")
        server.restart()
        assert content(server) == before


def test_one_flipped_bit_is_seen_before_the_server_is_touched(
    redis: Server, opened: Callable[..., KeyValueFamily]
) -> None:
    fill(redis)
    source = opened(redis)
    whole = bytearray(b"".join(dumped(source, "redis")[0]))
    whole[whole.index(b"Berlin") + 2] ^= 1
    before = content(redis)
    with pytest.raises(strongroom.DumpIncomplete, match="did not load"):
        source.restore("redis", [bytes(whole)])
    assert content(redis) == before


def test_the_end_mark_of_the_wire_is_not_in_the_file(
    redis: Server, opened: Callable[..., KeyValueFamily]
) -> None:
    with redis.client() as client:
        client.set("a", 1)
        for diskless in ("no", "yes"):
            client.config_set("repl-diskless-sync", diskless)
            whole = b"".join(dumped(opened(redis), "redis")[0])
            assert whole.startswith(b"REDIS0010")
            assert whole[-9] == 0xFF, "8 bytes of checksum follow the end's opcode, and nothing else"


def test_a_server_that_ends_the_connection_fails_the_dump(
    opened: Callable[..., KeyValueFamily],
) -> None:
    for server in running("redis"):
        with server.client() as client:
            for i in range(40):
                client.set(f"big {i}", random.Random(i).randbytes(1 << 20))
            client.config_set("client-output-buffer-limit", "replica 1mb 1mb 1")
        with opened(server).dump("redis") as dump:
            chunks = iter(dump)
            next(chunks)
            server.kill()
            with pytest.raises(strongroom.SourceError) as caught:
                list(chunks)
        assert caught.value.remedy


def test_a_database_that_the_target_lacks_is_said_before_it_is_emptied(
    redis: Server, opened: Callable[..., KeyValueFamily]
) -> None:
    fill(redis)
    chunks, _ = dumped(opened(redis), "redis")
    for small in running("redis", "--databases", "4"):
        with small.client() as client:
            client.set("precious", 1)
            with pytest.raises(strongroom.SourceError, match="database 39") as caught:
                opened(small).restore("redis", chunks)
            assert "40" in caught.value.remedy
            assert client.keys() == [b"precious"]


def test_a_full_target_fails_the_restore_and_is_empty_again(
    redis: Server, opened: Callable[..., KeyValueFamily]
) -> None:
    fill(redis)
    chunks, _ = dumped(opened(redis), "redis")
    for small in running("redis"):
        with small.client() as client:
            client.config_set("maxmemory", "6mb")
            with pytest.raises(strongroom.ToolFailed, match="no memory left") as caught:
                opened(small).restore("redis", chunks)
            assert "maxmemory" in caught.value.remedy
            assert client.dbsize() == 0


def test_a_cancel_ends_a_restore_into_the_server(
    redis: Server, opened: Callable[..., KeyValueFamily], around: Surroundings
) -> None:
    with redis.client() as client:
        for start in range(0, 200_000, 10_000):
            client.mset({f"key {i}": i for i in range(start, start + 10_000)})
    source = opened(redis)
    chunks, _ = dumped(source, "redis")
    _emptied(redis)
    seen = threading.Event()

    def watch() -> None:
        with redis.client() as client:
            while not client.dbsize():
                time.sleep(0.002)
        seen.set()
        around.cancel.cancel("enough")

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.monotonic()
    with pytest.raises(strongroom.Cancelled):
        source.restore("redis", chunks)
    watcher.join()
    assert seen.is_set()
    assert not source.untouched
    assert time.monotonic() - began < 10


def test_a_cancel_before_the_keys_go_over_leaves_the_server_as_it_was_and_says_so(
    redis: Server, opened: Callable[..., KeyValueFamily], around: Surroundings
) -> None:
    fill(redis)
    source = opened(redis)
    chunks, _ = dumped(source, "redis")
    with redis.client() as client:
        client.flushall()
        client.set("precious", 1)

        def cut() -> Iterator[bytes]:
            yield chunks[0][:100]
            around.cancel.cancel("enough")
            yield chunks[0][100:]

        with pytest.raises(strongroom.Cancelled):
            source.restore("redis", cut())
        assert source.untouched
        assert client.keys() == [b"precious"]


def test_a_scratch_server_that_dies_meanwhile_fails_the_restore(
    redis: Server, opened: Callable[..., KeyValueFamily], monkeypatch: pytest.MonkeyPatch
) -> None:
    with redis.client() as client:
        client.mset({f"key {i}": "v" * 1000 for i in range(20_000)})
    source = opened(redis)
    chunks, _ = dumped(source, "redis")
    _emptied(redis)
    loaded_ones: list[Scratch] = []
    make = Scratch.__init__

    def keep(self: Scratch, *values: Any) -> None:
        make(self, *values)
        loaded_ones.append(self)

    given = moving._give

    def give(*values: Any) -> None:
        given(*values)
        if len(values[-1]) > 100_000 and loaded_ones:
            scratch = loaded_ones.pop()
            os.kill(int(scratch.client.info("server")["process_id"]), signal.SIGKILL)

    monkeypatch.setattr(Scratch, "__init__", keep)
    monkeypatch.setattr(moving, "_give", give)
    began = time.monotonic()
    with pytest.raises(strongroom.ToolFailed, match="scratch server gave no keys"):
        source.restore("redis", chunks)
    assert time.monotonic() - began < 30
    with redis.client() as client:
        assert client.dbsize() == 0


def test_a_scratch_server_and_its_file_go_with_whoever_asked_for_them(
    redis: Server, opened: Callable[..., KeyValueFamily], around: Surroundings
) -> None:
    with redis.client() as client:
        client.set("a", 1)
    source = opened(redis)
    chunks, _ = dumped(source, "redis")
    tools = source._tools
    with around.context.host.folder() as folder:
        around.context.host.write_file(f"{folder}/{FILE}", chunks)
        server = tools.server_taking("", None)
        with loaded(around.context, tools.client(), server, folder, databases=16) as scratch:
            assert scratch.client.keyspace() == {0: 1}
            scratch._process.close_stdin()  # as the end of our process would
            end = time.monotonic() + 10
            while Path(folder, FILE).exists() or scratch_answers(scratch):
                assert time.monotonic() < end
                time.sleep(0.05)


def scratch_answers(scratch: Scratch) -> bool:
    try:
        return scratch.client.text("PING") == "PONG"
    except strongroom.SourceError:
        return False


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
    _emptied(redis)
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
