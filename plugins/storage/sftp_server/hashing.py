"""Having the server hash a file of its own, all at once or while it is being written."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from strongroom.ssh import Connection

PIECE = 16 << 20
"""Bytes of a growing file that the server is told of at a time."""

_BEGIN = 10.0
"""Seconds for a shell to begin; what takes SFTP alone may never answer."""
_SLOWEST = 4 << 20
"""Bytes a second that the slowest server hashes."""
_BLOCK = 64 << 10

_COMMAND = (
    'exec sh -c \'IFS= read -r file || exit 3; exec 3<"$file" || exit 4; '
    'for tool in "openssl dgst -sha256 -r" sha256sum "sha256 -q" "shasum -a 256"; do '
    "if command -v ${tool%% *} >/dev/null 2>&1; then "
    "echo strongroom-hashing ${tool%% *}; %s; fi; done; exit 127'"
)
"""The path comes by standard input, so no shell, whichever it is, has to be quoted for.

OpenSSL first: it uses the processor's own instructions, with which it hashed 1.8 GB/s where Debian's
sha256sum hashed 0.4."""
_WHOLE = "$tool <&3 && exit 0"
_GROWING = (
    f"{{ while read -r blocks; do dd bs={_BLOCK} count=$blocks <&3 2>/dev/null || exit; done; cat <&3; }} "
    "| $tool && exit 0; exit 1"
)
"""Each line says how many more blocks are there for certain; the end of the lines, that all of it is."""
_ANSWER = re.compile(rb"^strongroom-hashing (\S+)\r?\n([0-9a-f]{64})\b", re.MULTILINE)


class Hash(NamedTuple):
    """What a tool of the server found."""

    tool: str
    sha256: str


class Hashing:
    """A tool of the server at work on one file. Raises `SshError` where it runs none."""

    def __init__(self, connection: Connection, path: str, *, grows: bool = False) -> None:
        from strongroom.ssh import Command

        self._command = Command(connection, _COMMAND.replace("%s", _GROWING if grows else _WHOLE))
        self._told = 0
        self._is_working = True
        self.has_begun = False
        try:
            self._command.give(path.encode("utf-8", "surrogateescape") + b"\n")
        except BaseException:
            self._command.close()
            raise

    def has(self, size: int) -> None:
        """Say that the server has written `size` bytes of a file that grows.

        A command that has ended is found out by `finish`: an upload does not fail for it.
        """
        from strongroom.ssh import SshError

        while self._is_working and size - self._told >= PIECE:
            try:
                self._command.give(b"%d\n" % (PIECE // _BLOCK))
            except SshError:
                self._is_working = False
            self._told += PIECE

    def finish(self, size: int, alive: Callable[[int], None]) -> Hash | None:
        """Return the hash of the file, which has `size` bytes and all of them; None where there is none.

        `alive(0)` is called each second while the tool works. Raises `SshError`, `Cancelled`.
        """
        told = time.monotonic()

        def waiting(output: bytes) -> float:
            nonlocal told
            if b"strongroom-hashing" not in output:
                return _BEGIN  # little for the shell, then as long as the slowest server hashes
            if time.monotonic() - told >= 1:
                told = time.monotonic()
                alive(0)
            return _BEGIN + 60 + size / _SLOWEST

        answer = self._command.answer(waiting)
        self.has_begun = b"strongroom-hashing" in answer.output
        match = _ANSWER.search(answer.output)
        if match is None or answer.status != 0:
            return None
        return Hash(match[1].decode("ascii", "replace"), match[2].decode())

    def close(self) -> None:
        """Let go of it; a tool that still works ends by itself."""
        self._command.close()
