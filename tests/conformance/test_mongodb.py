"""MongoDB's adapter against the suite that any plugin's source is held to, on SecantusDB.

A table is a collection, a row a document. MongoDB has no empty databases: one without collections is none.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest

import strongroom
from engine.contract.config import build
from plugins.sources.mongodb import MongoDB
from strongroom import Context, Source, TargetState
from strongroom.testing import PasswordConformance
from strongroom.testing.laboratory import SHOP, Tables, bulk, counts, dumped
from tests.conformance.test_sources import process_writing
from tests.parts.mongodb import PASSWORD, USER, Server, mongodb  # noqa: F401 - a fixture

WRITER = """
import itertools, sys, pymongo
port, user, password, database, first, second = sys.argv[1:]
client = pymongo.MongoClient("127.0.0.1", int(port), username=user, password=password, directConnection=True)
for number in itertools.count(1):
    for table in (first, second):
        client[database][table].insert_one({"_id": number, "words": f"row {number}"})
    print(number, flush=True)
"""


class MongoLab:
    """Databases on a server of the tests' own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.made: list[str] = []

    def open(self, context: Context) -> Source:
        return self.opened(context)

    def opened(self, context: Context, **values: object) -> MongoDB:
        chosen = {**self.server.values(databases=[*self.made]), **values}
        return MongoDB(build(MongoDB.Config, chosen), context)

    def open_with_password(self, context: Context, password: str) -> Source:
        return self.opened(context, password=password)

    def make(self, database: str, tables: Tables) -> str:
        with self.server.client() as client:
            for table, rows in tables.items():
                collection = client[database].create_collection(table)
                for start in range(0, len(rows), 500):
                    few = rows[start : start + 500]
                    collection.insert_many([{"_id": number, "words": words} for number, words in few])
        if tables:
            self.made.append(database)
        return database

    def rows(self, database: str) -> Mapping[str, list[tuple[int, str]]]:
        with self.server.client() as client:
            return {
                name: [
                    (each["_id"], each["words"]) for each in client[database][name].find(sort=[("_id", 1)])
                ]
                for name in sorted(client[database].list_collection_names())
            }

    def exists(self, database: str) -> bool:
        with self.server.client() as client:
            return database in client.list_database_names()

    @contextmanager
    def writing(self, database: str, first: str, second: str) -> Iterator[None]:
        argv = [sys.executable, "-c", WRITER, str(self.server.port), USER, PASSWORD, database, first, second]
        with process_writing(argv):
            yield

    def odd_name(self) -> str:
        return "We'irdÜnï-漢#%3F;&()=~@!"


class TestMongoDB(PasswordConformance):
    @pytest.fixture
    def lab(self, mongodb: Server) -> Iterator[MongoLab]:  # noqa: F811
        yield MongoLab(mongodb)
        with mongodb.client() as client:
            for name in set(client.list_database_names()) - {"admin", "config", "local"}:
                client.drop_database(name)

    def test_a_live_database_is_counted(self, lab: MongoLab, open: Callable[[], Source]) -> None:
        """Documents and collections are counted, and the contents of each are compared."""
        name = lab.make("shop", SHOP)
        counted = open().fingerprint(name)
        assert counts(lab.rows(name)) == [0, 300, 700]
        assert (counted.tables["documents"], counted.tables["collections"]) == (1000, 3)
        assert counted.consistent
        assert counted.words() == "1,000 documents, 3 collections, 0 views"

    def test_the_states_of_a_target(self, lab: MongoLab, open: Callable[[], Source]) -> None:
        filled = lab.make("shop", SHOP)
        source = open()
        assert source.target_state(filled) is TargetState.FILLED
        assert source.target_state("gone") is TargetState.MISSING
        assert source.target_state(lab.make("hollow", {"nothing yet": []})) is TargetState.FILLED

    def test_an_empty_database_is_a_backup_too(self, lab: MongoLab, open: Callable[[], Source]) -> None:
        name = lab.make("hollow", {"nothing yet": []})
        source = open()
        chunks, counted = dumped(source, name)
        assert (counted.tables["documents"], counted.tables["collections"]) == (0, 1)
        source.restore("copy", chunks)
        assert lab.rows("copy") == {"nothing yet": []}

    def test_an_empty_target_is_filled(self, lab: MongoLab, open: Callable[[], Source]) -> None:
        """What is empty is missing; a collection without documents is somebody's."""
        name = lab.make("shop", SHOP)
        source = open()
        chunks, _ = dumped(source, name)
        with pytest.raises(strongroom.TargetNotEmpty):
            source.restore(lab.make("hollow", {"nothing yet": []}), chunks)
        source.restore("copy", chunks)
        assert lab.rows("copy") == lab.rows(name)

    @pytest.mark.parametrize("part", [0.3, 0.97])
    def test_a_cut_dump_leaves_an_empty_target_empty(
        self, lab: MongoLab, open: Callable[[], Source], part: float
    ) -> None:
        """The same as a missing one, which another test of the suite holds: here, at many places of a tar."""
        name = lab.make("little", {"first": [(1, "one")], "second": [(2, "two")]})
        source = open()
        whole = b"".join(dumped(source, name)[0])
        for end in range(int(part * 1000), len(whole), 611):
            with pytest.raises(strongroom.SourceError):
                source.restore("copy", [whole[:end]])
            assert not lab.exists("copy")

    def test_the_fingerprint_is_of_the_dumps_snapshot_while_others_write(
        self, lab: MongoLab, open: Callable[[], Source]
    ) -> None:
        """SecantusDB takes a snapshot session and reads what is newest all the same. What is counted is what
        the dump holds, whoever writes; that one moment is asked for is shown in the adapter's own tests."""
        name = lab.make("busy", {"left": [], "right": [], **bulk(4)})
        source = open()
        with lab.writing(name, "left", "right"):
            chunks, counted = dumped(source, name)
        source.restore("copy", chunks)
        assert counted.consistent
        assert counted.differences(source.fingerprint("copy")) == []
