"""The bytes of a connection, read in large pieces.

paramiko asks the system twice for each packet, and twice more whether there is something to ask for;
each time its thread lets the interpreter go and has to get it back. Here one call brings many packets
(measured: a quarter less processor time for a download). Import this module only where one connects.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from paramiko.packet import NeedRekeyException, Packetizer

from engine.ssh.negotiation import NO_GREETING

_RECEIVE = 256 << 10
"""Bytes asked of the system at once."""
_LONGEST_LINE = 64 << 10


class Packets(Packetizer):  # type: ignore[misc]
    """paramiko's packetizer, but for how bytes come from the socket and how the handshake is timed."""

    REKEY_BYTES = 1 << 36
    """Bytes after which new keys are agreed upon: 2**32 blocks of AES (RFC 4344, section 3.2), as OpenSSH
    does. A server may ask for them earlier."""

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self._source = sock
        self._space = bytearray(_RECEIVE)
        self._view = memoryview(self._space)
        self._start = self._end = 0
        self._handshake_ends: float | None = None
        self._ask: Callable[[], None] | None = None
        self._every = self._within = 0.0
        self._heard = self._asked = time.monotonic()

    def expect_answers(self, ask: Callable[[], None], *, every: float, within: float) -> None:
        """From now on `ask` the other end for a sign of life, after so many seconds of silence each time.

        When none has come `within` so many more, reading ends as at the end of a connection: what a dead
        network leaves unanswered the system notices itself, but not what lies dead behind a proxy.
        """
        self._ask, self._every, self._within = ask, every, within
        self._heard = self._asked = time.monotonic()

    # -- reading ------------------------------------------------------------------------------------

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        """Exactly `n` bytes. Raises `EOFError`, and the request for new keys only before the first byte."""
        start = self._start
        if self._end - start >= n:
            self._start = start + n
            return bytes(self._view[start : start + n])
        out = bytearray(self._view[start : self._end])
        self._start = self._end = 0
        while (missing := n - len(out)) > 0:
            self._receive(may_rekey=check_rekey and not out)
            took = min(missing, self._end)
            out += self._view[:took]
            self._start = took
        return bytes(out)

    def readline(self, timeout: float) -> str:
        """A line of the greeting, without its end. Raises `TimeoutError`."""
        line = bytearray()
        end = time.monotonic() + timeout
        while True:
            if self._start == self._end:
                self._start = self._end = 0
                self._receive(until=end)
            found = self._space.find(b"\n", self._start, self._end)
            if found != -1:
                line += self._view[self._start : found]
                self._start = found + 1
                return line.rstrip(b"\r").decode("utf-8", "replace")
            line += self._view[self._start : self._end]
            self._start = self._end
            if len(line) > _LONGEST_LINE:
                raise ValueError(NO_GREETING)

    def _receive(self, *, may_rekey: bool = False, until: float | None = None) -> None:
        """Fill the empty space with what has come, waiting for it; the socket wakes us now and then."""
        while True:
            if self.handshake_timed_out():
                raise EOFError
            try:
                got = self._into_space()
            except (TimeoutError, BlockingIOError):
                if self.closed:
                    raise EOFError from None
                if may_rekey and self.need_rekey():
                    raise NeedRekeyException from None
                if until is not None and time.monotonic() > until:
                    raise TimeoutError from None
                self._see_whether_it_lives()
                continue
            except OSError:
                if self.closed:
                    raise EOFError from None
                raise
            if got == 0:
                raise EOFError
            self._end = got
            self._heard = time.monotonic()
            return

    def _see_whether_it_lives(self) -> None:
        if self._ask is None:
            return
        now = time.monotonic()
        if now - self._heard > self._every + self._within:
            raise EOFError
        if now - max(self._heard, self._asked) > self._every:
            self._asked = now
            self._ask()

    def _into_space(self) -> int:
        into = getattr(self._source, "recv_into", None)
        if into is not None:
            return int(into(self._space))
        data = self._source.recv(_RECEIVE)  # a channel of another connection
        self._view[: len(data)] = data
        return len(data)

    # -- the handshake's time, without a thread of its own, which would outlive a connection that fails -----

    def start_handshake(self, timeout: float) -> None:
        self._handshake_ends = time.monotonic() + timeout

    def handshake_timed_out(self) -> bool:
        return self._handshake_ends is not None and time.monotonic() > self._handshake_ends

    def complete_handshake(self) -> None:
        self._handshake_ends = None
