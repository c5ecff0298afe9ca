"""Writing a remote file quickly: several requests under way, and none forgotten before the end."""

from __future__ import annotations

from collections import deque

import strongroom
from plugins.storage.sftp_server import protocol as sftp
from plugins.storage.sftp_server.remote import Remote

BEHIND = 4 << 20
"""Bytes sent whose writing the server has not confirmed. OpenSSH takes 2 MiB before it wants to have
passed something on, so more would only lie in a buffer."""


class Writer:
    """A new remote file (0600) that grows chunk by chunk. `Refused` is what it raises."""

    def __init__(self, remote: Remote, path: str) -> None:
        self._remote = remote
        self._path = path
        flags = sftp.FLAG_WRITE | sftp.FLAG_CREATE | sftp.FLAG_EXCLUSIVE
        self._handle = remote.open(path, flags, 0o600)
        self._is_open = True
        self._under_way: deque[tuple[int, int]] = deque()  # number and length of a request
        self._behind = 0
        self._sync: int | None = None
        self._kept: list[bytes] = []
        self._kept_size = 0
        self.size = 0

    @property
    def step(self) -> int:
        """The bytes that one request carries at most; chunks of this size are sent without being copied."""
        return self._remote.sizes.write

    def add(self, chunk: bytes) -> None:
        """Append all of `chunk`. Raises what the server said to an earlier one.

        Chunks that are smaller than a request are kept until they fill one.
        """
        step = self.step
        if self._kept or len(chunk) < step:
            self._kept.append(chunk)
            self._kept_size += len(chunk)
            if self._kept_size < step:
                return
            chunk = self._take_kept()
        whole = len(chunk) - len(chunk) % step
        for at in range(0, whole, step):
            self._send(chunk[at : at + step])
        if whole < len(chunk):
            self._kept, self._kept_size = [chunk[whole:]], len(chunk) - whole

    def _take_kept(self) -> bytes:
        chunk = b"".join(self._kept)
        self._kept, self._kept_size = [], 0
        return chunk

    def _send(self, part: bytes) -> None:
        session = self._remote.session
        while self._under_way and session.is_answered(self._under_way[0][0]):
            self._settle()
        while self._under_way and self._behind + len(part) > BEHIND:
            self._settle()
        head = self._handle + sftp.long(self.size) + sftp.number(len(part))
        self._under_way.append((session.send(sftp.WRITE, head, part), len(part)))
        self._behind += len(part)
        self.size += len(part)

    def _settle(self) -> None:
        """Wait for the answer to the oldest request."""
        number, length = self._under_way.popleft()
        self._behind -= length
        self._remote.session.answer(number)

    def flush(self) -> None:
        """Return when the server has all of it; its disk is asked to hold it, and not waited for.

        Raises `ChecksumMismatch` when the server has another number of bytes than were sent.
        """
        if self._kept:
            self._send(self._take_kept())
        while self._under_way:
            self._settle()
        if not self._remote.has(sftp.FSYNC):
            # Some of these servers show a file to nobody before it is closed.
            self.finish()
        self._check_size()
        if self._is_open:
            self._sync = self._remote.begin_sync(self._handle)

    def _check_size(self) -> None:
        there = self._remote.stat(self._path).size
        if there is not None and there != self.size:
            raise strongroom.ChecksumMismatch(f"{self._path} has {there} bytes instead of {self.size}.")

    def finish(self) -> None:
        """Return when the file is closed, and on the server's disk where that can be promised."""
        if self._sync is not None:
            self._remote.session.answer(self._sync)
            self._sync = None
        if self._is_open:
            self._is_open = False
            self._remote.close(self._handle)

    def abandon(self) -> None:
        """Let go of the file without waiting for anything."""
        for number, _ in self._under_way:
            self._remote.session.forget(number)
        self._under_way.clear()
        if self._sync is not None:
            self._remote.session.forget(self._sync)
        if self._is_open:
            self._is_open = False
            self._remote.close_later(self._handle)
