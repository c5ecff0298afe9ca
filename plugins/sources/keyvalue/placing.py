"""A restore into the server itself: the dump is loaded beside it first, then its keys are moved."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from plugins.sources.keyvalue.client import Client
from plugins.sources.keyvalue.moving import Moved, move, move_functions, move_probe
from plugins.sources.keyvalue.rdb import RdbReader
from plugins.sources.keyvalue.scratch import FILE, Scratch, agrees, loaded, walked
from plugins.sources.keyvalue.tools import Release, Toolbox
from strongroom import (
    Cancelled,
    Context,
    LogLevel,
    LogType,
    SourceError,
    StrongroomError,
    TargetNotEmpty,
    TargetState,
    ToolFailed,
)

_LONG = 3600.0  # seconds for emptying a large server


@dataclass(frozen=True)
class Restored:
    """What a restore put into the server: the dump as it was walked over."""

    reader: RdbReader
    merged: bool


def state(client: Client) -> TargetState:
    """What a restore into the server would find; functions count as well as keys."""
    if client.keyspace() or _functions(client):
        return TargetState.FILLED
    return TargetState.EMPTY


def restore(
    context: Context,
    tools: Toolbox,
    target: Client,
    release: Release,
    chunks: Iterable[bytes],
    *,
    before: TargetState,
    merge: bool,
    begun: Callable[[], None],
) -> Restored:
    """Restore every key and function. Nothing of the server is touched before the dump has been loaded.

    `begun` is called when that ends.
    """
    reader = RdbReader()
    with context.host.folder() as folder:
        context.host.write_file(f"{folder}/{FILE}", walked(chunks, reader))
        server = tools.server_taking(reader.version, release)
        with loaded(context, target.tool, server, folder, databases=reader.databases) as scratch:
            keyspace = scratch.client.keyspace()
            agrees(keyspace, reader)
            _try(scratch, target, keyspace, context)
            if before is TargetState.EMPTY and state(target) is not TargetState.EMPTY:
                raise TargetNotEmpty(
                    f"Somebody has begun to fill {target.connection.place}.",
                    remedy="Stop what uses it, and restore again.",
                )
            begun()
            merging = merge and before is TargetState.FILLED
            moved = _move(context, scratch, target, keyspace, before=before, merging=merging)
    gone = f" {moved.expired:,} had reached their time limit." if moved.expired else ""
    context.log(
        f"{moved.keys:,} keys restored into {target.connection.place}.{gone}",
        LogLevel.INFO,
        LogType.COMMAND,
        "",
    )
    return Restored(reader, merging)


def _move(
    context: Context,
    scratch: Scratch,
    target: Client,
    keyspace: dict[int, int],
    *,
    before: TargetState,
    merging: bool,
) -> Moved:
    if before is TargetState.FILLED and not merging:
        context.log(
            f"{target.connection.place} is emptied: what it held is to be replaced.",
            LogLevel.WARNING,
            LogType.COMMAND,
            "FLUSHALL",
        )
        _flush(target)
    try:
        moved = move(context, scratch, target, keyspace)
        if _functions(scratch.client):
            move_functions(context, scratch, target, replace=merging)
        return moved
    except BaseException as error:
        if merging:
            if isinstance(error, StrongroomError):
                error.message += " Some of the backup's keys are in the server, beside its own."
        else:
            # The error that is under way says what happened. A cancelled host starts nothing any more.
            with suppress(SourceError, Cancelled):
                _flush(target)
        raise


def _try(scratch: Scratch, target: Client, keyspace: dict[int, int], context: Context) -> None:
    """See, before anything goes, that the target has the databases, and takes the scratch server's keys."""
    for number in keyspace:
        try:
            target.ask("SELECT", str(number))
        except ToolFailed as error:
            raise SourceError(
                f"The backup has keys in database {number}, which {target.connection.place} does not have.",
                remedy=f"Set databases to {max(keyspace) + 1} or more there.",
            ) from error
    move_probe(context, scratch, target, f"strongroom:probe:{secrets.token_hex(8)}")


def _flush(target: Client) -> None:
    target.ask("FLUSHALL", timeout=_LONG)
    if _functions(target):
        target.ask("FUNCTION", "FLUSH")


def _functions(client: Client) -> bool:
    """Whether a server has functions; older ones and plain users have none."""
    try:
        return bool(client.text("FUNCTION", "LIST").strip())
    except SourceError:
        return False
