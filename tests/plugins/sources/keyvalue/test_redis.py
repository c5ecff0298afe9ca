"""Redis and Valkey for real: every type of value, time limits, restores over what is there and their ends."""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import strongroom
from plugins.sources.keyvalue import moving
from plugins.sources.keyvalue.scratch import FILE, Scratch, loaded
from plugins.sources.keyvalue.server import KeyValueFamily
from plugins.sources.redis import Redis
from plugins.sources.valkey import Valkey
from strongroom import BackupFacts, TargetState
from strongroom.testing.laboratory import Surroundings, dumped
from tests.parts.redis import Server, running
from tests.plugins.sources.keyvalue.conftest import LATER, LIBRARY, content, emptied, fill


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
    emptied(server)
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
        emptied(redis)
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


def test_a_database_that_the_target_lacks_is_said_before_it_isemptied(
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
    emptied(redis)
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
    emptied(redis)
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
