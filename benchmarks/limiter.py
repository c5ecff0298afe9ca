"""Lines of a limited speed: a process that stands before servers and lets so many bytes a second up to each.

It is no benchmark. As a script: one argument for each line, `bytes-a-second:port`; it prints its own ports as
JSON and ends with its standard input. A line's limit counts for all of its connections together; what
comes back is not limited. It is a process of its own, so that it costs the engine's interpreter nothing.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

_PIECE = 64 << 10
_BACKLOG = 0.05
"""Seconds of unused time that a line may catch up: an operating system's timers are late by some ms."""


class Line:
    """One server behind a limit."""

    def __init__(self, rate: float, port: int) -> None:
        self._rate, self._port = rate, port
        self._free_at = 0.0

    async def connected(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            server, to_server = await asyncio.open_connection("127.0.0.1", self._port, limit=_PIECE)
        except OSError:
            to_client.close()
            return
        up = asyncio.create_task(self._relay(client, to_server, limited=True))
        await asyncio.gather(up, self._relay(server, to_client, limited=False))

    async def _relay(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, limited: bool
    ) -> None:
        with suppress(OSError):
            while piece := await source.read(_PIECE):
                if limited:
                    self._free_at = max(self._free_at, time.monotonic() - _BACKLOG) + len(piece) / self._rate
                    await asyncio.sleep(self._free_at - time.monotonic())
                target.write(piece)
                await target.drain()
        target.close()


async def _serve(lines: Sequence[Line]) -> None:
    servers = [await asyncio.start_server(line.connected, "127.0.0.1", 0, limit=_PIECE) for line in lines]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


@contextmanager
def limited(rate: float, ports: Sequence[int]) -> Iterator[list[int]]:
    """Lines of `rate` bytes a second each to these ports of this machine; yields their own ports."""
    argv = [sys.executable, __file__, *(f"{rate}:{port}" for port in ports)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.kill()
        process.wait()


if __name__ == "__main__":
    asyncio.run(_serve([Line(float(rate), int(port)) for rate, port in (a.split(":") for a in sys.argv[1:])]))
