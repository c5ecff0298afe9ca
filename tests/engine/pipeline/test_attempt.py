"""Work at a destination is watched: it lives, it is stopped, or it is left alone."""

from __future__ import annotations

import threading
import time

import pytest

from engine.cancellation import CancelToken
from engine.errors import Cancelled, StorageError, StrongroomError
from engine.pipeline.attempt import Attempt


def test_what_the_work_returns_and_raises_comes_back() -> None:
    assert Attempt[int](CancelToken()).run(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        Attempt[float](CancelToken()).run(lambda: 1 / 0)


def test_work_without_a_sign_of_life_is_stopped_as_a_failure_that_may_pass() -> None:
    attempt = Attempt[None](CancelToken(), patience=0.2)

    def work() -> None:
        assert attempt.token.wait(20)
        attempt.token.raise_if_cancelled()

    with pytest.raises(StorageError, match=r"no progress for 0\.2 s") as caught:
        attempt.run(work)

    assert caught.value.transient
    assert caught.value.remedy
    assert not attempt.abandoned


def test_signs_of_life_keep_it_alive_however_long_it_takes() -> None:
    attempt = Attempt[str](CancelToken(), patience=0.3)

    def work() -> str:
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            attempt.alive(1)
            attempt.token.wait(0.02)
            attempt.token.raise_if_cancelled()
        return "done"

    assert attempt.run(work) == "done"


def test_it_may_wait_for_somebody_else_without_a_sign() -> None:
    attempt = Attempt[str](CancelToken(), patience=0.2)

    def work() -> str:
        with attempt.waiting():
            attempt.token.wait(0.7)
        attempt.token.raise_if_cancelled()
        return "done"

    assert attempt.run(work) == "done"


def test_after_the_wait_its_patience_begins_anew() -> None:
    attempt = Attempt[float](CancelToken(), patience=0.3)
    resumed: list[float] = []

    def work() -> float:
        with attempt.waiting():
            attempt.token.wait(0.45)
        resumed.append(time.monotonic())
        attempt.token.wait(20)
        raise Cancelled

    with pytest.raises(StorageError):
        attempt.run(work)
    assert 0.25 < time.monotonic() - resumed[0] < 5


def test_a_limit_holds_whatever_the_signs() -> None:
    attempt = Attempt[None](CancelToken(), limit=0.3)

    def work() -> None:
        while not attempt.token.wait(0.02):
            attempt.alive()
        raise StorageError("the socket was closed")

    with pytest.raises(StorageError, match=r"not done in 0\.3 s"):
        attempt.run(work)


def test_a_cancel_of_the_run_stops_it_and_is_what_it_ends_with() -> None:
    run = CancelToken()
    attempt, begun = Attempt[None](run), threading.Event()

    def work() -> None:
        begun.set()
        assert attempt.token.wait(20)
        raise StorageError("the socket was closed")  # what an adapter says whose socket was closed under it

    threading.Thread(target=lambda: begun.wait(20) and run.cancel("enough")).start()
    with pytest.raises(Cancelled, match="enough"):
        attempt.run(work)


def test_what_was_done_in_the_moment_of_the_cancel_is_done() -> None:
    run = CancelToken()
    attempt = Attempt[str](run)

    def work() -> str:
        run.cancel()
        assert attempt.token.wait(20)
        return "stored"

    assert attempt.run(work) == "stored"


@pytest.mark.parametrize("stalled", [True, False])
def test_work_that_does_not_come_back_is_left_alone(stalled: bool) -> None:
    run, goes_on = CancelToken(), threading.Event()
    attempt = Attempt[str](run, patience=0.1 if stalled else 60, grace=0.2)
    if not stalled:
        run.cancel("enough")

    def work() -> str:
        goes_on.wait(20)
        return "too late"

    begun = time.monotonic()
    with pytest.raises(StorageError if stalled else Cancelled) as caught:
        attempt.run(work)
    goes_on.set()

    assert attempt.abandoned
    assert time.monotonic() - begun < 5
    assert not (isinstance(caught.value, StorageError) and caught.value.transient), "it is not tried again"


def test_a_callback_that_hangs_holds_nobody_up() -> None:
    run, goes_on = CancelToken(), threading.Event()
    attempt, ready = Attempt[None](run, grace=0.2), threading.Event()

    def work() -> None:
        with attempt.token.calling(lambda: goes_on.wait(20) and None):
            ready.set()
            goes_on.wait(20)

    threading.Thread(target=lambda: ready.wait(20) and run.cancel()).start()
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        attempt.run(work)
    assert time.monotonic() - begun < 5
    goes_on.set()


def test_cleaning_up_goes_on_for_a_while_after_the_cancel() -> None:
    run = CancelToken()
    run.cancel()
    attempt = Attempt[str](run, linger=20)

    assert attempt.run(lambda: "removed" if not attempt.token.cancelled else "not") == "removed"


def test_a_storage_that_says_cancelled_when_nobody_asked_is_a_failure() -> None:
    def work() -> None:
        raise Cancelled("its own idea")

    with pytest.raises(StrongroomError, match="nobody had asked"):
        Attempt[None](CancelToken()).run(work)
