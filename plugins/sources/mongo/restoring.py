"""Restores a tar of a dump through the driver: collections with their options, documents, then indexes."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from plugins.sources.mongo.documents import MOST
from plugins.sources.mongo.dumping import DOCUMENTS, METADATA, file_name
from plugins.sources.mongo.server import BUCKETS, Server
from strongroom import Cancelled, Context, DumpIncomplete, SourceError

if TYPE_CHECKING:
    from pymongo import MongoClient

_MOST_METADATA = 32 << 20
_TO_ITS_END = 10.0  # seconds that a cancel leaves a batch which is on its way
_BATCH = 4 << 20  # bytes
_DOCUMENTS = 10_000
_END = bytes(1024)
_OLD = ("autoIndexId",)
"""Options of collections that servers since 4.0 do not take any more."""


class Stream:
    """The chunks as a file that can be read on and on; the last bytes tell whether a tar has its end."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._data = bytearray()
        self.tail = b""
        self.total = 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer at the end alone."""
        while len(self._data) < size and (chunk := next(self._chunks, b"")):
            self._data += chunk
            self.total += len(chunk)
            self.tail = (self.tail + chunk)[-len(_END) :]
        taken = bytes(self._data[:size])
        del self._data[:size]
        return taken

    def drain(self) -> None:
        """Read to the end."""
        while self.read(1 << 20):
            pass


class Restorer:
    """Restores into one database, which must be missing. Raises `SourceError`s, and `Cancelled`."""

    def __init__(self, context: Context, server: Server, database: str) -> None:
        self._context = context
        self._server = server
        self._database = database
        self._waiting: dict[str, dict[str, Any]] = {}
        """The metadata of collections whose documents come next."""
        self._views: list[dict[str, Any]] = []
        self._began = False
        self._ends = 0
        """Where the last file of the tar ends, in bytes."""

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Restore all; on any error the database is missing again."""
        stream = Stream(chunks)
        try:
            self._read(stream)
            stream.drain()
            if stream.tail != _END or stream.total < self._ends + len(_END):
                raise DumpIncomplete(
                    "The dump lacks its end: it is not whole.", remedy="Restore another backup."
                )
            for metadata in [*self._waiting.values()]:
                self._finish(metadata)
            for view in self._views:
                self._create(view)
        except BaseException:
            # The error that is under way says what happened. A cancelled source does nothing any more: then
            # whoever asked for the restore drops what is left.
            if self._began:
                with suppress(SourceError, Cancelled):
                    drop(self._server, self._database)
            raise

    def _read(self, stream: Stream) -> None:
        found = False
        try:
            with tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 20) as archive:  # type: ignore[call-overload]
                for entry in archive:
                    found = True
                    self._ends = entry.offset_data + -(-entry.size // 512) * 512
                    self._entry(archive, entry)
        except (tarfile.TarError, EOFError) as error:
            raise DumpIncomplete(
                f"The dump is not whole, or no dump of a database at all: {error}.",
                remedy="Restore another backup, or one that a source of MongoDB made.",
            ) from error
        if not found:
            raise DumpIncomplete("There is no collection in the dump.", remedy="Restore another backup.")

    def _entry(self, archive: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        _, slash, name = entry.name.removeprefix("./").partition("/")
        if entry.isdir():
            return
        content = archive.extractfile(entry) if entry.isfile() else None
        if content is None or not slash or "/" in name:
            raise DumpIncomplete(f"A dump holds no {entry.name!r}.", remedy="Restore another backup.")
        if name.endswith(METADATA):
            self._begin(name.removesuffix(METADATA), content, entry.size)
        elif name.endswith(DOCUMENTS):
            self._fill(name.removesuffix(DOCUMENTS), content, entry.size)
        elif name != "prelude.json":  # mongodump's note on itself
            raise DumpIncomplete(f"A dump holds no {entry.name!r}.", remedy="Restore another backup.")

    # ------------------------------------------------------------------------- collections

    def _begin(self, file: str, content: Any, size: int) -> None:
        from bson.json_util import CANONICAL_JSON_OPTIONS, loads

        if size > _MOST_METADATA:
            raise DumpIncomplete(f"The metadata of {file} are too long.", remedy="Restore another backup.")
        try:
            metadata = dict(loads(content.read().decode(), json_options=CANONICAL_JSON_OPTIONS))
            metadata.setdefault("collectionName", unquote(file))
            metadata["options"] = dict(metadata.get("options") or {})
            metadata["indexes"] = [dict(index) for index in metadata.get("indexes") or ()]
        except tarfile.TarError:
            raise
        except Exception as error:  # whatever a stranger's text makes of a parser
            raise DumpIncomplete(
                f"The metadata of {file} cannot be read: {type(error).__name__}.",
                remedy="Restore another backup.",
            ) from error
        if metadata.get("type") == "view" or "viewOn" in metadata["options"]:
            self._views.append(metadata)
            return
        self._create(metadata)
        self._waiting[str(metadata["collectionName"])] = metadata

    def _create(self, metadata: dict[str, Any]) -> None:
        name = str(metadata["collectionName"])
        self._began = True
        if name.startswith("system."):
            if name != "system.js":
                raise DumpIncomplete(f"A dump holds no {name}.", remedy="Restore another backup.")
            return
        options = {key: value for key, value in metadata["options"].items() if key not in _OLD}
        self._context.cancel.raise_if_cancelled()
        self._server.command(self._database, "create", name, **options)

    def _finish(self, metadata: dict[str, Any]) -> None:
        """Build the indexes of a collection whose documents are in."""
        name = str(metadata["collectionName"])
        del self._waiting[name]
        wanted = [
            {key: value for key, value in index.items() if key not in ("ns", "background")}
            for index in metadata["indexes"]
            if index.get("name") != "_id_" and not index.get("clustered")
        ]
        if wanted:
            self._server.command(self._database, "createIndexes", name, indexes=wanted)

    # --------------------------------------------------------------------------- documents

    def _fill(self, file: str, content: Any, size: int) -> None:
        plain = unquote(file).removeprefix(BUCKETS)
        metadata = self._waiting.get(plain) or self._by_file(file)
        if metadata is None:
            raise DumpIncomplete(f"The metadata of {plain} are missing.", remedy="Restore another backup.")
        name = str(metadata["collectionName"])
        into = f"{BUCKETS}{name}" if file.startswith(BUCKETS) else name
        ordered = bool(metadata["options"].get("capped"))
        for batch in _batches(content, size, into):
            self._context.cancel.raise_if_cancelled()
            self._insert(into, batch, ordered=ordered)
            self._context.alive(sum(map(len, batch)))
        self._finish(metadata)

    def _by_file(self, file: str) -> dict[str, Any] | None:
        """The metadata of a collection whose name is too long for a file's."""
        return next(
            (
                metadata
                for name, metadata in self._waiting.items()
                if file in (file_name(name), file_name(BUCKETS + name))
            ),
            None,
        )

    def _insert(self, collection: str, documents: list[bytes], *, ordered: bool) -> None:
        from bson.codec_options import CodecOptions
        from bson.raw_bson import RawBSONDocument

        def insert(client: MongoClient[dict[str, Any]]) -> None:
            options: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
            target = client[self._database].get_collection(collection, codec_options=options)
            # What the rules of a collection would refuse today was in it all the same.
            target.insert_many(
                [RawBSONDocument(document) for document in documents],
                ordered=ordered,
                bypass_document_validation=True,
            )

        self._server.call(f"{self._database}.{collection}", insert, to_its_end=_TO_ITS_END)


def _batches(content: Any, size: int, what: str) -> Iterator[list[bytes]]:
    """The documents of a file, some at a time. Raises `DumpIncomplete` for what is none."""
    batch: list[bytes] = []
    held = 0
    left = size
    while left:
        head = content.read(4)
        length = int.from_bytes(head, "little")
        if len(head) < 4 or not 5 <= length <= min(MOST, left):
            raise DumpIncomplete(f"A document of {what} is not whole.", remedy="Restore another backup.")
        document = head + content.read(length - 4)
        if len(document) != length:
            raise DumpIncomplete(f"A document of {what} is not whole.", remedy="Restore another backup.")
        left -= length
        batch.append(document)
        held += length
        if held >= _BATCH or len(batch) >= _DOCUMENTS:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def drop(server: Server, database: str) -> None:
    """Drop a database. A missing one is fine."""
    server.command(database, "dropDatabase")
