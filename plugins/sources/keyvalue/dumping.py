"""An RDB file from a server, over its replication protocol: `redis-cli --rdb -`, walked as it goes by."""

from __future__ import annotations

from collections.abc import Iterator

from plugins.sources.keyvalue.client import Client
from plugins.sources.keyvalue.failures import failure
from plugins.sources.keyvalue.rdb import RdbReader
from plugins.sources.keyvalue.tools import Release
from strongroom import Context, Dump, DumpIncomplete, Fingerprint, LogLevel, LogType, Process

_MOST = 1 << 53  # what JSON holds as a number
MARK = 40
"""A server that sends from memory ends with a mark of 40 bytes, which the client copies out as well."""


def begin_dump(
    context: Context,
    client: Client,
    release: Release,
    *,
    fingerprint: bool,
    reader: RdbReader | None = None,
) -> Dump:
    """Start the client; the dump ends well only with exit status 0 and the file's own end."""
    argv = client.argv("--rdb", "-")
    process = context.host.run(argv, env=client.env)
    reader = reader or RdbReader()
    return Dump(
        _chunks(context, client, process, reader),
        engine_version=release.version,
        tool_version=f"{client.tool.name} {client.tool.release.version}",
        fingerprint=(lambda: measured(reader)) if fingerprint else None,
        close=process.kill,
        details=" ".join(argv),
    )


def _chunks(context: Context, client: Client, process: Process, reader: RdbReader) -> Iterator[bytes]:
    kept = b""  # the last bytes, while it may be that they are not the file's
    for chunk in process:
        out = reader.feed(chunk)
        if not reader.known:
            out, kept = kept + out, b""
            out, kept = out[: -MARK - 9], out[-MARK - 9 :]
        if out:
            yield out
    status = process.wait()
    context.cancel.raise_if_cancelled()
    said = process.stderr()
    if status != 0 or "AUTH failed" in said:
        raise failure(client.tool.name, status, said, client.connection)
    if not reader.known:
        yield _without_mark(kept, said)
        context.log(
            "The dump holds what this version of Strongroom cannot walk over: its keys were not counted.",
            LogLevel.WARNING,
            LogType.GENERAL,
            "Its end was looked at, and whoever loads it compares the server's checksum.",
        )
        return
    reader.finish()
    if len(reader.gap) not in (0, MARK):
        raise DumpIncomplete(
            f"{client.tool.name} wrote {len(reader.gap)} bytes behind the file's end.", remedy="Run again."
        )


def _without_mark(tail: bytes, said: str) -> bytes:
    """The end of a file that could not be walked over; the client says whether a mark follows it."""
    end = tail[:-MARK] if "until EOF marker" in said else tail
    if len(end) < 9 or end[-9] != 0xFF:
        raise DumpIncomplete("The RDB file lacks its end mark: it is not whole.", remedy="Run again.")
    return end


def measured(reader: RdbReader) -> Fingerprint | None:
    """What a file holds; None where that could not be told."""
    if not reader.known:
        return None
    return measures(reader.keys, reader.timed, reader.functions, reader.sum, reader.sum_timed)


def measures(
    keys: dict[int, int], timed: dict[int, int], functions: int, plain_sum: int, timed_sum: int
) -> Fingerprint:
    """Keys, and one sum over all of their names, kinds, sizes and moments."""
    found = {"keys": sum(keys.values()), "timed keys": sum(timed.values())}
    found |= {f"sum of database {number}": count for number, count in sorted(keys.items())}
    found["sum of function libraries"] = functions
    found["sum of names, kinds and sizes"] = plain_sum % _MOST
    found["sum of timed keys"] = timed_sum % _MOST
    return Fingerprint(found, consistent=True, of="measures")
