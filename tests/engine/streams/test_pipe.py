"""A bounded pipe: nobody runs ahead, either end stops the other, and a cancel wakes both."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from engine.cancellation import CancelToken
from engine.errors import Cancelled
from engine.streams.pipe import Pipe, pumped


class Boom(Exception):
    pass


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[BaseException]]:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, errors


def test_chunks_arrive_in_order_and_the_end_is_a_statement() -> None:
    pipe = Pipe(CancelToken(), capacity=10)
    sent = [b"%d" % number for number in range(500)]

    def produce() -> None:
        for chunk in sent:
            pipe.put(chunk)
        pipe.close()

    thread, errors = in_thread(produce)
    assert list(pipe) == sent
    thread.join()
    assert errors == []


def test_the_producer_waits_when_the_pipe_is_full() -> None:
    made = 0

    def endless(put: Callable[[bytes], None]) -> None:
        nonlocal made
        while made < 1000:
            made += 1
            put(bytes(1 << 20))

    stream = pumped(endless, CancelToken(), "producer")
    for _ in range(3):
        next(stream)
    assert made < 12
    stream.close()
    assert made < 12


def test_the_consumers_error_reaches_the_producer_that_waits() -> None:
    pipe, error = Pipe(CancelToken(), capacity=1), Boom()
    pipe.put(b"full")
    thread, errors = in_thread(lambda: pipe.put(b"more"))
    pipe.abort(error)
    thread.join(10)
    assert errors == [error]


def test_the_producers_error_reaches_the_consumer_that_waits_before_any_chunk_left() -> None:
    pipe, error = Pipe(CancelToken()), Boom()
    pipe.put(b"not to be trusted any more")
    pipe.fail(error)
    with pytest.raises(Boom):
        next(iter(pipe))
    thread, errors = in_thread(lambda: list(pipe))
    thread.join(10)
    assert errors == [error]


def test_the_first_cause_stays() -> None:
    pipe, first = Pipe(CancelToken()), Boom("first")
    pipe.fail(first)
    pipe.abort(Boom("second"))
    assert pipe.error is first


@pytest.mark.parametrize("end", ["producer", "consumer"])
def test_a_cancel_wakes_the_end_that_waits(end: str) -> None:
    cancel = CancelToken()
    pipe = Pipe(cancel, capacity=1)
    if end == "producer":
        pipe.put(b"full")
        thread, errors = in_thread(lambda: pipe.put(b"more"))
    else:
        thread, errors = in_thread(lambda: list(pipe))
    cancel.cancel("stop")
    thread.join(10)
    assert [type(error) for error in errors] == [Cancelled]


def test_what_the_work_raises_comes_out_of_the_iterator() -> None:
    def work(put: Callable[[bytes], None]) -> None:
        put(b"one")
        raise Boom

    stream: Iterator[bytes] = pumped(work, CancelToken(), "worker")
    with pytest.raises(Boom):
        list(stream)
