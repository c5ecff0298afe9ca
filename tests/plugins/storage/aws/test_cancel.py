"""A cancel comes back within two seconds, wherever it finds the storage, and stays a cancel."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

import strongroom
from engine.streams.spool import Spool
from plugins.storage.aws import wire
from plugins.storage.aws.parts import FIRST
from plugins.storage.s3 import S3
from tests.parts.proxy import Proxy
from tests.parts.s3 import S3Server
from tests.plugins.storage.aws.conftest import Opened, without_checksums

Spools = Callable[..., Spool]
DATA = random.Random(4).randbytes(3 * FIRST)
WITHIN = 2.5
"""Seconds: the two that are promised, and what a busy machine adds."""


def cancelled_in(
    cancel: strongroom.CancelToken, work: Callable[[], object], when: Callable[[], object]
) -> float:
    """Do the work, cancel it once `when` returns; return the seconds from then to its `Cancelled`."""
    raised: list[BaseException] = []

    def do() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=do)
    thread.start()
    when()
    assert not raised, raised
    begun = time.monotonic()
    cancel.cancel("somebody pressed cancel")
    thread.join(30)
    took = time.monotonic() - begun
    assert [type(error) for error in raised] == [strongroom.Cancelled]
    return took


@pytest.fixture
def cancel() -> strongroom.CancelToken:
    return strongroom.CancelToken()


@pytest.mark.parametrize("after", [0, FIRST // 2, 2 * FIRST], ids=["first request", "in a part", "later"])
def test_in_an_upload_that_stalls(
    s3: S3Server,
    bucket: str,
    opened: Opened,
    through: Opened,
    proxy: Proxy,
    make_spool: Spools,
    cancel: strongroom.CancelToken,
    after: int,
) -> None:
    told: list[strongroom.Leftover] = []
    storage, reader = through(cancel), make_spool(DATA).reader()
    stall = proxy.stall(after=after)
    took = cancelled_in(cancel, lambda: storage.put("a.dump", reader, begun=told.append), stall.wait)
    assert took < WITHIN
    proxy.heal()
    for leftover in told:
        opened().discard(leftover)
    assert s3.everything(bucket) == set()


def test_in_an_upload_that_goes_well(
    s3: S3Server,
    bucket: str,
    through: Opened,
    proxy: Proxy,
    make_spool: Spools,
    cancel: strongroom.CancelToken,
) -> None:
    """Then all of it is taken back at once."""
    proxy.slow(4 << 20)
    reader, moved = make_spool(DATA).reader(), threading.Event()
    reader.taken = lambda position: moved.set() if position > FIRST else None  # type: ignore[method-assign]
    storage = through(cancel)
    took = cancelled_in(
        cancel, lambda: storage.put("a.dump", reader, begun=lambda leftover: None), lambda: moved.wait(60)
    )
    assert took < WITHIN
    assert s3.everything(bucket) == set()


def test_while_the_answer_to_the_last_request_is_awaited(
    s3: S3Server,
    bucket: str,
    through: Opened,
    proxy: Proxy,
    make_spool: Spools,
    cancel: strongroom.CancelToken,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server has given the object its name by then, or does so a moment later; it is taken away again."""
    from plugins.storage.aws.upload import Multipart

    complete, done, go_on = Multipart.complete, threading.Event(), threading.Event()

    def held(self: Multipart, **condition: dict[str, str]) -> object:
        answer = complete(self, **condition)
        done.set()
        assert go_on.wait(60)
        return answer

    monkeypatch.setattr(Multipart, "complete", held)
    storage, reader = through(cancel), make_spool(DATA).reader()

    def when() -> None:
        assert done.wait(60)
        assert s3.objects(bucket) == {"a.dump": len(DATA)}
        threading.Timer(0.2, go_on.set).start()

    took = cancelled_in(cancel, lambda: storage.put("a.dump", reader, begun=lambda leftover: None), when)
    assert took < WITHIN
    assert s3.everything(bucket) == set()


def test_while_an_upload_is_read_back(
    s3: S3Server,
    bucket: str,
    opened: Opened,
    make_spool: Spools,
    cancel: strongroom.CancelToken,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_checksums(monkeypatch)
    storage, reader, reading = opened(cancel), make_spool(DATA).reader(), threading.Event()
    get = storage.get

    def slowly(name: str) -> Iterator[bytes]:
        for chunk in get(name):
            reading.set()
            cancel.wait(60)
            yield chunk

    monkeypatch.setattr(storage, "get", slowly)
    took = cancelled_in(
        cancel,
        lambda: storage.put("a.dump", reader, begun=lambda leftover: None),
        lambda: reading.wait(60),
    )
    assert took < WITHIN
    assert s3.everything(bucket) == set()


def test_in_a_download_that_stalls(
    s3: S3Server, bucket: str, through: Opened, proxy: Proxy, cancel: strongroom.CancelToken
) -> None:
    s3.write(bucket, "a.dump", DATA)
    storage, stalled = through(cancel), threading.Event()

    def read() -> None:
        for _ in storage.get("a.dump"):
            if not stalled.is_set():
                proxy.stall()
                stalled.set()

    assert cancelled_in(cancel, read, lambda: stalled.wait(60)) < WITHIN


@pytest.mark.parametrize(
    "work",
    [
        lambda storage: storage.check(),
        lambda storage: list(storage.list()),
        lambda storage: storage.stat("a"),
        lambda storage: storage.delete("a"),
        lambda storage: storage.verify("a", 1, "00"),
        lambda storage: storage.discard(strongroom.Leftover("a", "its-id")),
    ],
    ids=["check", "list", "stat", "delete", "verify", "discard"],
)
def test_in_any_other_call_that_stalls(
    through: Opened, proxy: Proxy, cancel: strongroom.CancelToken, work: Callable[[S3], object]
) -> None:
    stall = proxy.stall(after=1)
    storage = through(cancel)
    assert cancelled_in(cancel, lambda: work(storage), stall.wait) < WITHIN


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port at which nobody ever takes a connection: its queue is full."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for each in (first, second):
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_while_it_connects(opened: Opened, deaf: int, cancel: strongroom.CancelToken) -> None:
    storage = opened(cancel, endpoint=f"http://127.0.0.1:{deaf}")
    connecting = _threads("s3-connect")
    assert cancelled_in(cancel, lambda: list(storage.list()), connecting) < WITHIN


def test_while_it_shakes_hands(s3: S3Server, opened: Opened, cancel: strongroom.CancelToken) -> None:
    with Proxy(s3.port) as proxy:
        stall = proxy.stall(after=1)
        storage = opened(cancel, endpoint=f"https://127.0.0.1:{proxy.port}")
        assert cancelled_in(cancel, lambda: list(storage.list()), stall.wait) < WITHIN


def test_while_the_system_looks_the_server_up(
    opened: Opened, cancel: strongroom.CancelToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def asking(*args: object, **more: object) -> list[object]:
        asked.set()
        go_on.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    monkeypatch.setattr(socket, "getaddrinfo", asking)
    storage = opened(cancel, endpoint="http://s3.example.com")
    try:
        assert cancelled_in(cancel, lambda: list(storage.list()), lambda: asked.wait(60)) < WITHIN
    finally:
        go_on.set()


def test_closing_from_another_thread_ends_what_is_under_way(
    through: Opened, proxy: Proxy, make_spool: Spools
) -> None:
    """As the engine does with an attempt that it has given up: an error then, and no cancel."""
    storage, reader, raised = through(), make_spool(DATA).reader(), []

    def put() -> None:
        try:
            storage.put("a.dump", reader, begun=lambda leftover: None)
        except strongroom.StrongroomError as error:
            raised.append(error)

    stall = proxy.stall(after=FIRST)
    thread = threading.Thread(target=put)
    thread.start()
    stall.wait()
    storage.close()
    thread.join(5)
    assert not thread.is_alive()
    assert [type(error) for error in raised] == [strongroom.StorageError]


def test_a_connection_that_comes_too_late_is_closed(deaf: int) -> None:
    its = wire.Wire(verify=True, connect_timeout=0.1, read_timeout=1)

    class Connection:
        sock = None
        closed = threading.Event()

        def close(self) -> None:
            self.closed.set()

    connection, go_on = Connection(), threading.Event()
    failed: list[BaseException] = []

    def connect() -> None:
        try:
            its.connect(connection, lambda: go_on.wait(60) and None)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=connect)
    thread.start()
    _threads("s3-connect")()
    its.hang_up()
    thread.join(10)
    assert isinstance(failed[0], OSError)
    go_on.set()
    assert connection.closed.wait(10)


def _threads(name: str) -> Callable[[], None]:
    """What waits until there is a thread of that name."""

    def there() -> None:
        end = time.monotonic() + 30
        while not any(thread.name == name for thread in threading.enumerate()):
            assert time.monotonic() < end
            time.sleep(0.01)

    return there
