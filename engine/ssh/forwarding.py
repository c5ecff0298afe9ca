"""A port of this machine that leads through an SSH connection, for drivers that speak to a server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from engine.ssh.connection import Connection
from engine.ssh.dialing import LOST

_STEP = 0.2
_PIECE = 256 << 10


@contextmanager
def forwarded(connection: Connection, host: str, port: int) -> Iterator[tuple[str, int]]:
    """The address of a loopback port that leads to `host` and `port` as the server knows them.

    It is open to every user of this machine for as long as the block lasts, as `ssh -L` is; the server
    behind it still asks for its login. Raises `SshError` when the server does not reach the other end, which
    is tried once before the block begins.
    """
    with connection.errors(f"it does not reach {host}, port {port}"):
        _channel(connection, host, port).close()
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()
    carried: list[threading.Thread] = []

    def accept() -> None:
        listener.settimeout(_STEP)
        while not done.is_set():
            try:
                made, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            worker = threading.Thread(target=carry, args=(made,), name="ssh-forward", daemon=True)
            carried.append(worker)
            worker.start()

    def carry(made: socket.socket) -> None:
        with closing(made):
            try:
                channel = _channel(connection, host, port)
            except Exception:  # whoever connected sees the connection closed
                return
            with closing(channel):
                _carry(made, channel, done)

    acceptor = threading.Thread(target=accept, name="ssh-forward-accept", daemon=True)
    acceptor.start()
    try:
        address, number = listener.getsockname()
        yield address, number
    finally:
        done.set()
        listener.close()
        acceptor.join(2)
        for worker in carried:
            worker.join(2)


def _channel(connection: Connection, host: str, port: int) -> Any:
    return connection.transport.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=LOST)


def _carry(made: socket.socket, channel: Any, done: threading.Event) -> None:
    """Carry bytes both ways until both ends have closed, or the block is over."""
    made.settimeout(_STEP)
    channel.settimeout(_STEP)
    back = threading.Thread(target=_copy, args=(channel, made, done), name="ssh-forward-back", daemon=True)
    back.start()
    _copy(made, channel, done)
    back.join()


def _copy(source: Any, target: Any, done: threading.Event) -> None:
    with suppress(OSError, EOFError):
        while not done.is_set():
            try:
                data = source.recv(_PIECE)
            except TimeoutError:
                continue
            if not data:
                break
            rest = memoryview(data)
            while rest and not done.is_set():
                with suppress(TimeoutError):
                    rest = rest[target.send(rest) :]
    with suppress(OSError, EOFError):
        target.shutdown(socket.SHUT_WR)
