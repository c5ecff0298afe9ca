"""One SSH connection: made, trusted and logged in by `connect`, carrying channels until it is closed.

A cancel gives whoever works on the connection a moment to tidy up over it, and then cuts it, so that
nobody waits for a server that does not answer.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from engine.cancellation import CancelToken
from engine.errors import SshError, StrongroomError
from engine.ssh import negotiation
from engine.ssh.access import Access
from engine.ssh.authentication import log_in
from engine.ssh.dialing import CONNECT, LOST, dial
from engine.ssh.host_keys import HostKeys
from engine.ssh.known_hosts import ServerKey
from engine.ssh.library import LOG, paramiko

GRACE = 1.5
"""Seconds after a cancel in which what was begun may still be removed over the connection."""
NEGOTIATION = 30.0
"""Seconds for the two ends to agree on keys; old machines compute for long."""
_KEEPALIVE = 30.0
"""Seconds of silence after which a sign of life is asked for: routers forget a connection sooner or later."""
_PACKET = 128 << 10
"""Bytes that the server may put into one packet to us; each packet costs as much work as a small one."""
_STEP = 0.1


class Connection:
    """A connection that is logged in. Channels are opened on it; `close` may come from any thread."""

    def __init__(self, access: Access, transport: Any, cancel: CancelToken) -> None:
        self.access = access
        self.transport = transport
        self._cancel = cancel
        self._held = ExitStack()
        self._timer: threading.Timer | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it has not been lost or closed, as far as this end can tell."""
        return bool(self.transport.is_active())

    @property
    def cipher(self) -> str:
        """What encrypts what is sent."""
        return str(self.transport.local_cipher)

    @property
    def server_software(self) -> str:
        """What the server calls itself, e.g. `OpenSSH_9.2p1`."""
        return str(self.transport.remote_version).split("-", 2)[-1]

    def open_channel(self, *, window: int | None = None) -> Any:
        """A new session channel; `window` bytes may be under way to us at once."""
        with self.errors("the server opened no channel"):
            return self.transport.open_session(window, max_packet_size=_PACKET, timeout=LOST)

    def open_subsystem(self, name: str, *, window: int | None = None, inbox: Any = None) -> Any:
        """A channel that speaks to a subsystem of the server, e.g. `sftp`.

        `inbox` takes the place of the channel's own buffer for what comes in.
        """
        channel = self.open_channel(window=window)
        if inbox is not None:
            channel.in_buffer = inbox
        try:
            with self.errors(f"the server has no {name}"), self.answering(channel):
                channel.invoke_subsystem(name)
        except BaseException:
            channel.close()
            raise
        return channel

    @contextmanager
    def answering(self, channel: Any, seconds: float = LOST) -> Iterator[None]:
        """Close a channel whose server does not answer to a block's request in time, which ends the wait."""
        timer = threading.Timer(seconds, channel.close)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` when somebody asked to stop."""
        self._cancel.raise_if_cancelled()

    def errors(self, what: str) -> _Errors:
        """Turn what the library raises in a block into `SshError`, or into the cancel that caused it."""
        return _Errors(self, what)

    def lost(self, cause: BaseException | None = None) -> SshError:
        """The error of a connection that broke. Raises `Cancelled` when it was cut by a cancel."""
        self._cancel.raise_if_cancelled()
        why = f": {_reason(cause)}" if cause is not None and _reason(cause) else ""
        return SshError(
            f"The connection to {self.access.server} was lost{why}.",
            remedy="Check the network and the server, then try again.",
            transient=True,
        )

    # ----------------------------------------------------------------------------------------- its end

    def watch_for_cancel(self) -> None:
        """From now on a cancel cuts the connection, `GRACE` seconds after it came."""
        self._held.enter_context(self._cancel.calling(self._cut_soon))

    def _cut_soon(self) -> None:
        self._timer = threading.Timer(GRACE, self.cut)
        self._timer.daemon = True
        self._timer.start()

    def cut(self) -> None:
        """Break the connection now; whoever waits on it is woken. Blocks nobody."""
        with suppress(OSError, EOFError):
            shut = getattr(self.transport.sock, "shutdown", None)
            if shut is not None and isinstance(self.transport.sock, socket.socket):
                shut(socket.SHUT_RDWR)
        self.transport.close()

    def close(self) -> None:
        """Let go of it; safe to call twice."""
        self._held.close()
        if self._timer is not None:
            self._timer.cancel()
        self.cut()
        if self.transport.is_alive() and self.transport is not threading.current_thread():
            self.transport.join(2)
        with suppress(OSError):
            self.transport.sock.close()


class _Errors:
    """The block in which the library's errors become ours."""

    def __init__(self, connection: Connection, what: str) -> None:
        self._connection = connection
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        library = paramiko()
        if error is None or isinstance(error, StrongroomError):
            return
        if not isinstance(error, (library.SSHException, OSError, EOFError)):
            return
        if not self._connection.is_alive:
            raise self._connection.lost(error) from error
        server = self._connection.access.server
        raise SshError(
            f"{server}: {self._what} ({_reason(error)}).",
            remedy="Ask who runs the server whether this account may do that.",
        ) from error


def connect(access: Access, cancel: CancelToken, *, sock: Any = None) -> Connection:
    """Reach a server, see that it is the one that is meant, and log in.

    `sock` carries the connection where TCP to the server itself is not the way: a channel of another
    connection, for a jump host. Raises `NeedsTrust`, `SshError`, and `Cancelled` within a moment of a cancel.
    """
    cancel.raise_if_cancelled()
    host_keys = HostKeys(access)
    paramiko()
    made = sock if sock is not None else dial(access.host, access.port, access.server, cancel)
    from engine.ssh.packets import Packets
    from engine.ssh.transport import Transport

    try:
        transport = Transport(made, packetizer_class=Packets)
    except BaseException:
        made.close()
        raise
    connection = Connection(access, transport, cancel)
    try:
        with cancel.calling(connection.cut):
            _negotiate(connection, host_keys)
            key = transport.get_remote_server_key()
            host_keys.check(ServerKey(key.get_name(), key.asbytes()))
            with connection.errors("the login failed"):
                log_in(transport, access, cancel)
        transport.packetizer.expect_answers(transport.ask_for_life, every=_KEEPALIVE, within=LOST)
        connection.watch_for_cancel()
    except BaseException:
        connection.close()
        cancel.raise_if_cancelled()
        raise
    return connection


def _negotiate(connection: Connection, host_keys: HostKeys) -> None:
    """Agree on keys and algorithms. Raises `SshError`."""
    transport, access = connection.transport, connection.access
    notes = negotiation.Notes()
    log = negotiation.logger(notes)
    transport.set_log_channel(LOG)
    transport.logger = log
    transport.packetizer.set_log(log)
    transport.banner_timeout = CONNECT
    transport.handshake_timeout = NEGOTIATION
    negotiation.choose(transport, host_keys.preferred(transport.get_security_options().key_types))
    done = threading.Event()
    end = time.monotonic() + CONNECT + NEGOTIATION
    transport.start_client(done)
    while not done.wait(_STEP) and transport.is_active() and time.monotonic() < end:
        pass
    error = transport.get_exception()
    if transport.is_active() and done.is_set() and error is None:
        return
    connection.raise_if_cancelled()
    raise _not_agreed(access, transport, error, notes) from error


def _not_agreed(
    access: Access, transport: Any, error: BaseException | None, notes: negotiation.Notes
) -> SshError:
    """Why no encrypted connection came about. Only the library's words tell one cause from another."""
    complaint = str(error or "")
    foreign = ("Indecipherable", "Invalid SSH banner", negotiation.NO_GREETING)
    if notes.is_of_another_protocol or any(words in complaint for words in foreign):
        return SshError(
            f"What answers at {access.server} is no SSH server.",
            remedy="Check the host name and the port.",
        )
    if "Incompatible version" in complaint:
        return SshError(
            f"{access.server} speaks version 1 of SSH alone, which is not secure.",
            remedy="Update the SSH server there.",
        )
    if isinstance(error, paramiko().IncompatiblePeer):
        return negotiation.incompatible(access.server, transport, complaint, notes)
    why = notes.said or _reason(error) or ("it hung up" if error is not None else "no answer in time")
    return SshError(
        f"{access.server} answered, but no SSH connection came about: {why}.",
        remedy="Try again; if it stays so, check the port, and look into the server's own log.",
        transient=True,
    )


def _reason(error: BaseException | None) -> str:
    """What an error of the library says, made fit to stand in a sentence."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error or "").strip().rstrip(".")
