"""Calls that nobody can call off: a cancel is heeded at once, or when what is under way has ended."""

from __future__ import annotations

import threading
import time

import pytest

from plugins.sources.mongo.aside import Aside
from strongroom import Cancelled, CancelToken


@pytest.mark.parametrize(("to_its_end", "has_ended"), [(0, False), (10, True)])
def test_a_cancel_leaves_a_call_the_time_that_it_is_given(to_its_end: float, has_ended: bool) -> None:
    token = CancelToken()
    aside = Aside(token)
    begun, ended = threading.Event(), threading.Event()

    def write() -> None:
        begun.set()
        time.sleep(1)
        ended.set()

    canceller = threading.Thread(target=lambda: begun.wait() and token.cancel("enough"))
    canceller.start()
    with pytest.raises(Cancelled):
        aside.call(write, to_its_end=to_its_end)
    assert ended.is_set() is has_ended
    canceller.join()
    aside.close()
    assert ended.wait(5)
