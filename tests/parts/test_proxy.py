"""The proxy of the fault campaigns breaks what it is told to break, there and then, and nothing else."""

from __future__ import annotations

import http.client
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.parts.leaks import nothing_left_behind
from tests.parts.proxy import Proxy
from tests.parts.queues import eventually

CHUNK = 1 << 12


class Sink(socketserver.ThreadingTCPServer):
    """Takes bytes, keeps them by connection, and sends each back."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.got: list[bytearray] = []
        self.ends: list[str] = []


class Taking(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        sink: Sink = self.server  # type: ignore[assignment]
        mine = bytearray()
        sink.got.append(mine)
        try:
            while data := self.request.recv(1 << 16):
                mine += data
                self.request.sendall(data)
        except OSError:
            sink.ends.append("reset")
        else:
            sink.ends.append("end")


class Web(ThreadingHTTPServer):
    """Answers each request with what it was."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Saying)
        self.asked: list[str] = []


class Saying(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Web

    def do_PUT(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.asked.append(f"{self.command} {self.path} {len(body)}")
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    do_GET = do_POST = do_PUT

    def log_message(self, format: str, *args: object) -> None:
        pass


def serving(server: Any) -> Iterator[Any]:
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def sink() -> Iterator[Sink]:
    yield from serving(Sink())


@pytest.fixture
def web() -> Iterator[Web]:
    yield from serving(Web())


@pytest.fixture
def proxy(sink: Sink) -> Iterator[Proxy]:
    with Proxy(sink.server_address[1]) as its:
        yield its


def connect(proxy: Proxy) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", proxy.port), 20)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def exchange(client: socket.socket, data: bytes) -> bytes:
    """Send, and read as much; what came until the other side ended it."""
    client.sendall(data)
    back = bytearray()
    while len(back) < len(data) and (more := client.recv(len(data))):
        back += more
    return bytes(back)


def test_it_passes_everything_on_and_counts_it(proxy: Proxy, sink: Sink) -> None:
    whole = bytes(range(256)) * 4096
    with connect(proxy) as client:
        thread = threading.Thread(target=client.sendall, args=(whole,))
        thread.start()
        back = bytearray()
        while len(back) < len(whole):
            back += client.recv(1 << 16)
        thread.join()
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b"", "an end is passed on, and comes back"
    with connect(proxy) as other:
        assert exchange(other, b"more") == b"more"
    assert bytes(back) == whole
    assert sink.got[0] == whole
    assert (proxy.up, proxy.down) == (len(whole) + 4, len(whole) + 4)
    assert [its.up for its in proxy.connections] == [len(whole), 4]
    eventually(lambda: proxy.alive == 0)


@pytest.mark.parametrize(("how", "seen"), [("reset", "reset"), ("end", "end"), ("half-open", "reset")])
def test_a_cut_comes_after_exactly_so_many_bytes(proxy: Proxy, sink: Sink, how: Any, seen: str) -> None:
    with connect(proxy) as client:
        assert exchange(client, b"before") == b"before"
        fault = proxy.cut(after=10, how=how)
        assert exchange(client, b"12345") == b"12345"
        assert not fault.happened
        client.sendall(b"67890abc")
        fault.wait()
        client.settimeout(0.3 if how == "half-open" else 20)
        ended = ""
        try:
            while client.recv(100):
                pass
            ended = "end"
        except ConnectionResetError:
            ended = "reset"
        except TimeoutError:
            ended = "half-open"
        assert ended == how
        eventually(lambda: sink.ends == [seen], f"the server sees its end: {sink.ends}")
    assert sink.got[0] == b"before1234567890"
    with connect(proxy) as later:
        assert exchange(later, b"as ever" * 10) == b"as ever" * 10, "later connections pass"


def test_a_cut_that_lasts_resets_whoever_comes_later(proxy: Proxy, sink: Sink) -> None:
    fault = proxy.cut(after=4, lasting=True)
    with connect(proxy) as client, pytest.raises(ConnectionResetError):
        exchange(client, b"x" * 100)
    assert fault.happened
    with pytest.raises(ConnectionResetError), connect(proxy) as client:
        exchange(client, b"x")
    proxy.heal()
    with connect(proxy) as client:
        assert exchange(client, b"x") == b"x"
    assert sink.got[0] == b"xxxx"


def test_a_cut_at_once_ends_every_connection(proxy: Proxy, sink: Sink) -> None:
    with connect(proxy) as one, connect(proxy) as two:
        exchange(one, b"1")
        exchange(two, b"2")
        assert proxy.cut().happened
        for client in (one, two):
            with pytest.raises(ConnectionResetError):
                client.recv(1)
    eventually(lambda: sink.ends == ["reset", "reset"])


def test_a_cut_counts_over_all_connections(proxy: Proxy, sink: Sink) -> None:
    fault = proxy.cut(after=3 * CHUNK)
    with connect(proxy) as one, connect(proxy) as two:
        exchange(one, b"1" * CHUNK)
        exchange(two, b"2" * CHUNK)
        assert not fault.happened
        one.sendall(b"3" * 2 * CHUNK)
        fault.wait()
        with pytest.raises(ConnectionResetError):
            while two.recv(1):
                pass
    eventually(lambda: len(sink.ends) == 2)
    assert sum(map(len, sink.got)) == 3 * CHUNK


def test_a_stall_keeps_connections_open_until_it_is_healed(proxy: Proxy, sink: Sink) -> None:
    with connect(proxy) as client, connect(proxy) as other:
        exchange(client, b"x")
        exchange(other, b"y")
        fault = proxy.stall(after=4)
        client.sendall(b"12345678")
        fault.wait()
        with connect(proxy) as new:
            for its in (client, other, new):
                its.settimeout(0.1)
            other.sendall(b"z")
            new.sendall(b"n")
            for its in (client, other, new):
                with pytest.raises(TimeoutError):
                    its.recv(1)
            assert sink.ends == [], "nobody is cut"
            assert sink.got[0] == b"x1234"
            proxy.heal()
            for its in (client, other, new):
                its.settimeout(20)
            assert (other.recv(1), new.recv(1)) == (b"z", b"n")
            eventually(lambda: sink.got[0] == b"x12345678")


def test_a_stall_may_spare_new_connections(proxy: Proxy) -> None:
    with connect(proxy) as client:
        exchange(client, b"x")
        assert proxy.stall(new=False).happened
        client.settimeout(0.1)
        client.sendall(b"1")
        with pytest.raises(TimeoutError):
            client.recv(1)
        with connect(proxy) as new:
            assert exchange(new, b"passes") == b"passes"


def test_exactly_one_bit_is_flipped(proxy: Proxy) -> None:
    with connect(proxy) as client:
        exchange(client, b"before")
        fault = proxy.corrupt(after=100)
        sent = bytes(1000)
        back = exchange(client, sent)
        assert fault.happened
        assert [at for at in range(1000) if back[at] != sent[at]] == [100]
        assert exchange(client, sent) == sent


def test_a_corruption_at_the_border_of_two_pieces_waits_for_its_byte(proxy: Proxy) -> None:
    with connect(proxy) as client:
        fault = proxy.corrupt(after=4)
        assert exchange(client, bytes(4)) == bytes(4)
        assert not fault.happened
        assert exchange(client, bytes(2)) == b"\x04\x00"


def test_a_slow_line_is_shared_fairly(proxy: Proxy) -> None:
    rate, seconds = 200_000, 1.0
    proxy.slow(rate)
    with connect(proxy) as one, connect(proxy) as two:
        for client in (one, two):
            client.setblocking(False)
        begun = time.monotonic()
        sent = {one: 0, two: 0}
        while time.monotonic() - begun < seconds:
            for client in (one, two):
                try:
                    sent[client] += client.send(bytes(8192))
                except BlockingIOError:
                    time.sleep(0.001)  # a full line tells nobody when it has room
                try:
                    while client.recv(1 << 16):
                        pass
                except BlockingIOError:
                    pass
        took = time.monotonic() - begun
        up = [its.up for its in proxy.connections]
    assert sum(up) <= rate * took * 1.1 + 2 * CHUNK
    assert sum(up) >= rate * took * 0.7
    assert min(up) >= 0.8 * max(up), up


def test_refused_connections_and_those_that_go_on(proxy: Proxy) -> None:
    with connect(proxy) as client:
        exchange(client, b"x")
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        assert exchange(client, b"goes on") == b"goes on"
        proxy.heal()
        with connect(proxy) as new:
            assert exchange(new, b"again") == b"again"


def test_a_server_that_is_not_there_resets(sink: Sink) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with (
            Proxy(nobody.getsockname()[1]) as proxy,
            pytest.raises(ConnectionResetError),  # maybe while it connects
            connect(proxy) as client,
        ):
            client.recv(1)


# -------------------------------------------------------------------------------------------- HTTP


@pytest.fixture
def front(web: Web) -> Iterator[Proxy]:
    with Proxy(web.server_address[1], http=True) as its:
        yield its


def ask(client: http.client.HTTPConnection, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    client.request(method, path, body, encode_chunked=True)
    with client.getresponse() as answer:
        return answer.status, answer.read()


def test_requests_of_every_framing_pass_one_after_another(front: Proxy, web: Web) -> None:
    client = http.client.HTTPConnection("127.0.0.1", front.port, timeout=20)
    assert ask(client, "GET", "/a") == (200, b"ok")
    assert ask(client, "PUT", "/b", b"x" * 100_000) == (200, b"ok")
    assert ask(client, "PUT", "/c", iter([b"part", b"y" * 100_000, b"end"])) == (200, b"ok")
    assert ask(client, "POST", "/d", b"") == (200, b"ok")
    client.close()
    assert web.asked == ["GET /a 0", "PUT /b 100000", "PUT /c 100007", "POST /d 0"]
    assert front.lines == ["GET /a", "PUT /b", "PUT /c", "POST /d"]
    assert len(front.connections) == 1


def test_the_next_matching_requests_are_answered_here(front: Proxy, web: Web) -> None:
    rule = front.answer(503, "SlowDown", match="^PUT .*b$", times=2)
    client = http.client.HTTPConnection("127.0.0.1", front.port, timeout=20)
    assert ask(client, "GET", "/b") == (200, b"ok")
    assert not rule.happened
    for _ in range(2):
        status, body = ask(client, "PUT", "/b", b"x" * 300_000)
        assert status == 503
        assert b"<Code>SlowDown</Code>" in body
    assert ask(client, "PUT", "/b", b"x") == (200, b"ok")
    client.close()
    assert web.asked == ["GET /b 0", "PUT /b 1"]


def test_who_waits_for_leave_is_answered_at_once(front: Proxy) -> None:
    front.answer(500, match="PUT")
    with connect(front) as client:
        client.sendall(b"PUT /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 500 InternalError\r\n")


@pytest.mark.parametrize("answered", [False, True])
def test_a_request_is_cut_before_or_after_the_server_got_it(front: Proxy, web: Web, answered: bool) -> None:
    rule = front.cut_on("uploadId=", answered=answered)
    client = http.client.HTTPConnection("127.0.0.1", front.port, timeout=20)
    assert ask(client, "PUT", "/b", b"x") == (200, b"ok")
    with pytest.raises(ConnectionError):
        ask(client, "POST", "/b?uploadId=1", b"done")
    client.close()
    assert rule.happened
    assert web.asked == ["PUT /b 1"] + (["POST /b?uploadId=1 4"] if answered else [])
    assert ask(client, "POST", "/b?uploadId=1", b"done") == (200, b"ok"), "once is once"
    client.close()


def test_nothing_of_it_is_left(sink: Sink) -> None:
    with Proxy(sink.server_address[1]) as first, connect(first) as client:
        exchange(client, b"x")
    with nothing_left_behind():
        with Proxy(sink.server_address[1]) as proxy:
            with connect(proxy) as client:
                exchange(client, b"x")
                proxy.cut(how="half-open")
            proxy.refuse()
        eventually(lambda: len(sink.ends) == 2)
