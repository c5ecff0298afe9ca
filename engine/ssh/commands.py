"""Running a command on a server: a little input, and a short answer."""

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


class Command:
    """A command line that runs in the user's shell. Raises `SshError` when the server runs none."""

    def __init__(self, connection: Connection, line: str) -> None:
        self._connection = connection
        self._channel: Any = connection.open_channel()
        try:
            with connection.errors("it runs no commands"), connection.answering(self._channel):
                self._channel.exec_command(line)
        except BaseException:
            self._channel.close()
            raise
        self._channel.settimeout(_STEP)

    def give(self, data: bytes) -> None:
        """Send a little input; it does not wait for a command that takes none. Raises `SshError`."""
        with self._connection.errors("the command was cut off"):
            self._channel.sendall(data)

    def answer(self, waiting: Callable[[bytes], float]) -> Answer:
        """End the input, and return what the command printed when it has ended.

        `waiting(output)` is asked again and again meanwhile: it gets what was printed so far and says for
        how many seconds, counted from now, the command may go on. Raises `SshError` when that time is over,
        and `Cancelled`.
        """
        with self._connection.errors("the command was cut off"):
            self._channel.shutdown_write()
        begun = time.monotonic()
        output, complaint = bytearray(), bytearray()
        while (got := self._read(complaint)) != b"":
            output += got or b""
            del output[_LONGEST:]
            if time.monotonic() - begun > waiting(bytes(output)):
                raise SshError(f"{self._connection.access.server} did not finish a command in time.")
        if not self._connection.is_alive:
            raise self._connection.lost()
        self._channel.status_event.wait(5)  # it comes right after the end of the output
        status = self._channel.exit_status if self._channel.status_event.is_set() else -1
        return Answer(bytes(output), bytes(complaint), status if status != -1 else None)

    def _read(self, complaint: bytearray) -> bytes | None:
        """Some output; nothing at its end, None when there was none just now."""
        self._connection.raise_if_cancelled()
        try:
            got: bytes | None = self._channel.recv(1 << 16)
        except TimeoutError:
            got = None
        while self._channel.recv_stderr_ready():
            complaint += self._channel.recv_stderr(1 << 16)
            del complaint[_LONGEST:]
        return got

    def close(self) -> None:
        """Let go of it. A command that still runs finds its input and output closed."""
        self._channel.close()


def run(
    connection: Connection,
    line: str,
    *,
    given: bytes = b"",
    waiting: Callable[[bytes], float],
) -> Answer:
    """Run a command line with `given` as its whole input; as `Command.answer` otherwise."""
    with closing(Command(connection, line)) as command:
        command.give(given)
        return command.answer(waiting)
