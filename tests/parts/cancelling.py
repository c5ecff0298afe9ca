"""Work that somebody cancels while it waits."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

from engine.cancellation import CancelToken
from engine.errors import Cancelled


def cancelled_within(
    seconds: float, work: Callable[[CancelToken], object], *, after: Callable[[], object]
) -> float:
    """Begin, cancel once `after` has returned, and see that the work ends as cancelled in time.

    Sockets that `after` returns are held until then. Returns the seconds that the cancel took.
    """
    token = CancelToken()
    ended: list[BaseException | None] = []

    def run() -> None:
        try:
            work(token)
        except BaseException as error:
            ended.append(error)
        else:
            ended.append(None)

    thread = threading.Thread(target=run, name="cancelled", daemon=True)
    thread.start()
    held = after()
    begun = time.monotonic()
    try:
        token.cancel("the test cancels")
        thread.join(seconds)
        took = time.monotonic() - begun
        assert not thread.is_alive(), f"it went on for {seconds} s after the cancel"
    finally:
        for part in held if isinstance(held, tuple) else (held,):
            if isinstance(part, socket.socket):
                part.close()
    assert isinstance(ended[0], Cancelled), f"it ended by {ended[0]!r}"
    return took
