"""One SFTP channel: requests go out one after the other, answers come in by their numbers.

Many requests may be under way at once, which is where speed over a long line comes from. Nothing here
waits for ever: each wait ends with an answer, a cancel, or a lost connection.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import strongroom
from plugins.storage.sftp_server import protocol as sftp
from plugins.storage.sftp_server.inbox import Inbox
from plugins.storage.sftp_server.protocol import Fields, Nonsense, Refused

if TYPE_CHECKING:
    from strongroom.ssh import Connection

ANSWER = 60.0
"""Seconds in which something has to come from the server while an answer is waited for."""
TIDYING = 1.5
"""Seconds for removing what a failed or cancelled upload left."""
WINDOW = 1 << 25
"""Bytes that the server may send unasked; more than is ever asked for at once, so it never waits."""

_STEP = 0.1
_OVERHEAD = 64
"""Bytes of an SSH packet beside its data, as the SSH library counts them."""
_LONGEST = 1 << 20
"""No answer is longer: OpenSSH's are 256 KiB at most."""

Body = bytes


class Session:
    """The channel. Used by one thread at a time, but for the connection's end, which any may bring."""

    def __init__(self, connection: Connection, cancel: strongroom.CancelToken) -> None:
        self.connection = connection
        self._cancel = cancel
        self._inbox = Inbox()
        self._channel: Any = connection.open_subsystem("sftp", window=WINDOW, inbox=self._inbox)
        self._channel.settimeout(_STEP)
        self._piece: int = self._channel.out_max_packet_size - _OVERHEAD
        self._number = 0
        self._incoming = b""
        """What has come and is not taken apart yet; less than one answer, most of the time."""
        self._answers: dict[int, tuple[int, Body]] = {}
        self._forgotten: set[int] = set()
        self._tidying_until: float | None = None
        self._is_steadfast = False
        self.extensions = self._begin()

    def _begin(self) -> dict[str, str]:
        """Say hello; return the extensions that the server has, by name."""
        self._send(sftp.number(5) + bytes([sftp.INIT]) + sftp.number(3))
        try:
            while (packet := self._packet()) is None:
                self._receive()
            fields = Fields(packet, 1)
            if packet[0] != sftp.VERSION or fields.number() < 3:
                raise Nonsense("it does not speak version 3")
            found = {}
            while not fields.at_end:
                name = fields.text()
                found[name] = fields.text()
            return found
        except Nonsense as error:
            raise strongroom.StorageError(
                f"{self.connection.access.server} answers no SFTP: {error}.",
                remedy="A login script on the server that prints something spoils SFTP: silence it there "
                "for logins without a terminal.",
            ) from error

    # -- requests -----------------------------------------------------------------------------------

    def send(self, kind: int, head: bytes, data: bytes = b"") -> int:
        """Send a request and return its number; `data` is a long last field's content."""
        self._number = (self._number + 1) & 0xFFFFFFFF
        length = 5 + len(head) + len(data)
        self._send(sftp.number(length) + bytes([kind]) + sftp.number(self._number) + head, data)
        return self._number

    def call(self, kind: int, head: bytes) -> tuple[int, Body]:
        """Send a request and wait for its answer. Raises `Refused`."""
        return self.answer(self.send(kind, head))

    def answer(self, number: int) -> tuple[int, Body]:
        """The answer to a request, its kind first. Raises `Refused` when it was not fulfilled."""
        while number not in self._answers:
            self._receive()
            self._sort()
        kind, body = self._answers.pop(number)
        if kind == sftp.STATUS:
            fields = Fields(body)
            code = fields.number()
            if code != 0:
                raise Refused(code, fields.text() if not fields.at_end else "")
        return kind, body

    def forget(self, number: int) -> None:
        """Nobody waits for this answer (any more)."""
        if self._answers.pop(number, None) is None:
            self._forgotten.add(number)

    def is_answered(self, number: int) -> bool:
        """Whether a request's answer has come, as far as can be seen without waiting."""
        if number not in self._answers and len(self._inbox) >= self._inbox.wanted:
            self._receive()
            self._sort()
        return number in self._answers

    @contextmanager
    def tidying(self) -> Iterator[None]:
        """A block that removes what is of no use any more: a cancel does not end it, the clock does."""
        self._tidying_until = time.monotonic() + TIDYING
        try:
            yield
        finally:
            self._tidying_until = None

    @contextmanager
    def steadfast(self) -> Iterator[None]:
        """A block whose answers are waited for although somebody cancelled; that cuts the connection soon."""
        self._is_steadfast = True
        try:
            yield
        finally:
            self._is_steadfast = False

    def close(self) -> None:
        """Let go of the channel."""
        if self.connection.is_alive:
            self._channel.close()

    # -- the channel ----------------------------------------------------------------------------------

    def _send(self, first: bytes, rest: bytes = b"") -> None:
        """Send all of it, in pieces of just the size that the server takes in one packet."""
        room = self._piece - len(first)
        self._push(first + rest[:room] if rest else first)
        for at in range(max(room, 0), len(rest), self._piece):
            self._push(rest[at : at + self._piece])

    def _push(self, piece: bytes) -> None:
        # Not cut short by a cancel: half a request would spoil the channel for the tidying up. The
        # connection itself is cut a moment after a cancel, which ends this, too.
        since = time.monotonic()
        while piece:
            try:
                sent = self._channel.send(piece)
            except TimeoutError:
                self._look_at_the_clock(since)
                continue
            except Exception as error:  # whatever the library raises: the channel is of no use any more
                raise self._lost(error) from error
            if sent == 0:
                raise self._lost()
            piece = piece[sent:] if sent < len(piece) else b""

    def _receive(self) -> None:
        """Wait until something has come. Raises `Cancelled`, and `StorageError` when nothing comes."""
        since = time.monotonic()
        while True:
            if self._tidying_until is None and not self._is_steadfast:
                self._cancel.raise_if_cancelled()
            try:
                got = self._channel.recv(1 << 20)
            except TimeoutError:
                self._look_at_the_clock(since)
                continue
            except Exception as error:  # it also sends now and then, to let the server go on
                raise self._lost(error) from error
            if not got:
                raise self._lost()
            self._incoming = self._incoming + got if self._incoming else got
            return

    def _packet(self) -> Body | None:
        """The next whole packet that has come, without its length; None when there is none yet."""
        if len(self._incoming) < 4:
            return None
        length = int.from_bytes(self._incoming[:4], "big")
        if not 1 <= length <= _LONGEST:
            raise Nonsense("what it sends is no packet of SFTP")
        if len(self._incoming) < 4 + length:
            return None
        packet = self._incoming[4 : 4 + length]
        self._incoming = self._incoming[4 + length :]
        return packet

    def _sort(self) -> None:
        """Take what has come apart, and lay each answer where its number is looked for."""
        incoming, at, wanted = self._incoming, 0, 1
        with memoryview(incoming) as view:
            while len(view) - at >= 9:
                length = int.from_bytes(view[at : at + 4], "big")
                if not 5 <= length <= _LONGEST:
                    raise self._spoilt()
                if len(view) - at < 4 + length:
                    wanted = at + 4 + length - len(view)
                    break
                kind, number = view[at + 4], int.from_bytes(view[at + 5 : at + 9], "big")
                if number in self._forgotten:
                    self._forgotten.discard(number)
                else:
                    # The data of a read stand behind one more length.
                    start = at + (13 if kind == sftp.DATA else 9)
                    self._answers[number] = (kind, bytes(view[start : at + 4 + length]))
                at += 4 + length
        self._incoming = incoming[at:]
        self._inbox.wanted = wanted

    def _look_at_the_clock(self, since: float) -> None:
        now = time.monotonic()
        if self._tidying_until is not None and now > self._tidying_until:
            raise strongroom.StorageError("Tidying up took too long.", transient=True)
        if now - since > ANSWER:
            raise strongroom.StorageError(
                f"{self.connection.access.server} has not answered for {ANSWER:.0f} s.",
                remedy="Check the network and the server, then try again.",
                transient=True,
            )
        if not self.connection.is_alive:
            raise self._lost()

    def _lost(self, cause: BaseException | None = None) -> strongroom.StorageError:
        """The connection broke; raises `Cancelled` when a cancel cut it."""
        error = self.connection.lost(cause)
        if self.connection.is_alive:
            error.message = f"{self.connection.access.server} ended the SFTP channel."
        return strongroom.StorageError(error.message, remedy=error.remedy, transient=True)

    def _spoilt(self) -> strongroom.StorageError:
        return strongroom.StorageError(
            f"{self.connection.access.server} sent what is no SFTP.", remedy="Try again.", transient=True
        )
