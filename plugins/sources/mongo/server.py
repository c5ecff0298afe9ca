"""A connected server: what it is, what it holds, and its collections' documents as they lie there."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from plugins.sources.mongo.aside import Aside
from plugins.sources.mongo.connection import Connection
from plugins.sources.mongo.failures import told
from strongroom import ConfigError, ConnectionFailed, Context, ToolMissing

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.client_session import ClientSession

T = TypeVar("T")
SYSTEM = frozenset({"admin", "config", "local"})
BUCKETS = "system.buckets."
_CLOSE = 1.0  # seconds
_SNAPSHOTS_SINCE = 13  # the wire version of MongoDB 5.0


@dataclass(frozen=True, slots=True)
class Collection:
    """One entry of a database's catalogue."""

    name: str
    type: str
    options: dict[str, Any]
    uuid: str = ""
    reads: str = ""
    """The collection that holds its documents: for a time series its buckets, where the server shows them."""
    indexes: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_view(self) -> bool:
        """Whether it has no documents of its own."""
        return self.type == "view"


class Server:
    """One connection, made when it is first needed. Raises `SourceError`s, and `Cancelled`."""

    def __init__(self, context: Context, connection: Connection) -> None:
        self.connection = connection
        self._context = context
        self._aside = Aside(context.cancel)
        self._held = ExitStack()
        self._client: MongoClient[dict[str, Any]] | None = None
        self._hello: dict[str, Any] | None = None

    def close(self) -> None:
        """Let go of the connection."""
        client, self._client = self._client, None
        if client is not None:
            _let_go(client)
        self._aside.close()
        self._held.close()

    # ------------------------------------------------------------------------------ asking

    def call(
        self, what: str, function: Callable[[MongoClient[dict[str, Any]]], T], *, to_its_end: float = 0
    ) -> T:
        """Let the driver do something; a cancel is heeded meanwhile, and leaves it so many seconds to end."""
        client = self._connected()
        try:
            with told(self.connection, what):
                return self._aside.call(lambda: function(client), to_its_end=to_its_end)
        except ConnectionFailed:
            self._client = None  # the driver would wait in vain for a server that it has given up
            _let_go(client)
            raise

    def command(self, database: str, command: str, value: Any = 1, **more: Any) -> dict[str, Any]:
        """Run a command of the server's."""
        return self.call(
            f"{database}: {command}", lambda client: dict(client[database].command(command, value, **more))
        )

    def _connected(self) -> MongoClient[dict[str, Any]]:
        if self._client is not None:
            return self._client
        try:
            import pymongo
        except ImportError as error:
            raise ToolMissing(
                "The library pymongo is not installed.", remedy="pip install 'strongroom[mongodb]'"
            ) from error
        connection = self.connection
        with told(connection, "the connection"):
            self._client = self._aside.call(
                lambda: pymongo.MongoClient(self._address(), **self._how(), **connection.options())
            )
        return self._client

    def _address(self) -> Any:
        connection, host = self.connection, self._context.host
        if connection.srv:
            if not host.local:
                raise ConfigError(
                    "mongodb+srv:// works on this machine alone.",
                    remedy="Give the host of one server, as that host knows it.",
                    field="srv",
                )
            return f"mongodb+srv://{connection.host}/"
        if connection.by_socket:
            if not host.local:
                raise ConfigError(
                    "A socket of another host is out of reach.",
                    remedy="Give a host and a port.",
                    field="host",
                )
            return connection.host
        if host.local:
            return [
                f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name, port in connection.hosts
            ]
        # Through a tunnel one server is reached, and the names that it knows of the others are not.
        name, port = self._held.enter_context(host.tunnel(*connection.hosts[0]))
        return [f"{name}:{port}"]

    def _how(self) -> dict[str, Any]:
        if self.connection.srv:
            return {}
        return {"directConnection": self.connection.is_direct or not self._context.host.local}

    # ---------------------------------------------------------------------------- looking

    def hello(self) -> dict[str, Any]:
        """What the server says of itself."""
        if self._hello is None:
            self._hello = self.command("admin", "hello")
        return self._hello

    @property
    def version(self) -> str:
        """What it calls itself, as 8.0.4."""
        return str(self.command("admin", "buildInfo").get("version", ""))

    @property
    def has_snapshots(self) -> bool:
        """Whether it can read all collections as of one moment: a replica set or a mongos of 5.0 or newer."""
        hello = self.hello()
        of_many = bool(hello.get("setName")) or hello.get("msg") == "isdbgrid"
        return of_many and int(hello.get("maxWireVersion", 0)) >= _SNAPSHOTS_SINCE

    def databases(self) -> list[str]:
        """Every database but the server's own, sorted."""
        found = self.call("the list of databases", lambda client: client.list_database_names())
        return sorted(name for name in found if name not in SYSTEM)

    def collections(self, database: str) -> list[Collection]:
        """What is in a database, with its indexes; the server's own collections are left out. Sorted."""
        entries = self.call(
            database, lambda client: [dict(entry) for entry in client[database].list_collections()]
        )
        names = {str(entry["name"]) for entry in entries}
        found = []
        for entry in sorted(entries, key=lambda entry: str(entry["name"])):
            name, kind = str(entry["name"]), str(entry.get("type", "collection"))
            if name.startswith("system.") and name != "system.js":
                continue
            reads = f"{BUCKETS}{name}" if f"{BUCKETS}{name}" in names else name
            info = dict(entry.get("info") or {})
            found.append(
                Collection(
                    name,
                    kind,
                    dict(entry.get("options") or {}),
                    _hex(info.get("uuid")),
                    reads,
                    [] if kind == "view" else self._indexes(database, name),
                )
            )
        return found

    def _indexes(self, database: str, collection: str) -> list[dict[str, Any]]:
        def ask(client: MongoClient[dict[str, Any]]) -> list[dict[str, Any]]:
            return [dict(index) for index in client[database][collection].list_indexes()]

        found = self.call(f"{database}.{collection}", ask)
        return [{name: value for name, value in index.items() if name != "ns"} for index in found]

    # ---------------------------------------------------------------------------- reading

    @contextmanager
    def session(self, *, snapshot: bool) -> Iterator[ClientSession]:
        """A session; with `snapshot`, all that is read in it is of the moment of the first read."""
        session = self.call("a session", lambda client: client.start_session(snapshot=snapshot))
        try:
            yield session
        finally:
            client = self._client
            if client is not None and not self._context.cancel.cancelled:
                self.call("a session", lambda client: session.end_session())

    def raw_batches(self, database: str, collection: str, session: ClientSession) -> Iterator[bytes]:
        """The documents of a collection, many at a time, each as the server keeps it."""
        what = f"{database}.{collection}"
        cursor: Any = self.call(
            what, lambda client: client[database][collection].find_raw_batches({}, session=session)
        )
        while batch := self.call(what, lambda client: next(cursor, b"")):
            yield batch

    def history(self) -> dict[str, float]:
        """Seconds that the oplog goes back (`oplog`), and for which a moment is kept (`snapshot`), as far as
        the user may see them."""
        found: dict[str, float] = {}
        with _hidden():
            log = self.call("the oplog", _ends_of_oplog)
            found["oplog"] = log
        with _hidden():
            name = "minSnapshotHistoryWindowInSeconds"
            found["snapshot"] = float(self.command("admin", "getParameter", 1, **{name: 1})[name])
        return found


def _let_go(client: MongoClient[dict[str, Any]]) -> None:
    """Close a client. To a server that is gone the driver would say good-bye for half a minute."""
    closing = threading.Thread(target=client.close, name="mongodb-close", daemon=True)
    closing.start()
    closing.join(_CLOSE)


def _hex(uuid: Any) -> str:
    """A UUID as mongodump writes it; none is the empty text."""
    return bytes(uuid).hex() if uuid is not None else ""


@contextmanager
def _hidden() -> Iterator[None]:
    """What a plain user may not see is not told."""
    from strongroom import SourceError

    try:
        yield
    except (SourceError, KeyError, TypeError, ValueError):
        return


def _ends_of_oplog(client: MongoClient[dict[str, Any]]) -> float:
    log = client["local"]["oplog.rs"]
    first = log.find_one({}, {"ts": 1}, sort=[("$natural", 1)])
    last = log.find_one({}, {"ts": 1}, sort=[("$natural", -1)])
    if first is None or last is None:
        raise ValueError("the oplog is empty")
    return float(last["ts"].time - first["ts"].time)


def major(version: str) -> tuple[int, ...]:
    """The first two numbers of a version."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
