"""The connections of one adapter, within reach of a cancel.

botocore's requests block in the system: looking a host up, connecting, sending, waiting for the answer. A
cancel has to end each of these within two seconds, and botocore offers no way. So its requests leave through
a session of ours (its event `before-send` is made for that), which knows every socket and shuts them down,
and leaves a thread behind where even that does not help: in the system's resolver.
"""

from __future__ import annotations

import socket
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies
from urllib3.exceptions import ConnectTimeoutError


class Wire:
    """Sends prepared requests until `hang_up`; then whatever is under way fails, and nothing goes out."""

    def __init__(self, *, verify: str | bool, connect_timeout: float, read_timeout: float) -> None:
        """Timeouts in seconds; `verify` is True for the public authorities, or a PEM file's path."""
        self._verify = verify
        self._timeouts = (connect_timeout, read_timeout)
        self._lock = threading.Lock()
        self._sessions: dict[str, Any] = {}
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._waiting: set[threading.Event] = set()
        self._down = False

    def send(self, request: Any, **_: object) -> Any:
        """Send a request and return the answer: a handler of botocore's event `before-send`."""
        try:
            session = self._session(request.url)
        except OSError as error:
            raise ConnectionClosedError(endpoint_url=request.url, error=error) from error
        return session.send(request)

    def hang_up(self) -> None:
        """Break every connection. Safe from any thread, and twice."""
        with self._lock:
            self._down = True
            sockets, waiting = list(self._sockets), list(self._waiting)
        for event in waiting:
            event.set()
        for each in sockets:
            _break(each)

    def close(self) -> None:
        """Hang up, and let go of what is held for the next request."""
        self.hang_up()
        with self._lock:
            sessions = list(self._sessions.values())
            self._sessions.clear()
        for session in sessions:
            session.close()

    def connect(self, connection: Any, connect: Callable[[], None]) -> None:
        """Call `connect` in a thread that a hang-up need not wait for."""
        woken, failed, finished = threading.Event(), [], False
        connect_timeout, read_timeout = self._timeouts

        def work() -> None:
            nonlocal finished
            try:
                connect()
                # urllib3 would send by the timeout for connecting, too short for a slow line.
                connection.sock.settimeout(read_timeout)
            except BaseException as error:
                failed.append(error)
            with self._lock:
                finished = True
                late = woken not in self._waiting
                if not late and connection.sock is not None and not failed:
                    self._sockets.add(connection.sock)
            if late:  # nobody waits for it any more
                with suppress(Exception):
                    connection.close()
            woken.set()

        with self._lock:
            self._check()
            self._waiting.add(woken)
        threading.Thread(target=work, name="s3-connect", daemon=True).start()
        # A name of several addresses, and the system's resolver, keep to no timeout.
        woken.wait(connect_timeout + 5)
        with self._lock:
            self._waiting.discard(woken)
            self._check()
            if not finished:
                raise ConnectTimeoutError(f"no connection within {connect_timeout + 5:.0f} s")
        if failed:
            raise failed[0]

    def _check(self) -> None:
        if self._down:
            raise ConnectionAbortedError("the connection was given up")

    def _session(self, url: str) -> Any:
        server = urlsplit(url).netloc
        with self._lock:
            self._check()
            if server not in self._sessions:
                self._sessions[server] = _Session(
                    self,
                    verify=self._verify,
                    timeout=self._timeouts,
                    proxies=get_environ_proxies(url),
                    max_pool_connections=32,
                )
            return self._sessions[server]


class _Session(URLLib3Session):  # type: ignore[misc]
    """botocore's own session, with connections that its wire knows."""

    def __init__(self, wire: Wire, **options: Any) -> None:
        super().__init__(**options)

        class Plain(AWSHTTPConnection):  # type: ignore[misc]
            def connect(self) -> None:
                wire.connect(self, super().connect)

        class Secure(AWSHTTPSConnection):  # type: ignore[misc]
            def connect(self) -> None:
                wire.connect(self, super().connect)

        class PlainPool(AWSHTTPConnectionPool):  # type: ignore[misc]
            ConnectionCls = Plain

        class SecurePool(AWSHTTPSConnectionPool):  # type: ignore[misc]
            ConnectionCls = Secure

        # The same mapping that its managers of connections hold, also those to proxies.
        self._pool_classes_by_scheme.update(http=PlainPool, https=SecurePool)


def _break(connection: socket.socket) -> None:
    """Shut a socket down under whoever uses it; the file descriptor stays theirs."""
    with suppress(OSError):
        # Not an SSL socket's own method: that would let its thread go on without encryption.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
