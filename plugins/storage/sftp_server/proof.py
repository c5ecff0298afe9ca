"""Proving that the server holds the bytes that were sent: it hashes them itself, or they are read back."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import strongroom
from plugins.storage.sftp_server import reading
from plugins.storage.sftp_server.remote import Remote

if TYPE_CHECKING:
    from strongroom.ssh import Connection

BY_SERVER = "SHA-256 computed by the server"
BY_READING = "read back from the server"

_BEGIN = 10.0
"""Seconds for a shell to begin; what takes SFTP alone may never answer."""
_SLOWEST = 4 << 20
"""Bytes a second that the slowest server hashes."""

_COMMAND = (
    "exec sh -c 'IFS= read -r file || exit 3; "
    'for tool in "openssl dgst -sha256 -r" sha256sum "sha256 -q" "shasum -a 256"; do '
    "if command -v ${tool%% *} >/dev/null 2>&1; then "
    'echo strongroom-hashing ${tool%% *}; $tool <"$file" && exit 0; fi; done; exit 127\''
)
"""The path comes by standard input, so no shell, whichever it is, has to be quoted for.

OpenSSL first: it uses the processor's own instructions, with which it hashed 1.8 GB/s where Debian's
sha256sum hashed 0.4."""
_ANSWER = re.compile(rb"^strongroom-hashing (\S+)\r?\n([0-9a-f]{64})\b", re.MULTILINE)


class Prover:
    """Hashes files of one server. Whether it has a shell is found out once."""

    def __init__(
        self, remote: Remote, connection: Connection, context: strongroom.Context, *, always_read: bool
    ) -> None:
        self._remote = remote
        self._connection = connection
        self._context = context
        self._has_shell = not always_read
        self.how = BY_READING

    def prove(self, path: str, size: int, sha256: str) -> str:
        """Return how it was shown that the file has this SHA-256. Raises `ChecksumMismatch`, `Refused`.

        A hash of the server's own that differs is not believed before the file was read: where a shell
        sees other folders than SFTP, it may have hashed another file.
        """
        if self._has_shell and self.by_server(path, size) == sha256:
            return self.how
        found = self.by_reading(path)
        if found != sha256:
            raise strongroom.ChecksumMismatch(f"{path} has the SHA-256 {found} instead of {sha256}.")
        self.how = BY_READING
        return self.how

    def by_reading(self, path: str) -> str:
        """Read the whole file, and hash it here."""
        digest = hashlib.sha256()
        for chunk in reading.read(self._remote, path, check=self._context.cancel.raise_if_cancelled):
            digest.update(chunk)
            self._context.alive(len(chunk))
        return digest.hexdigest()

    def by_server(self, path: str, size: int) -> str | None:
        """Have the server hash the file; None where it does not, which is then remembered."""
        from strongroom.ssh import SshError, run

        if "\n" in path:
            return None
        try:
            answer = run(
                self._connection,
                _COMMAND,
                given=path.encode("utf-8", "surrogateescape") + b"\n",
                waiting=self._patience(size),
            )
        except SshError:
            if not self._connection.is_alive:
                raise
            self._has_shell = False
            return None
        match = _ANSWER.search(answer.output)
        if match is None or answer.status != 0:
            # A file that is not there is the caller's to notice; no answer at all is the server's way.
            self._has_shell = b"strongroom-hashing" in answer.output
            return None
        self.how = f"{BY_SERVER} ({match[1].decode('ascii', 'replace')})"
        return match[2].decode()

    def _patience(self, size: int) -> Callable[[bytes], float]:
        """How long to wait: little for the shell, then as long as the slowest server hashes."""
        told = time.monotonic()

        def waiting(output: bytes) -> float:
            nonlocal told
            if b"strongroom-hashing" not in output:
                return _BEGIN
            if time.monotonic() - told >= 1:
                told = time.monotonic()
                self._context.alive(0)
            return _BEGIN + 60 + size / _SLOWEST

        return waiting
