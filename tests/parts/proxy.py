"""A TCP proxy before a real server, which breaks connections where a test says.

Each knob is set from the test's thread and holds when the call returns. Offsets count the bytes that go up
(from the client to the server) over all connections, from the moment in which the knob was set; so a run
that is repeated breaks at the same place:

    with Proxy(server.port) as proxy:
        fault = proxy.cut(after=1000)
        ...                              # a client connects to proxy.port, and is reset
        fault.wait()

With `http=True` it reads the requests of plain HTTP, answers some by itself, and loses answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, TypeVar

from tests.parts.http_requests import Body, Head, Requests

End = Literal["end", "reset", "half-open"]
"""How a connection ends: as a program that closes it, as a router that forgot it, or for the server alone."""
T = TypeVar("T")

PORTION = 1 << 16
PATIENCE = 60.0
"""Seconds until a test says that a fault did not happen."""
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, no time, so that closing resets


class Fault:
    """Something that is going to happen, once or several times."""

    def __init__(self, what: str, act: Callable[[bytes], bytes], needs: int = 0) -> None:
        """`act` gets the bytes that came with the last one before, at least `needs`; returns what goes on."""
        self.what = what
        self.act = act
        self.needs = needs
        self.at = 0
        self._happened = threading.Event()

    @property
    def happened(self) -> bool:
        return self._happened.is_set()

    def happens(self) -> None:
        self._happened.set()

    def wait(self) -> None:
        """Wait until it has happened."""
        assert self._happened.wait(PATIENCE), f"it did not happen: {self.what}"

    def __repr__(self) -> str:
        return f"<{self.what}{', happened' if self.happened else ''}>"


@dataclass(eq=False)
class Rule(Fault):
    """What is done with the next requests in whose `METHOD /target` the expression `match` is found."""

    match: str
    times: int
    action: Literal["answer", "cut", "lose answer"]
    answer: bytes = b""

    def __post_init__(self) -> None:
        super().__init__(f"{self.action} on {self.match!r}", lambda rest: rest)


@dataclass(eq=False)
class Connection:
    """One client, with the bytes that went each way."""

    client: socket.socket
    server: socket.socket
    up: int = 0
    down: int = 0
    requests: Requests = field(default_factory=Requests)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    how: End = "end"
    rule: Rule | None = None
    lost: bool = False
    """Whether the next answer is kept from the client, and the connection cut in its place."""

    def end(self, how: End) -> None:
        if not self.over.is_set():
            self.how = how
            self.over.set()


class Throttle:
    """So many bytes a second, shared by whoever asks: the one that has waited longest comes first."""

    def __init__(self, rate: float) -> None:
        self.portion = int(max(1024, min(PORTION, rate / 50)))
        self._rate = rate
        self._free = 0.0
        self._turn = asyncio.Lock()

    async def take(self, count: int) -> None:
        async with self._turn:
            now = asyncio.get_running_loop().time()
            self._free = max(self._free, now) + count / self._rate
            await asyncio.sleep(self._free - now)


class Proxy:
    """Listens on a free port of the loopback, and passes everything on until told otherwise."""

    def __init__(self, target: int, host: str = "127.0.0.1", *, http: bool = False) -> None:
        self.connections: list[Connection] = []
        """All that there were."""
        self.up = self.down = 0
        """Bytes that were passed on in all."""
        self.lines: list[str] = []
        """`METHOD /target` of each request that came; with `http` alone."""
        self._target = (host, target)
        self._http = http
        self._faults: list[Fault] = []
        self._rules: list[Rule] = []
        self._throttle: Throttle | None = None
        self._flows = asyncio.Event()
        self._stalls_new = self._resets_new = False
        self._stalled: set[Connection] = set()
        self._kept_open: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        # Bound and never listening: nobody else gets the port while connections are refused.
        self._claim = self._bound(0)
        self.port = int(self._claim.getsockname()[1])
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{self.port}")
        self._thread.start()
        self.heal()

    # ------------------------------------------------------------------------------------- the knobs

    def cut(self, after: int = 0, how: End = "reset", *, lasting: bool = False) -> Fault:
        """End every connection there is once so many more bytes have gone up.

        Later ones pass, unless it is `lasting`: then they are reset as they come, until `heal`.
        """

        def act(rest: bytes) -> bytes:
            self._resets_new = lasting
            for connection in self._open():
                connection.end(how)
            return rest

        return self._arm(f"{how} after {after} bytes", after, act)

    def stall(self, after: int = 0, *, new: bool = True) -> Fault:
        """Pass nothing on, in neither direction, once so many more bytes have gone up, until `heal`.

        Connections stay open. `new` says that those made later stall too.
        """

        def act(rest: bytes) -> bytes:
            self._stalled.update(self._open())
            self._stalls_new = new
            self._flows.clear()
            return rest

        return self._arm(f"stall after {after} bytes", after, act)

    def corrupt(self, after: int) -> Fault:
        """Flip a bit of the byte that goes up after so many others."""
        return self._arm(
            f"a bit of byte {after} flipped", after, lambda rest: bytes([rest[0] ^ 4]) + rest[1:], needs=1
        )

    def slow(self, rate: float) -> None:
        """Let at most so many bytes a second go up, over all connections, each getting its share."""

        def set_it() -> None:
            self._throttle = Throttle(rate)

        self._do(set_it)

    def refuse(self) -> None:
        """Refuse new connections, as when nothing listens there; those there are go on."""

        async def stop() -> None:
            if self._accepting is not None:
                self._accepting.cancel()
                await asyncio.gather(self._accepting, return_exceptions=True)
                self._accepting = None
            if self._listener is not None:
                self._listener.close()
                self._listener = None

        self._await(stop())

    def answer(
        self, status: int, code: str = "InternalError", *, match: str = "", times: int = 1, body: str = ""
    ) -> Rule:
        """Answer the next matching requests with an error of S3, without asking the server."""
        text = body or f"<Error><Code>{code}</Code><Message>Asked for by a test.</Message></Error>"
        whole = '<?xml version="1.0" encoding="UTF-8"?>\n' + text
        head = (
            f"HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\n"
            f"Content-Length: {len(whole)}\r\nConnection: close\r\n\r\n"
        )
        return self._add(Rule(match, times, "answer", (head + whole).encode()))

    def cut_on(self, match: str, *, answered: bool, times: int = 1) -> Rule:
        """Reset the connection on a matching request: before the server hears of it, or once it answered."""
        return self._add(Rule(match, times, "lose answer" if answered else "cut"))

    def heal(self) -> None:
        """Take back all that was set, and let what is stalled go on."""

        def set_it() -> None:
            self._faults.clear()
            self._rules.clear()
            self._throttle = None
            self._stalled.clear()
            self._stalls_new = self._resets_new = False
            self._flows.set()
            for kept in self._kept_open:
                kept.close()
            self._kept_open.clear()
            if self._listener is None:
                self._listener = self._bound(self.port)
                self._listener.listen(128)
                self._accepting = self._loop.create_task(self._accept(self._listener))

        self._do(set_it)

    def close(self) -> None:
        """End everything."""
        self.refuse()

        async def stop() -> None:
            self._flows.set()
            for connection in self.connections:
                connection.end("reset")
            await asyncio.gather(*self._tasks, return_exceptions=True)

        self._await(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()
        for its in (self._claim, *self._kept_open):
            its.close()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def alive(self) -> int:
        """How many connections are open."""
        return len(self._open())

    # ---------------------------------------------------------------------------- in the loop's thread

    def _arm(self, what: str, after: int, act: Callable[[bytes], bytes], needs: int = 0) -> Fault:
        fault = Fault(what, act, needs)

        def arm() -> None:
            fault.at = self.up + after
            if after == 0 and not needs:
                self._fire(fault, b"")
            else:
                self._faults.append(fault)
                self._faults.sort(key=lambda its: its.at)

        self._do(arm)
        return fault

    def _add(self, rule: Rule) -> Rule:
        if not self._http:
            raise ValueError("this proxy does not read HTTP")
        self._do(lambda: self._rules.append(rule))
        return rule

    def _fire(self, fault: Fault, rest: bytes) -> bytes:
        changed = fault.act(rest)
        fault.happens()
        return changed

    def _open(self) -> list[Connection]:
        return [its for its in self.connections if not its.over.is_set()]

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            client, _ = await self._loop.sock_accept(listener)
            task = self._loop.create_task(self._serve(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: socket.socket) -> None:
        server = socket.socket()
        for its in (client, server):
            its.setblocking(False)
            its.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(client, server)
        try:
            if self._resets_new:
                raise ConnectionResetError
            await self._loop.sock_connect(server, self._target)
        except OSError:
            connection.how = "reset"  # also when nobody is behind us: no end that a client could take for one
            self._close(connection)
            return
        self.connections.append(connection)
        if self._stalls_new:
            self._stalled.add(connection)
        pumps = [self._loop.create_task(its(connection)) for its in (self._up, self._down)]
        over = self._loop.create_task(connection.over.wait())
        both = asyncio.gather(*pumps)
        with contextlib.suppress(OSError, ValueError):
            await asyncio.wait([both, over], return_when=asyncio.FIRST_COMPLETED)
        if both.done() and not both.cancelled() and both.exception() is not None:
            connection.end("reset")
        connection.end("end")
        for task in (*pumps, over):
            task.cancel()
        await asyncio.gather(both, over, *pumps, return_exceptions=True)
        self._stalled.discard(connection)
        self._close(connection)

    def _close(self, connection: Connection) -> None:
        sockets = [connection.server, connection.client]
        if connection.how == "half-open":
            self._kept_open.append(sockets.pop())
        for its in sockets:
            with contextlib.suppress(OSError):
                if connection.how == "end":
                    its.shutdown(socket.SHUT_WR)
                else:
                    its.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            its.close()

    async def _up(self, connection: Connection) -> None:
        while data := await self._loop.sock_recv(connection.client, PORTION):
            if not self._http:
                await self._forward(connection, data)
                continue
            for piece in connection.requests.feed(data):
                if isinstance(piece, Head):
                    self.lines.append(piece.line)
                    self._judge(connection, piece)
                    if connection.over.is_set():
                        return
                    if connection.rule is not None and piece.waits_for_leave:
                        await self._answer(connection, connection.rule)
                        return
                if isinstance(piece, Head | Body):
                    if connection.rule is None:
                        await self._forward(connection, piece.raw)
                elif connection.rule is not None:
                    await self._answer(connection, connection.rule)
                    return
        with contextlib.suppress(OSError):
            connection.server.shutdown(socket.SHUT_WR)

    def _judge(self, connection: Connection, head: Head) -> None:
        rule = next((its for its in self._rules if re.search(its.match, head.line)), None)
        if rule is None:
            return
        rule.times -= 1
        if rule.times <= 0:
            self._rules.remove(rule)
        if rule.action == "answer":
            connection.rule = rule
        elif rule.action == "lose answer":
            connection.lost = True
        else:
            connection.end("reset")
        rule.happens()

    async def _answer(self, connection: Connection, rule: Rule) -> None:
        await self._loop.sock_sendall(connection.client, rule.answer)
        connection.end("end")

    async def _forward(self, connection: Connection, data: bytes) -> None:
        while data:
            if connection in self._stalled:
                await self._flows.wait()
            throttle, count = self._throttle, len(data)
            if throttle is not None:
                count = min(count, throttle.portion)
                await throttle.take(count)
            fault = self._faults[0] if self._faults else None
            if fault is not None and self.up + count >= fault.at + fault.needs:
                self._faults.remove(fault)
                count = fault.at - self.up
            else:
                fault = None
            passed, data = data[:count], data[count:]
            self.up += count
            connection.up += count
            await self._loop.sock_sendall(connection.server, passed)
            if fault is not None:
                data = self._fire(fault, data)
            if connection.over.is_set():
                return

    async def _down(self, connection: Connection) -> None:
        while data := await self._loop.sock_recv(connection.server, PORTION):
            if connection in self._stalled:
                await self._flows.wait()
            if connection.lost and not data.startswith(b"HTTP/1.1 100"):
                connection.end("reset")
                return
            self.down += len(data)
            connection.down += len(data)
            await self._loop.sock_sendall(connection.client, data)
        with contextlib.suppress(OSError):
            connection.client.shutdown(socket.SHUT_WR)

    # ------------------------------------------------------------------------------------------ parts

    def _bound(self, port: int) -> socket.socket:
        its = socket.socket()
        its.setblocking(False)
        its.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        its.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        its.bind(("127.0.0.1", port))
        return its

    def _do(self, what: Callable[[], object]) -> None:
        async def call() -> None:
            what()

        self._await(call())

    def _await(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(PATIENCE)
