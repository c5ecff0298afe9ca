"""A bounded pipe of chunks between two threads: the back-pressure of every stream.

Either end can stop the other: the producer with `fail`, the consumer with `abort`, anybody with the
cancel token. The first cause is the one that both ends raise.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator

from engine.cancellation import CancelToken
from engine.errors import Cancelled

CAPACITY = 4 << 20
"""How many bytes may wait in a pipe (4 MiB): enough to ride out a stall, little against 120 MiB."""


class Pipe:
    """One producer puts chunks, one consumer iterates over them; neither runs far ahead of the other."""

    def __init__(self, cancel: CancelToken, capacity: int = CAPACITY) -> None:
        self._cancel = cancel
        self._capacity = capacity
        self._changed = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._waiting = 0
        self._closed = False
        self.error: BaseException | None = None

    def put(self, chunk: bytes) -> None:
        """Hand over a chunk, waiting for room. Raises the consumer's error, or `Cancelled`."""
        if not chunk:
            self._raise_if_stopped()
            return
        with self._cancel.calling(self._wake), self._changed:
            self._changed.wait_for(lambda: self._waiting < self._capacity or self._stopped())
            self._raise_if_stopped()
            self._chunks.append(chunk)
            self._waiting += len(chunk)
            self._changed.notify_all()

    def close(self) -> None:
        """Say that no chunk follows: the end of the stream, as a statement that it is whole."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """End both sides with `error`, unless they have ended with another one already."""
        with self._changed:
            if self.error is None:
                self.error = error
            self._chunks.clear()
            self._changed.notify_all()

    abort = fail

    def __iter__(self) -> Iterator[bytes]:
        """The chunks. Raises the producer's error at once, and `Cancelled`."""
        while True:
            with self._cancel.calling(self._wake), self._changed:
                self._changed.wait_for(lambda: self._chunks or self._closed or self._stopped())
                self._raise_if_stopped()
                if not self._chunks:
                    return
                chunk = self._chunks.popleft()
                self._waiting -= len(chunk)
                self._changed.notify_all()
            yield chunk

    def _stopped(self) -> bool:
        return self.error is not None or self._cancel.cancelled

    def _raise_if_stopped(self) -> None:
        if self.error is not None:
            raise self.error
        self._cancel.raise_if_cancelled()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


class _Abandoned(Exception):
    """The consumer stopped reading; the producer's thread ends with this, and nobody sees it."""


def pumped(
    work: Callable[[Callable[[bytes], None]], None], cancel: CancelToken, name: str
) -> Generator[bytes, None, None]:
    """Run `work(put)` in a thread of its own and yield the chunks that it puts.

    Raises what `work` raised. Closing the iterator early ends the thread.
    """
    pipe = Pipe(cancel)

    def run() -> None:
        try:
            work(pipe.put)
            pipe.close()
        except BaseException as error:  # carried over to the consumer's thread
            pipe.fail(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield from pipe
    finally:
        pipe.abort(_Abandoned())
        thread.join()


def cause(error: BaseException, cancel: CancelToken) -> BaseException:
    """What to raise for `error`: once a cancel was asked for, whatever fails is the cancel."""
    if not cancel.cancelled or isinstance(error, Cancelled):
        return error
    cancelled = Cancelled(cancel.reason)
    cancelled.__cause__ = error
    return cancelled
