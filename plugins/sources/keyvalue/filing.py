"""An RDB file on the host as the target: written, loaded by a server of our own to see that it can be."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from contextlib import suppress

from plugins.sources.keyvalue.dumping import measured
from plugins.sources.keyvalue.rdb import RdbReader
from plugins.sources.keyvalue.scratch import FILE, agrees, loaded, walked
from plugins.sources.keyvalue.tools import Toolbox
from strongroom import (
    Cancelled,
    Context,
    DatabaseMissing,
    DumpIncomplete,
    Fingerprint,
    Host,
    SourceError,
    TargetNotEmpty,
    ToolFailed,
)


def advice(path: str) -> str:
    """What people do with such a file."""
    return (
        f"The dump becomes the file {path}. To use it: stop the server, put the file in the place of its"
        " dbfilename (dump.rdb in its dir) with the server's user as owner, switch appendonly off for the"
        " first start, and start the server."
    )


def look(host: Host, path: str) -> None:
    """Raise what would keep a file from being written there."""
    if host.exists(path):
        raise TargetNotEmpty(
            f"There is {path} already.", remedy="Choose another path, or move that file away."
        )
    if not host.exists(posixpath.dirname(path)):
        raise SourceError(
            f"There is no folder {posixpath.dirname(path)}.", remedy="Make it, or choose another."
        )


def restore(context: Context, tools: Toolbox, path: str, chunks: Iterable[bytes]) -> Fingerprint | None:
    """Write the file, and let a server load it; return what that server holds. On an error it is gone."""
    look(context.host, path)
    reader = RdbReader()
    context.host.write_file(path, walked(chunks, reader))
    try:
        return _tried(context, tools, path, reader)
    except BaseException:
        # The error that is under way says what happened. A cancelled host starts nothing any more: then
        # whoever asked for the restore drops what is left.
        with suppress(SourceError, Cancelled):
            remove(context.host, path)
        raise


def loaded_fingerprint(context: Context, tools: Toolbox, path: str) -> Fingerprint | None:
    """What a server holds that has loaded the file."""
    if not context.host.exists(path):
        raise DatabaseMissing(f"There is no file {path}.", remedy="Restore again.")
    reader = RdbReader()
    for _ in walked(context.host.read_file(path), reader):
        pass
    return _tried(context, tools, path, reader)


def _tried(context: Context, tools: Toolbox, path: str, reader: RdbReader) -> Fingerprint | None:
    server = tools.server_taking(reader.version, None)
    with context.host.folder() as folder:
        # The server writes what it holds in the place of the link, and the file stays as it is.
        done = context.host.capture(["ln", "-s", "--", path, f"{folder}/{FILE}"])
        if done.exit_status != 0:
            raise SourceError(f"{path} cannot be tried: {done.stderr.strip()[:300]}")
        databases = reader.databases
        with loaded(context, tools.client(), server, folder, databases=databases) as scratch:
            agrees(scratch.client.keyspace(), reader)
            held = scratch.rewritten(context)
    if held.known and reader.known and held.keys != reader.keys:
        raise DumpIncomplete(
            "The server that loaded the dump holds other keys.", remedy="Restore another backup."
        )
    return measured(held)


def remove(host: Host, path: str) -> None:
    """Remove a file. A missing one is fine."""
    done = host.capture(["rm", "-f", "--", path])
    if done.exit_status != 0:
        raise ToolFailed(
            f"{path} could not be removed: {done.stderr.strip()[:300]}", remedy="Remove it yourself."
        )
