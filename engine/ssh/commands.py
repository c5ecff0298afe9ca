"""Running a command on a server, for its short answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from engine.errors import SshError
from engine.ssh.connection import Connection

_STEP = 0.2
"""Seconds between two looks at the clock."""
_LONGEST = 1 << 20
"""Bytes of an answer, and of its complaints, that are kept."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed, and how it ended; `status` is None when the server did not say."""

    output: bytes
    complaint: bytes
    status: int | None


def run(
    connection: Connection,
    command: str,
    *,
    given: bytes = b"",
    waiting: Callable[[bytes], float],
) -> Answer:
    """Run a command line in the user's shell, with `given` as its whole input.

    `waiting(output)` is asked again and again while the command runs: it gets what was printed so far and
    says for how many seconds, counted from the start, the command may go on. Raises `SshError` when the
    server runs no commands or the time is over, and `Cancelled`.
    """
    with closing(connection.open_channel()) as channel:
        with connection.errors("it runs no commands"), connection.answering(channel):
            channel.exec_command(command)
        return _watch(connection, channel, given, waiting)


def _watch(connection: Connection, channel: Any, given: bytes, waiting: Callable[[bytes], float]) -> Answer:
    begun = time.monotonic()
    output, complaint = bytearray(), bytearray()
    channel.settimeout(_STEP)
    with connection.errors("the command was cut off"):
        channel.sendall(given)
        channel.shutdown_write()
    while True:
        connection.raise_if_cancelled()
        try:
            got = channel.recv(1 << 16)
        except TimeoutError:
            got = None
        while channel.recv_stderr_ready():
            complaint += channel.recv_stderr(1 << 16)
            del complaint[_LONGEST:]
        if got:
            output += got
            del output[_LONGEST:]
        elif got is not None:
            break
        if time.monotonic() - begun > waiting(bytes(output)):
            raise SshError(f"{connection.access.server} did not finish a command in time.")
    if not connection.is_alive:
        raise connection.lost()
    channel.status_event.wait(5)  # it comes right after the end of the output
    status = channel.exit_status if channel.status_event.is_set() else None
    return Answer(bytes(output), bytes(complaint), status if status != -1 else None)
