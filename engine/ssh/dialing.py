"""The TCP connection below an SSH connection, made so that a cancel never waits for it."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from engine.cancellation import CancelToken
from engine.errors import SshError

T = TypeVar("T")

CONNECT = 10.0
"""Seconds for the name to be found and the server to answer."""
LOST = 60.0
"""Seconds without an answer to what was sent, after which a connection counts as lost."""
_STEP = 0.1
"""Seconds between two looks at whether somebody cancelled."""

_UNDER_WAY = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", -1)})


def dial(host: str, port: int, server: str, cancel: CancelToken) -> socket.socket:
    """Connect to a server; `server` is its name in words. Raises `SshError`, always transient.

    All of a name's addresses are tried, one after the other, within `CONNECT` seconds.
    """
    end = time.monotonic() + CONNECT
    try:
        addresses = apart(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), cancel, CONNECT)
    except TimeoutError:
        raise _not_reached(server, "its name was not found in time") from None
    except (OSError, UnicodeError) as error:
        what = error.strerror if isinstance(error, OSError) else str(error)
        raise _not_reached(server, f"its name was not found ({what})") from error
    failure = "it has no address"
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        left = (end - time.monotonic()) / (len(addresses) - number)
        made = socket.socket(family, kind, protocol)
        try:
            problem = _connect(made, address, left, cancel)
            if problem == 0:
                _tune(made)
                return made
            failure = os.strerror(problem)
        except BaseException:
            made.close()
            raise
        made.close()
    raise _not_reached(server, failure)


def _connect(made: socket.socket, address: Any, seconds: float, cancel: CancelToken) -> int:
    """Connect; return the system's number of what went wrong, 0 for nothing."""
    made.setblocking(False)
    problem = made.connect_ex(address)
    if problem not in _UNDER_WAY:
        return problem
    end = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(made, selectors.EVENT_WRITE)
        while time.monotonic() < end:
            cancel.raise_if_cancelled()
            if selector.select(_STEP):
                return made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return errno.ETIMEDOUT


def _tune(made: socket.socket) -> None:
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # requests are small and wait for answers
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with suppress(AttributeError, OSError):  # Linux: else a dead peer is noticed after a quarter of an hour
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(LOST * 1000))


def _not_reached(server: str, why: str) -> SshError:
    return SshError(
        f"{server} cannot be reached: {why}.",
        remedy="Check the host name and the port, that the server runs, and that no firewall is between.",
        transient=True,
    )


def apart(work: Callable[[], T], cancel: CancelToken, seconds: float) -> T:
    """Do what cannot be interrupted (a name server, an agent) on a thread that may be left behind.

    Raises what the work raises, `Cancelled`, and `TimeoutError` after so many seconds.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # handed on to whoever waits
            failed.append(error)

    thread = threading.Thread(target=run, name="strongroom-ssh-apart", daemon=True)
    thread.start()
    end = time.monotonic() + seconds
    while thread.is_alive():
        cancel.raise_if_cancelled()
        if time.monotonic() > end:
            raise TimeoutError
        thread.join(_STEP)
    if failed:
        raise failed[0]
    return done[0]
