"""Redis's and Valkey's adapters against the suite that any plugin's source is held to, on real servers.

A server is one database, and has one name. So the first that the suite makes is the server, and every other
one is an RDB file, as the adapter itself would restore into. The adapter wants the whole path of a file; here
a name alone means one in the laboratory's folder. A table is a hash, a row a field of it.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

import strongroom
from engine.contract.config import build
from plugins.sources.keyvalue.server import KeyValueFamily
from plugins.sources.redis import Redis
from plugins.sources.valkey import Valkey
from strongroom import Context, Source, TargetState
from strongroom.testing import PasswordConformance, ToolConformance
from strongroom.testing.laboratory import SHOP, Tables, counts, dumped
from tests.conformance.test_sources import process_writing
from tests.parts.postgres import tools_folder
from tests.parts.redis import (
    Server,
    programs,
    redis,  # noqa: F401 - a fixture
    valkey,  # noqa: F401 - a fixture
)

WRITER = """
import itertools, sys, valkey
path, password, first, second = sys.argv[1:]
client = valkey.Valkey(unix_socket_path=path, password=password)
for number in itertools.count(1):
    pipe = client.pipeline(transaction=True)
    for table in (first, second):
        pipe.hset("t:" + table, str(number), f"row {number}")
    pipe.execute()
    print(number, flush=True)
"""


def fill(client: Any, tables: Tables) -> None:
    for table, rows in tables.items():
        client.sadd("tables", table)
        if rows:
            client.hset(f"t:{table}", mapping={str(number): words for number, words in rows})


def rows_of(client: Any) -> Mapping[str, list[tuple[int, str]]]:
    found = {}
    for table in sorted(client.smembers("tables")):
        rows = client.hgetall(f"t:{table}").items()
        found[table] = sorted((int(number), words) for number, words in rows)
    return found


class KeyValueLab:
    """One server, and RDB files in a folder."""

    def __init__(self, adapter: type[KeyValueFamily], server: Server, folder: Path) -> None:
        files = folder / "files"
        files.mkdir()

        class InFolder(adapter):  # type: ignore[valid-type, misc]
            def file_of(self, database: str) -> str | None:
                own = database == self._own or database.startswith("/")
                return super().file_of(database) if own else str(files / f"{database}.rdb")  # type: ignore[no-any-return]

        self.adapter: type[KeyValueFamily] = InFolder
        self.server = server
        self.folder = folder
        self.files = files
        self.own = ""
        tools = folder / "programs"
        tools.mkdir()
        (tools / "redis-cli").symlink_to(str(shutil.which("redis-cli")))
        (tools / server.program.name).symlink_to(server.program)
        self.tools = tools

    def open(self, context: Context) -> Source:
        return self.opened(context)

    def opened(self, context: Context, **values: object) -> KeyValueFamily:
        chosen = self.server.values(label=self.own, tools=str(self.tools))
        return self.adapter(build(self.adapter.Config, {**chosen, **values}), context)

    def open_with_password(self, context: Context, password: str) -> Source:
        return self.opened(context, password=password)

    def open_without_tools(self, context: Context) -> Source:
        return self.opened(context, tools=str(self.folder / "no tools"))

    def open_with_failing_tool(self, context: Context, how: Literal["killed", "late status"]) -> Source:
        others = 'case "$*" in *--rdb*) ;; *) exec "@REAL@" "$@";; esac\n'
        script = {
            "killed": others + '"@REAL@" "$@" | head -c 1500000\nkill -9 $$',
            "late status": others + '"@REAL@" "$@"\nexit 7',
        }[how]
        real = Path(str(shutil.which("redis-cli"))).parent
        folder = tools_folder(self.folder / "failing", real, {"redis-cli": script}, tools=("redis-cli",))
        return self.opened(context, tools=str(folder))

    def make(self, database: str, tables: Tables) -> str:
        if not self.own:
            self.own = database
            with self.server.client() as client:
                client.flushall()
                fill(client, tables)
            return database
        with self._server_of(self.files / f"{database}.rdb", new=True) as client:
            fill(client, tables)
        return database

    def rows(self, database: str) -> Mapping[str, list[tuple[int, str]]]:
        if database == self.own:
            with self.server.client(decode=True) as client:
                return rows_of(client)
        with self._server_of(self.files / f"{database}.rdb") as client:
            return rows_of(client)

    @contextmanager
    def _server_of(self, path: Path, *, new: bool = False) -> Iterator[Any]:
        """Another server that holds a file, and writes it where it is new."""
        server = Server(self.server.program, password="")
        try:
            if not new:
                shutil.copy(path, server.folder / "dump.rdb")
            server.start()
            with server.client(decode=True) as client:
                yield client
                if new:
                    client.save()
                    shutil.copy(server.folder / "dump.rdb", path)
        finally:
            server.close()

    def exists(self, database: str) -> bool:
        return database == self.own or (self.files / f"{database}.rdb").exists()

    @contextmanager
    def writing(self, database: str, first: str, second: str) -> Iterator[None]:
        argv = [sys.executable, "-c", WRITER, str(self.server.socket), self.server.password, first, second]
        with process_writing(argv):
            yield

    def odd_name(self) -> str:
        return 'We ird\'Ünï "q" 漢 \\ *[x]? $y'


class OnServer(PasswordConformance, ToolConformance):
    adapter: ClassVar[type[KeyValueFamily]]

    def test_a_live_database_is_counted(self, lab: KeyValueLab, open: Callable[[], Source]) -> None:
        """What is counted are keys: a hash each, and the names of the tables."""
        name = lab.make("shop", SHOP)
        counted = open().fingerprint(name)
        assert counts(lab.rows(name)) == [0, 300, 700]
        assert (counted.tables["keys"], counted.consistent) == (3, True)
        assert counted.words() == "3 keys, 0 timed keys"

    def test_the_states_of_a_target(self, lab: KeyValueLab, open: Callable[[], Source]) -> None:
        """A file that is there is never empty: it is somebody's."""
        name = lab.make("shop", SHOP)
        source = open()
        assert source.target_state(name) is TargetState.FILLED
        with lab.server.client() as client:
            client.flushall()
        assert source.target_state(name) is TargetState.EMPTY
        assert source.target_state("gone") is TargetState.MISSING
        assert source.target_state(lab.make("other", SHOP)) is TargetState.FILLED

    def test_an_empty_database_is_a_backup_too(self, lab: KeyValueLab, open: Callable[[], Source]) -> None:
        name = lab.make("hollow", {})
        source = open()
        chunks, counted = dumped(source, name)
        assert counted.tables["keys"] == 0
        source.restore("copy", chunks)
        assert counted.differences(source.fingerprint("copy")) == []
        source.restore(name, chunks)
        assert source.target_state(name) is TargetState.EMPTY

    def test_an_empty_target_is_filled(self, lab: KeyValueLab, open: Callable[[], Source]) -> None:
        name = lab.make("shop", SHOP)
        source = open()
        before = lab.rows(name)
        chunks, counted = dumped(source, name)
        with lab.server.client() as client:
            client.flushall()
        source.restore(name, chunks)
        assert lab.rows(name) == before
        assert counted.differences(source.fingerprint(name)) == []

    @pytest.mark.parametrize("part", [0.3, 0.97])
    def test_a_cut_dump_leaves_an_empty_target_empty(
        self, lab: KeyValueLab, open: Callable[[], Source], part: float
    ) -> None:
        name = lab.make("shop", SHOP)
        source = open()
        whole = b"".join(dumped(source, name)[0])
        with lab.server.client() as client:
            client.flushall()
        with pytest.raises(strongroom.SourceError):
            source.restore(name, [whole[: int(len(whole) * part)]])
        assert source.target_state(name) is TargetState.EMPTY


class TestRedis(OnServer):
    adapter = Redis

    @pytest.fixture
    def lab(self, redis: Server, tmp_path: Path) -> KeyValueLab:  # noqa: F811
        return KeyValueLab(self.adapter, redis, tmp_path)


class TestValkey(OnServer):
    """By Redis's client: Valkey's own is not to be had here."""

    adapter = Valkey

    @pytest.fixture
    def lab(self, valkey: Server, tmp_path: Path) -> KeyValueLab:  # noqa: F811
        assert programs("valkey") is not None
        return KeyValueLab(self.adapter, valkey, tmp_path)
