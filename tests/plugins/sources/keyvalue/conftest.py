"""A Redis and a Valkey for this folder's tests, a source on each, and one of everything that they hold."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.contract.config import build
from plugins.sources.keyvalue.server import KeyValueFamily
from plugins.sources.redis import Redis
from strongroom.testing.laboratory import Surroundings
from tests.parts.redis import Server, programs
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
    return emptied(redis_server)


@pytest.fixture
def valkey(valkey_server: Server) -> Server:  # noqa: F811
    """The session's Valkey, emptied."""
    return emptied(valkey_server)


def emptied(server: Server) -> Server:
    with server.client() as client:
        client.flushall()
        client.function_flush()
    return server
