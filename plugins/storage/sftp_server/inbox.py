"""Where an SSH channel puts what comes in, and a session takes it from."""

from __future__ import annotations

import threading
import time


class Inbox:
    """Stands in a channel's `in_buffer` for paramiko's own pipe, with its methods.

    The taker says how much it wants and is woken when that is there, not for each of the eight packets
    that an answer comes in; what came is handed over without being moved about (measured: a third of
    a download's processor time, and threads that do not take the interpreter from each other).
    """

    def __init__(self) -> None:
        self._condition = threading.Condition(threading.Lock())
        self._chunks: list[bytes] = []
        self._size = 0
        self._closed = False
        self.wanted = 1
        """Bytes that `read` waits for; fewer come at the end alone."""

    def feed(self, data: bytes) -> None:
        """Add what came; called by the connection's thread."""
        with self._condition:
            self._chunks.append(data)
            self._size += len(data)
            if self._size >= self.wanted:
                self._condition.notify()

    def read(self, nbytes: int, timeout: float | None = None) -> bytes:
        """All that came, whatever `nbytes`; b"" at the end. Raises `TimeoutError`."""
        end = None if timeout is None else time.monotonic() + timeout
        with self._condition:
            while self._size < self.wanted and not self._closed:
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    if self._size == 0:
                        raise TimeoutError
                    break
                self._condition.wait(left)
            data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            self._chunks = []
            self._size = 0
            return data

    def read_ready(self) -> bool:
        return self._size > 0

    def close(self) -> None:
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def __len__(self) -> int:
        return self._size
