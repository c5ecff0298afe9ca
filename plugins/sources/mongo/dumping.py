"""A database as a tar, in the layout that mongorestore reads: `db/coll.metadata.json`, `db/coll.bson`.

A tar says how long a file is before it comes, and a server does not know that of a collection. So each
collection is read into the scratch folder first (a small one into memory) and goes out from there. A slow
destination then holds up no cursor, which a server would close after ten minutes of silence.
"""

from __future__ import annotations

import base64
import hashlib
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from plugins.sources.mongo.documents import Tally
from plugins.sources.mongo.server import Collection, Server
from strongroom import CHUNK, Context, Dump, Fingerprint, SourceError

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession

_SMALL = 8 << 20
_BLOCK = 512
METADATA = ".metadata.json"
DOCUMENTS = ".bson"


def begin_dump(
    context: Context,
    server: Server,
    database: str,
    collections: list[Collection],
    *,
    snapshot: bool,
    fingerprint: bool,
) -> Dump:
    """Begin to read; the dump ends well only when every cursor has been read to its end."""
    import pymongo

    tally = Tally()
    held = ExitStack()
    return Dump(
        _chunks(context, server, database, collections, tally, held, snapshot=snapshot),
        engine_version=server.version,
        tool_version=f"pymongo {pymongo.version}",
        fingerprint=(lambda: tally.fingerprint(consistent=True)) if fingerprint else None,
        close=held.close,
        details=f"{len(collections)} collections of {database}, "
        + ("as of one moment" if snapshot else "one after the other"),
    )


def counted(server: Server, database: str, collections: list[Collection], *, snapshot: bool) -> Fingerprint:
    """What a database holds now, by reading all of it."""
    tally = Tally()
    with server.session(snapshot=snapshot) as session:
        for collection in collections:
            tally.begin(collection.name, view=collection.is_view)
            if not collection.is_view:
                for batch in server.raw_batches(database, collection.reads, session):
                    tally.add(collection.name, batch)
    return tally.fingerprint(consistent=snapshot)


def _chunks(
    context: Context,
    server: Server,
    database: str,
    collections: list[Collection],
    tally: Tally,
    held: ExitStack,
    *,
    snapshot: bool,
) -> Iterator[bytes]:
    moment = int(time.time())
    folder = held.enter_context(context.scratch())
    session = held.enter_context(server.session(snapshot=snapshot))
    for collection in collections:
        tally.begin(collection.name, view=collection.is_view)
        metadata = _metadata(collection)
        name = f"{database}/{file_name(collection.name)}{METADATA}"
        yield _header(name, len(metadata), moment) + metadata + _padding(len(metadata))
        if collection.is_view:
            continue
        name = f"{database}/{file_name(collection.reads)}{DOCUMENTS}"
        with tempfile.SpooledTemporaryFile(max_size=_SMALL, dir=str(folder)) as spool:
            size = _read(context, server, database, collection, session, tally, spool)
            spool.seek(0)
            yield _header(name, size, moment)
            while chunk := spool.read(CHUNK):
                context.cancel.raise_if_cancelled()
                yield chunk
        if padding := _padding(size):
            yield padding
    yield bytes(2 * _BLOCK)  # the end of a tar


def _read(
    context: Context,
    server: Server,
    database: str,
    collection: Collection,
    session: ClientSession,
    tally: Tally,
    spool: Any,
) -> int:
    size = 0
    try:
        for batch in server.raw_batches(database, collection.reads, session):
            tally.add(collection.name, batch)
            spool.write(batch)
            size += len(batch)
            context.alive(len(batch))
    except OSError as error:
        raise SourceError(
            f"The scratch folder does not take {database}.{collection.name}: {error.strerror}.",
            remedy="It needs as much room as the largest collection. Make room, or move STRONGROOM_HOME.",
        ) from error
    return size


def _metadata(collection: Collection) -> bytes:
    from bson.json_util import CANONICAL_JSON_OPTIONS, dumps

    document: dict[str, Any] = {"options": collection.options, "indexes": collection.indexes}
    if collection.uuid:
        document["uuid"] = collection.uuid
    document |= {"collectionName": collection.name, "type": collection.type}
    return dumps(document, json_options=CANONICAL_JSON_OPTIONS).encode()


def file_name(collection: str) -> str:
    """A collection's file name without its ending, as mongodump makes it (`outputPath` of its sources)."""
    escaped = quote(collection, safe="$&+=:@-_.~")
    if len(escaped) > 238:
        digest = hashlib.sha1(collection.encode(), usedforsecurity=False).digest()
        escaped = f"{escaped[:208]}%24{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
    return escaped


def _header(name: str, size: int, moment: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, moment, 0o600
    return entry.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)
