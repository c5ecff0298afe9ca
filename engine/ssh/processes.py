"""A command at the other end of an SSH connection as a `Process`: streams both ways, and an exit status."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress
from typing import Any

from engine.contract.hosts import Process
from engine.contract.readers import CHUNK
from engine.errors import ConnectionFailed, SshError
from engine.ssh.connection import Connection

_STEP = 0.2
"""Seconds between two looks at whether somebody asked to stop."""
_WINDOW = 8 << 20
"""Bytes that the server may send before we have taken them; less of it makes a long way slow."""
_STDERR_KEPT = 64 << 10
_SIGNALLED = -15
"""The exit status of a shell that a signal ended: SSH then gives no number."""


class SshProcess(Process):
    """A command line in the user's login shell. With `aside` a cancel does not end it.

    Closing it closes its streams; a command that takes no notice of that runs on.
    """

    def __init__(self, connection: Connection, line: str, *, aside: bool = False) -> None:
        self._connection = connection
        self._aside = aside
        self._held = ExitStack()
        self._stopped = threading.Event()
        self._errors = bytearray()
        self._input_open = True
        try:
            self._channel: Any = connection.open_channel(window=_WINDOW)
            try:
                with connection.errors("it runs no commands"), connection.answering(self._channel):
                    self._channel.exec_command(line)
            except BaseException:
                self._channel.close()
                raise
        except SshError as error:
            raise connection_failed(error) from error
        self._channel.settimeout(_STEP)
        self._drainer = threading.Thread(target=self._drain, name="ssh-stderr", daemon=True)
        self._drainer.start()

    def read(self, size: int = CHUNK, /) -> bytes:
        while True:
            self._look()
            if self._stopped.is_set():
                return b""
            try:
                data: bytes = self._channel.recv(size)
            except TimeoutError:
                continue
            except (OSError, EOFError):  # what was taken is told to the server, which is gone
                data = b""
            if not data and not self._ended_well():
                raise self._lost()
            return data

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._look()
            if self._stopped.is_set() or not self._input_open or self._channel.status_event.is_set():
                raise BrokenPipeError("the tool's standard input is closed")
            try:
                sent = self._channel.send(rest[: 1 << 20])
            except TimeoutError:
                continue
            except (OSError, EOFError) as error:
                self._look()
                raise BrokenPipeError("the tool has gone") from error
            if sent == 0:
                raise BrokenPipeError("the tool has gone")
            rest = rest[sent:]

    def close_stdin(self) -> None:
        if self._input_open:
            self._input_open = False
            with suppress(OSError, EOFError):
                self._channel.shutdown_write()

    def wait(self, timeout: float | None = None) -> int:
        end = None if timeout is None else time.monotonic() + timeout
        status = self._channel.status_event
        while not status.wait(_STEP if end is None else max(0.0, min(_STEP, end - time.monotonic()))):
            self._look()
            if not self._connection.is_alive:
                raise self._lost()
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"the tool has not ended within {timeout} s")
        self._look()
        found = int(self._channel.exit_status)
        if found == -1 and not self._connection.is_alive:
            raise self._lost()
        self._drainer.join(5)
        return found if found != -1 else _SIGNALLED

    def stderr(self) -> str:
        return self._errors.decode("utf-8", "replace")

    def stop(self) -> None:
        self._stopped.set()
        with suppress(OSError, EOFError):  # a connection that is gone takes no goodbye
            self._channel.close()

    def kill(self) -> None:
        self.stop()
        self._drainer.join(2)

    def _look(self) -> None:
        if not self._aside:
            self._connection.raise_if_cancelled()

    def _ended_well(self) -> bool:
        """Whether the end of the output is the command's, and not that of the connection."""
        return self._connection.is_alive or self._channel.status_event.is_set()

    def _lost(self) -> ConnectionFailed:
        return connection_failed(self._connection.lost())

    def _drain(self) -> None:
        """Keep the last of standard error; unread, it would fill the window and stop the output too."""
        while not self._stopped.is_set():
            try:
                data = self._channel.recv_stderr(1 << 16)
            except TimeoutError:
                continue
            except (OSError, EOFError):
                return
            if not data:
                return
            self._errors += data
            del self._errors[:-_STDERR_KEPT]


def connection_failed(error: SshError) -> ConnectionFailed:
    """The connection's error as one of the database's side."""
    return ConnectionFailed(error.message, remedy=error.remedy)
