"""Walking over RDB files, cut anywhere, and written by servers with other settings."""

from __future__ import annotations

import pytest

from plugins.sources.keyvalue.dumping import measured
from plugins.sources.keyvalue.rdb import RdbReader
from plugins.sources.keyvalue.scratch import walked
from plugins.sources.keyvalue.tools import Release
from plugins.sources.keyvalue.walking import unpacked
from strongroom import DumpIncomplete
from tests.parts.redis import Server, running
from tests.plugins.sources.keyvalue.conftest import fill


def read(data: bytes, size: int = 1 << 20) -> RdbReader:
    reader = RdbReader()
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
    return reader


def saved(server: Server) -> bytes:
    with server.client() as client:
        client.save()
    return (server.folder / "dump.rdb").read_bytes()


@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_encodings_and_chunks_change_nothing(kind: str) -> None:
    """A server packs as it is set up to, and a stream comes in pieces: what is counted is the same."""
    found = []
    for server in running(kind, password=""):
        fill(server)
        data = saved(server)
        found += [measured(read(data)), measured(read(data, 65_537)), measured(read(data, 997))]
        with server.client() as client:
            for name in ("hash", "zset"):
                client.config_set(f"{name}-max-listpack-entries", 1)
            client.config_set("set-max-intset-entries", 1)
            client.config_set("list-max-listpack-size", 3)
            client.config_set("rdbcompression", "no")
            client.flushall()
        fill(server)
        other = saved(server)
        assert other != data
        found += [measured(read(other)), measured(read(other, 997))]
    assert None not in found
    assert all(each == found[0] for each in found)


def test_every_cut_is_seen() -> None:
    for server in running("redis", password=""):
        with server.client() as client:
            client.mset({"a": 1, "b": "text", "": ""})
            client.hset("hash", mapping={"f": "v"})
            client.set("timed", 1, px=1 << 40)
        data = saved(server)
    assert read(data).ended
    for end in range(len(data)):
        with pytest.raises(DumpIncomplete):
            reader = read(data[:end], 7)
            reader.finish()
        with pytest.raises(DumpIncomplete):
            list(walked([data[:end]], RdbReader()))
    with pytest.raises(DumpIncomplete, match="Something follows"):
        list(walked([data, b"junk"], RdbReader()))


def test_what_follows_the_end_is_kept_apart() -> None:
    for server in running("redis", password=""):
        data = saved(server)
    for size in (1, 7, 50, 1 << 20):
        reader = RdbReader()
        whole = data + b"x" * 40
        given = b"".join(reader.feed(whole[at : at + size]) for at in range(0, len(whole), size))
        assert (given, reader.gap) == (data, b"x" * 40)


def test_what_a_newer_server_writes_is_passed_on_uncounted() -> None:
    data = b"REDIS0099" + b"\xfe\x00" + b"\x7b\x01kwhatever" + b"\xff" + bytes(8)
    reader = RdbReader()
    assert reader.feed(data) == data
    assert reader.feed(b"more") == b"more"
    assert (reader.known, measured(reader)) == (False, None)
    reader.finish()


def test_what_is_no_rdb_file_is_refused() -> None:
    with pytest.raises(DumpIncomplete, match="not an RDB file"):
        read(b"PGDMP and so on, for a while")


def test_fields_with_time_limits() -> None:
    """Valkey 9 has them, and writes a format of its own then."""
    for server in running("valkey", password=""):
        with server.client() as client:
            client.hset("hash", mapping={f"f{i}": i for i in range(600)})
            client.execute_command("HEXPIRE", "hash", 1000, "FIELDS", 1, "f3")
            client.set("behind", 1)
        reader = read(saved(server))
        assert reader.version.startswith("VALKEY")
        assert (reader.known, reader.ended, reader.keys) == (True, True, {0: 2})


def test_packed_texts() -> None:
    assert unpacked(b"\x02abc\xe0\x00\x02", 12) == b"abcabcabcabc"
    assert unpacked(b"\x02abc\xe0\x00\x02", 5) == b"abcab"


@pytest.mark.parametrize(
    ("reader", "writer", "reads"),
    [
        (("redis", "7.0.15"), ("redis", "6.2.1"), True),
        (("redis", "6.2.1"), ("redis", "7.0.15"), False),
        (("redis", "9.9.0"), ("redis", "8.2.0"), True),
        (("redis", "7.0.15"), ("valkey", "7.2.5"), False),
        (("redis", "7.2.0"), ("valkey", "8.1.0"), True),
        (("redis", "8.0.0"), ("valkey", "9.0.0"), False),
        (("valkey", "9.1.2"), ("redis", "7.2.4"), True),
        (("valkey", "9.1.2"), ("redis", "7.4.0"), False),
        (("valkey", "8.0.0"), ("valkey", "9.0.0"), False),
    ],
)
def test_which_release_reads_which(reader: tuple[str, str], writer: tuple[str, str], reads: bool) -> None:
    assert Release(*reader).reads(Release(*writer)) is reads


def test_which_release_loads_which_file() -> None:
    assert Release("redis", "7.0.15").takes("REDIS0010")
    assert not Release("redis", "7.0.15").takes("REDIS0011")
    assert not Release("redis", "8.0.0").takes("VALKEY080")
    assert Release("valkey", "9.0.0").takes("VALKEY080")
    assert not Release("valkey", "9.0.0").takes("REDIS0012")


def test_a_file_of_another_server_is_read() -> None:
    """What one kind writes for a replica of the other, both can load."""
    for server in running("redis", password=""):
        fill(server)
        data = saved(server)
    for other in running("valkey", password=""):
        (other.folder / "dump.rdb").write_bytes(data)
        other.restart()
        again = saved(other)
    assert measured(read(again)) == measured(read(data))
