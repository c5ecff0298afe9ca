"""MongoDB's adapter on SecantusDB: what a database is made of, the tar, what goes out to the server, TLS."""

from __future__ import annotations

import io
import json
import socket
import sys
import tarfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.json_util import CANONICAL_JSON_OPTIONS, loads
from pymongo import monitoring

import strongroom
from engine.contract.config import build
from engine.hosts.local import LocalHost
from plugins.sources.mongo.connection import Connection
from plugins.sources.mongodb import MongoDB
from strongroom import BackupFacts, Context
from strongroom.testing.laboratory import Surroundings, dumped
from tests.parts.certificates import certificate
from tests.parts.mongodb import PASSWORD, Server, mongodb, running  # noqa: F401 - a fixture

LONG = "a name that is too long for a file " * 6
ODD = "päth/with %2F, spaces; and more 漢"
FACTS = BackupFacts("shop", "mongodb", "8.0.1", "pymongo 4.20.1", "tar", 1)


def fill(server: Server) -> None:
    """One of everything that a database of an application may hold."""
    with server.client() as client:
        db = client["shop"]
        everything = {
            "text": "Zoë 漢 \N{GRINNING FACE}",
            "long": bson.Int64(1 << 40),
            "int": 7,
            "float": -0.5,
            "nan": float("inf"),
            "decimal": bson.Decimal128("123456789.123456789"),
            "bytes": b"\x00\xff",
            "uuid": bson.Binary.from_uuid(uuid.UUID(int=5)),
            "at": datetime(2026, 11, 24, 1, 2, 3, 456000),
            "null": None,
            "yes": True,
            "pattern": bson.Regex("^a.*", "i"),
            "code": bson.Code("function() { return 1 }"),
            "stamp": bson.Timestamp(5, 6),
            "min": bson.MinKey(),
            "deep": {"z": [1, {"a": []}], "a": {}},
            "": "a field of no name",
            "$odd.name": 1,
        }
        db["everything"].insert_many([{"_id": i, **everything} for i in range(50)])
        db["everything"].insert_many([{"_id": {"b": 1, "a": 2}}, {"_id": "text"}, {"_id": bson.ObjectId()}])
        db["everything"].create_index([("text", 1), ("int", -1)], name="by text")
        db["everything"].create_index([("at", 1)], expireAfterSeconds=1 << 30)
        db["everything"].create_index(
            [("long", 1)], partialFilterExpression={"long": {"$gt": 5}}, sparse=False
        )
        db["everything"].create_index([("deep.z.a", 1)], sparse=True)
        db["unique"].insert_many([{"_id": i, "key": i} for i in range(5)])
        db["unique"].create_index([("key", 1)], unique=True)
        db.create_collection("newest", capped=True, size=1 << 20, max=3)
        db["newest"].insert_many([{"_id": i} for i in (9, 1, 8, 2)])
        db.create_collection(
            "checked",
            validator={"age": {"$gte": 0}},
            validationLevel="strict",
            collation={"locale": "de", "strength": 2},
        )
        db["checked"].insert_one({"_id": 1, "age": 5})
        db["checked"].insert_one({"_id": 2, "age": -5}, bypass_document_validation=True)
        db.create_collection("measured", timeseries={"timeField": "t", "metaField": "m"})
        db["measured"].insert_many(
            [{"t": datetime(2026, 1, 1 + i), "m": i % 2, "value": i} for i in range(20)]
        )
        db.create_collection("empty")
        db.command(
            "create",
            "seen",
            viewOn="everything",
            pipeline=[{"$match": {"int": 7}}, {"$project": {"text": 1}}],
        )
        db[ODD].insert_one({"_id": 1})
        db[LONG].insert_one({"_id": 1})


def content(server: Server, database: str) -> dict[str, Any]:
    """Every collection with its options, indexes and documents."""
    found = {}
    with server.client() as client:
        db = client[database]
        for entry in db.list_collections():
            name = entry["name"]
            documents = [bson.encode(each) for each in db[name].find()]
            indexes = {} if entry["type"] == "view" else db[name].index_information()
            ordered = documents if entry["options"].get("capped") else sorted(documents)
            found[name] = (entry["type"], entry["options"], indexes, ordered)
    return found


@pytest.fixture
def server(mongodb: Server) -> Iterator[Server]:  # noqa: F811
    yield mongodb
    with mongodb.client() as client:
        for name in set(client.list_database_names()) - {"admin", "config", "local"}:
            client.drop_database(name)


@pytest.fixture
def opened(around: Surroundings) -> Iterator[Callable[..., MongoDB]]:
    """Opens an adapter; all that were opened are closed."""
    sources: list[MongoDB] = []

    def opener(server: Server, context: Context | None = None, **values: object) -> MongoDB:
        config = build(MongoDB.Config, {**server.values(), **values})
        sources.append(MongoDB(config, context or around.context))
        return sources[-1]

    yield opener
    for source in sources:
        source.close()
    assert around.left() == []


def test_everything_comes_back(server: Server, opened: Callable[..., MongoDB]) -> None:
    fill(server)
    before = content(server, "shop")
    source = opened(server)
    chunks, counted = dumped(source, "shop")
    assert counted.tables["collections"] == len(before) - 1
    assert counted.tables["views"] == 1
    source.restore("copy", chunks)
    restored = content(server, "copy")
    assert restored.keys() == before.keys()
    for name in before:
        assert restored[name] == before[name], name
    assert counted.differences(source.fingerprint("copy")) == []


def test_the_tar_is_laid_out_as_mongodump_does(server: Server, opened: Callable[..., MongoDB]) -> None:
    fill(server)
    whole = b"".join(dumped(opened(server), "shop")[0])
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        names = archive.getnames()
        files = {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]
    assert len(names) == len(set(names))
    assert "shop/p%C3%A4th%2Fwith%20%252F%2C%20spaces%3B%20and%20more%20%E6%BC%A2.bson" in names
    assert max(len(name) for name in names) <= len("shop/") + 238 + len(".metadata.json")
    assert "shop/seen.bson" not in names, "a view has no documents"
    for name in names:
        if name.endswith(".bson"):
            assert names[names.index(name) - 1] == name.replace(".bson", ".metadata.json")
    with server.client() as client:
        db = client["shop"]
        wanted = sorted(bson.encode(each) for each in db["everything"].find())
        assert sorted(map(bson.encode, bson.decode_all(files["shop/everything.bson"]))) == wanted
        plain = json.loads(files["shop/everything.metadata.json"])
        assert plain["indexes"][0]["v"] == {"$numberInt": "2"}, "canonical Extended JSON"
        metadata = loads(files["shop/everything.metadata.json"], json_options=CANONICAL_JSON_OPTIONS)
        entry = next(each for each in db.list_collections() if each["name"] == "everything")
        assert metadata["uuid"] == bytes(entry["info"]["uuid"]).hex()
        assert (metadata["collectionName"], metadata["type"]) == ("everything", "collection")
        assert [index["name"] for index in metadata["indexes"]] == [
            index["name"] for index in db["everything"].list_indexes()
        ]
    view = loads(files["shop/seen.metadata.json"], json_options=CANONICAL_JSON_OPTIONS)
    assert view["type"] == "view"
    assert view["options"]["viewOn"] == "everything"


class Heard(monitoring.CommandListener):
    """Every command that goes out to the server."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, dict[str, Any]]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.commands.append((event.command_name, dict(event.command)))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...

    def of(self, name: str) -> list[dict[str, Any]]:
        return [command for each, command in self.commands if each == name]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    listener = Heard()
    plain = Connection.options
    monkeypatch.setattr(
        Connection, "options", lambda connection: {**plain(connection), "event_listeners": [listener]}
    )
    return listener


def test_one_moment_is_asked_for_in_one_session(
    server: Server, opened: Callable[..., MongoDB], heard: Heard
) -> None:
    """What a replica set makes of it, SecantusDB cannot show."""
    fill(server)
    dumped(opened(server), "shop")
    reads = [command for command in heard.of("find") if command["$db"] == "shop"]
    assert len(reads) == 8
    assert {read["readConcern"]["level"] for read in reads} == {"snapshot"}
    assert len({read["lsid"]["id"] for read in reads}) == 1
    heard.commands.clear()
    dumped(opened(server, snapshot="off"), "shop")
    assert all("snapshot" not in str(read.get("readConcern")) for read in heard.of("find"))


def test_documents_go_in_raw_past_the_rules_and_indexes_come_last(
    server: Server, opened: Callable[..., MongoDB], heard: Heard
) -> None:
    fill(server)
    source = opened(server)
    chunks, _ = dumped(source, "shop")
    heard.commands.clear()
    source.restore("copy", chunks)
    assert all(insert["bypassDocumentValidation"] is True for insert in heard.of("insert"))
    order = [name for name, command in heard.commands if command.get(name) == "everything"]
    assert order == ["create", "insert", "createIndexes"]
    creates = [command["create"] for command in heard.of("create")]
    assert creates[-1] == "seen", "views come after what they look at"


def test_a_time_series_is_read_and_filled_by_its_buckets(
    server: Server, opened: Callable[..., MongoDB], heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real server lists the buckets, which SecantusDB does not have: here they are a collection."""
    with server.client() as client:
        client["shop"].create_collection("measured", timeseries={"timeField": "t"})
    source = opened(server)
    ask = source._server.call

    def with_buckets(what: str, function: Any, **more: Any) -> Any:
        found = ask(what, function, **more)
        if what == "shop" and isinstance(found, list):
            found = [{**found[0], "type": "timeseries"}, {"name": "system.buckets.measured", "options": {}}]
        return found

    monkeypatch.setattr(source._server, "call", with_buckets)
    heard.commands.clear()
    whole = b"".join(dumped(source, "shop")[0])
    assert [find["find"] for find in heard.of("find") if find["$db"] == "shop"] == ["system.buckets.measured"]
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        names = archive.getnames()
    assert names == ["shop/measured.metadata.json", "shop/system.buckets.measured.bson"]
    bucket = bson.encode({"_id": 1, "control": {}})
    metadata = {"options": {"timeseries": {"timeField": "t"}}, "indexes": [], "type": "timeseries"}
    heard.commands.clear()
    made = tar({names[0]: json.dumps(metadata).encode(), names[1]: bucket})
    source.restore("copy", [made])
    assert [insert["insert"] for insert in heard.of("insert")] == ["system.buckets.measured"]


def tar(files: dict[str, bytes], *odd: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for entry in odd:
            archive.addfile(entry)
    return out.getvalue()


def test_a_dump_of_mongodump_itself_is_taken(server: Server, opened: Callable[..., MongoDB]) -> None:
    folder = tarfile.TarInfo("dump")
    folder.type = tarfile.DIRTYPE
    files = {
        "shop/prelude.json": b"{}",
        "shop/old.metadata.json": b'{"options":{"autoIndexId":true},"indexes":['
        b'{"v":2,"key":{"_id":1},"name":"_id_","ns":"shop.old"},'
        b'{"v":2,"key":{"a":{"$numberInt":"1"}},"name":"a_1","ns":"shop.old","background":true}]}',
        "shop/old.bson": bson.encode({"_id": 1, "a": 2}),
    }
    opened(server).restore("copy", [tar(files, folder)])
    with server.client() as client:
        assert list(client["copy"]["old"].find()) == [{"_id": 1, "a": 2}]
        assert "a_1" in client["copy"]["old"].index_information()


def _link() -> tarfile.TarInfo:
    entry = tarfile.TarInfo("shop/link.bson")
    entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return entry


GOOD = {"shop/a.metadata.json": b'{"options":{},"indexes":[]}'}
ONE = bson.encode({"_id": 1})


@pytest.mark.parametrize(
    "data",
    [
        tar(GOOD, _link()),
        tar({**GOOD, "shop/x/y.bson": b""}),
        tar({**GOOD, "shop/a.sh": b"x"}),
        tar({"shop/a.bson": ONE}),
        tar({**GOOD, "shop/a.bson": ONE[:-1]}),
        tar({**GOOD, "shop/a.bson": b"\xff\xff\xff\x7f" + ONE}),
        tar({**GOOD, "shop/b.metadata.json": b"no json"}),
        tar({**GOOD, "shop/b.metadata.json": b'{"options": 5}'}),
        tar({**GOOD, "shop/system.users.metadata.json": b'{"options":{},"indexes":[]}'}),
        tar({**GOOD, "shop/a.bson": ONE})[:-10240],
        tar({}),
        b"",
    ],
)
def test_what_is_no_dump_is_refused_and_leaves_nothing(
    server: Server, opened: Callable[..., MongoDB], data: bytes
) -> None:
    with pytest.raises(strongroom.DumpIncomplete) as caught:
        opened(server).restore("copy", [data])
    assert caught.value.remedy
    with server.client() as client:
        assert "copy" not in client.list_database_names()


def test_what_breaks_a_rule_of_an_index_fails_the_restore(
    server: Server, opened: Callable[..., MongoDB]
) -> None:
    index = {"v": 2, "key": {"card": 1}, "name": "card_1", "unique": True}
    files = {
        "shop/a.metadata.json": json.dumps({"options": {}, "indexes": [index]}).encode(),
        "shop/a.bson": bson.encode({"_id": 1, "card": "4111-secret"})
        + bson.encode({"_id": 2, "card": "4111-secret"}),
    }
    with pytest.raises(strongroom.ToolFailed):
        opened(server).restore("copy", [tar(files)])
    twice = {**files, "shop/a.bson": bson.encode({"_id": "4111-secret"}) * 2}
    with pytest.raises(strongroom.ToolFailed) as caught:
        opened(server).restore("copy", [tar(twice)])
    assert "4111-secret" not in caught.value.message
    with server.client() as client:
        assert "copy" not in client.list_database_names()


def test_one_changed_document_is_seen(server: Server, opened: Callable[..., MongoDB]) -> None:
    fill(server)
    source = opened(server)
    chunks, counted = dumped(source, "shop")
    source.restore("copy", chunks)
    with server.client() as client:
        client["copy"]["unique"].update_one({"_id": 3}, {"$set": {"key": 33}})
    assert counted.differences(source.fingerprint("copy")) == ["the sum of unique differs"]


def test_collections_can_be_left_out(server: Server, opened: Callable[..., MongoDB]) -> None:
    fill(server)
    counted = dumped(opened(server, exclude_collections=["everything", ODD]), "shop")[1]
    assert "sum of everything" not in counted.tables
    assert "sum of unique" in counted.tables


def test_a_check_tells_how_far_back_the_server_goes(server: Server, opened: Callable[..., MongoDB]) -> None:
    fill(server)
    report = opened(server).check()
    assert any("the oplog goes back" in note for note in report.notes)
    assert [tool.name for tool in report.tools] == ["pymongo"]
    assert opened(server).preflight("copy", FACTS) == ()
    newer = BackupFacts("shop", "mongodb", "99.0.1", "pymongo 4.20.1", "tar", 1)
    assert "99.0.1" in opened(server).preflight("copy", newer)[0]


def test_a_standalone_server_has_no_one_moment(opened: Callable[..., MongoDB], heard: Heard) -> None:
    for alone in running("--standalone"):
        with alone.client() as client:
            client["shop"]["a"].insert_one({"_id": 1})
        source = opened(alone)
        assert any("one after the other" in note for note in source.check().notes)
        chunks, counted = dumped(source, "shop")
        assert all("snapshot" not in str(read.get("readConcern")) for read in heard.of("find"))
        source.restore("copy", chunks)
        assert counted.differences(source.fingerprint("copy")) == []
        with pytest.raises(strongroom.SourceError, match="as of one moment"):
            opened(alone, snapshot="require").check()
        alone.kill()
        with pytest.raises(strongroom.ConnectionFailed) as caught:
            opened(alone, connect_timeout=1).check()
        assert caught.value.remedy


def test_a_server_that_goes_away_fails_the_dump(opened: Callable[..., MongoDB]) -> None:
    for other in running():
        with other.client() as client:
            for name in "ab":
                client["shop"][name].insert_many([{"_id": i, "x": "y" * 10_000} for i in range(2000)])
        with opened(other, connect_timeout=1).dump("shop") as dump:
            chunks = iter(dump)
            next(chunks)
            other.kill()
            with pytest.raises(strongroom.ConnectionFailed) as caught:
                list(chunks)
        assert caught.value.remedy


def test_tls_with_a_client_certificate(tmp_path: Path, opened: Callable[..., MongoDB]) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "other").mkdir()
    authority, stranger = certificate(tmp_path / "own"), certificate(tmp_path / "other")
    crt, key = authority.parent / "server.crt", authority.parent / "server.key"
    both = tmp_path / "both.pem"
    both.write_bytes(crt.read_bytes() + key.read_bytes())
    options = ["--tls-cert-file", str(crt), "--tls-key-file", str(key)]
    options += ["--tls-ca-file", str(authority), "--tls-require-client-cert"]
    for other in running(*options):
        secure = {
            "ssl_mode": "verify-full",
            "ssl_ca": str(authority),
            "ssl_cert": str(both),
            "connect_timeout": 3,
        }
        for more in ({}, {"ssl_mode": "verify-ca"}, {"ssl_mode": "require", "ssl_ca": ""}):
            assert opened(other, **{**secure, **more}).check().version[0].isdigit()
        with pytest.raises(strongroom.ConnectionFailed, match="TLS") as caught:
            opened(other, **{**secure, "ssl_ca": str(stranger), "connect_timeout": 1}).check()
        assert caught.value.remedy
        with pytest.raises(strongroom.ConnectionFailed):
            opened(other, **{**secure, "ssl_cert": "", "connect_timeout": 1}).check()
        with pytest.raises(strongroom.ConnectionFailed):
            opened(other, connect_timeout=1).check()


class FarHost(LocalHost):
    """A host whose servers are reached by a tunnel alone."""

    local = False

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.asked: list[tuple[str, int]] = []
        self.open = 0

    @contextmanager
    def tunnel(self, host: str, port: int) -> Iterator[tuple[str, int]]:
        self.asked.append((host, port))
        self.open += 1
        try:
            yield "127.0.0.1", self.port
        finally:
            self.open -= 1


def test_a_server_of_another_host_is_reached_through_a_tunnel(
    server: Server, opened: Callable[..., MongoDB], around: Surroundings
) -> None:
    fill(server)
    host = FarHost(server.port)
    context = Context(host, around.cancel, around.context.scratch)
    source = opened(server, context, host="db.internal:7, other.internal", replica_set="secantus")
    chunks, counted = dumped(source, "shop")
    source.restore("copy", chunks)
    assert counted.differences(source.fingerprint("copy")) == []
    assert (host.asked, host.open) == ([("db.internal", 7)], 1)
    source.close()
    assert host.open == 0
    with pytest.raises(strongroom.ConfigError, match="this machine alone"):
        opened(server, context, srv=True).check()


def test_no_password_where_one_is_wanted(server: Server, opened: Callable[..., MongoDB]) -> None:
    with pytest.raises(strongroom.ConnectionFailed, match="asks for a user"):
        opened(server, user="", password=None).check()


def test_a_url_with_an_odd_password_gets_in(server: Server, opened: Callable[..., MongoDB]) -> None:
    from urllib.parse import quote

    fill(server)
    url = f"mongodb://backup:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/?authSource=admin"
    source = opened(server, url=url, user="", password=None, host="")
    assert source.check().databases == ("shop",)
    assert PASSWORD not in f"{source.config!r} {source._server.connection!r}"


def test_nobody_there(server: Server, opened: Callable[..., MongoDB]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        with pytest.raises(strongroom.ConnectionFailed, match="No server answers"):
            opened(server, port=probe.getsockname()[1], connect_timeout=1).check()
    with pytest.raises(strongroom.ConnectionFailed, match="no host named"):
        opened(server, host="nowhere.invalid", connect_timeout=1).check()


def test_a_missing_driver_is_named_with_its_remedy(
    server: Server, opened: Callable[..., MongoDB], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pymongo", None)
    for attempt in (opened(server).check, opened(server).databases, lambda: opened(server).dump("shop")):
        with pytest.raises(strongroom.ToolMissing) as caught:
            attempt()
        assert "strongroom[mongodb]" in caught.value.remedy


def test_the_servers_own_databases_are_no_targets(server: Server, opened: Callable[..., MongoDB]) -> None:
    for name in ("admin", "local", "a/b", "a b", "", "x" * 64):
        with pytest.raises(strongroom.ConfigError):
            opened(server).target_state(name)
