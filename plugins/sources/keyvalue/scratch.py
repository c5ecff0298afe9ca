"""A server of our own on the host, for as long as a block lasts: it loads an RDB file, and gives its keys.

It listens on a Unix socket in a folder that only its user may enter, on no port, and writes nothing back. It
is told to be a replica of nobody: a server that is its own master throws away, while it loads, the keys whose
time is up, and then nobody could tell whether they had been in the file.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from plugins.sources.keyvalue.client import Client
from plugins.sources.keyvalue.connection import Connection
from plugins.sources.keyvalue.dumping import MARK
from plugins.sources.keyvalue.rdb import RdbReader
from plugins.sources.keyvalue.tools import Found
from strongroom import (
    Cancelled,
    ConnectionFailed,
    Context,
    DumpIncomplete,
    Process,
    SourceError,
    StrongroomError,
    ToolFailed,
)

FILE = "dump.rdb"
# The server ends with whoever asked for it, a killed one too: our end of the pipe closes then. What it has
# loaded was encrypted before, and must not stay.
_SERVE = f"""folder=$1; shift
exec 3<&0
"$@" </dev/null 3<&- & id=$!
( cat <&3 >/dev/null; cd "$folder" && rm -f {FILE} log; kill "$id"; sleep 2; kill -KILL "$id"
  rm -f s; rmdir "$folder" ) 2>/dev/null &
exec 3<&-
wait "$id\""""
_STEP = 0.05
_LOOK = 0.5
_LONG = 24 * 3600.0  # seconds for loading or writing a large file
_DATABASES = 16


class Scratch:
    """A server that has loaded a file."""

    def __init__(self, client: Client, folder: str, process: Process) -> None:
        self.client = client
        self.folder = folder
        self._process = process

    @contextmanager
    def ending_with_it(self, other: Process) -> Iterator[None]:
        """End another tool when this server ends within the block: its client would wait for it for ever."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(_LOOK):
                try:
                    self._process.wait(0)
                except TimeoutError:
                    continue
                except (StrongroomError, Cancelled):
                    pass
                other.stop()
                return

        watcher = threading.Thread(target=watch, name="scratch-server-end", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def rewritten(self, context: Context) -> RdbReader:
        """Let the server write down what it holds, and walk over that: the proof that it holds it."""
        self.client.ask("SAVE", timeout=_LONG)
        reader = RdbReader()
        for chunk in context.host.read_file(f"{self.folder}/{FILE}"):
            context.alive(len(chunk))
            reader.feed(chunk)
        reader.finish()
        return reader


def walked(chunks: Iterable[bytes], reader: RdbReader) -> Iterator[bytes]:
    """The file's own bytes; raises `DumpIncomplete` when they end before it does."""
    for chunk in chunks:
        if out := reader.feed(chunk):
            yield out
    reader.finish()
    if len(reader.gap) not in (0, MARK):
        raise DumpIncomplete("Something follows the RDB file's end.", remedy="Restore another backup.")


def agrees(keyspace: dict[int, int], reader: RdbReader) -> None:
    """Raise `DumpIncomplete` unless a server that has loaded a file has as many keys as the file."""
    if reader.known and keyspace != reader.keys:
        raise DumpIncomplete(
            f"The server that loaded the dump has {sum(keyspace.values()):,} keys, and the dump"
            f" {sum(reader.keys.values()):,}.",
            remedy="Restore another backup.",
        )


@contextmanager
def loaded(
    context: Context, cli: Found, server: Found, folder: str, *, databases: int | None
) -> Iterator[Scratch]:
    """Load `folder/dump.rdb`, and let go of the server at the end of the block.

    Raises `DumpIncomplete` with the server's own words when it does not take the file.
    """
    socket = f"{folder}/s"
    argv = [server.path, "--port", "0", "--unixsocket", socket, "--unixsocketperm", "700"]
    argv += ["--dir", folder, "--dbfilename", FILE, "--logfile", f"{folder}/log"]
    argv += ["--save", "", "--appendonly", "no", "--maxmemory", "0", "--daemonize", "no"]
    argv += ["--databases", str(max(databases or 1 << 14, _DATABASES)), "--replicaof", "127.0.0.1", "1"]
    with context.host.run(["sh", "-c", _SERVE, "sh", folder, *argv], stdin=True) as process:
        client = Client(context.host, cli, Connection(socket))
        _wait(context, process, client, server, folder)
        yield Scratch(client, folder, process)


def _wait(context: Context, process: Process, client: Client, server: Found, folder: str) -> None:
    """Wait until the file is loaded: a server tells nobody that it is ready."""
    while True:
        context.cancel.raise_if_cancelled()
        try:
            status = process.wait(_STEP)
        except TimeoutError:
            pass
        else:
            raise _not_loaded(context, server, status, folder)
        try:
            client.ask("PING", timeout=60)
        except (ConnectionFailed, ToolFailed):
            context.cancel.wait(_STEP)
            context.alive(0)
            continue
        return


def _not_loaded(context: Context, server: Found, status: int, folder: str) -> SourceError:
    try:
        log = b"".join(context.host.read_file(f"{folder}/log"))[-(64 << 10) :].decode("utf-8", "replace")
    except SourceError:
        log = ""
    marks = ("# ", "* ")
    lines = [line for line in log.splitlines() if "# " in line and "WARNING" not in line]
    said = "; ".join(line.partition(marks[0])[2] for line in lines[-3:])[:400]
    if "RDB format version" in said:
        return SourceError(
            f"{server.release} does not read this dump: {said}",
            remedy="Install a server on that host that is not older than the one of the backup.",
        )
    return DumpIncomplete(
        f"{server.release} did not load the dump (exit status {status}): {said or 'it does not say why'}",
        remedy="Restore another backup. Data of modules can be loaded only where they are installed, and a"
        " machine that runs out of memory ends its servers.",
    )
