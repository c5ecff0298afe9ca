"""Proving that the server holds the bytes that were sent: it hashes them itself, or they are read back."""

from __future__ import annotations

import hashlib
from contextlib import closing
from typing import TYPE_CHECKING

import strongroom
from plugins.storage.sftp_server import protocol, reading
from plugins.storage.sftp_server.hashing import Hashing
from plugins.storage.sftp_server.remote import Remote

if TYPE_CHECKING:
    from strongroom.ssh import Connection

BY_SERVER = "SHA-256 computed by the server"
BY_READING = "read back from the server"


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

    def follow(self, path: str) -> Hashing | None:
        """Have the server hash a file while it is written; None where it does not.

        Only where a file can be read before it is closed, as where it can be synced before that.
        """
        if not self._has_shell or not self._remote.has(protocol.FSYNC):
            return None
        return self._hashing(path, grows=True)

    def prove(self, path: str, size: int, sha256: str, following: Hashing | None = None) -> str:
        """Return how it was shown that the file has this SHA-256. Raises `ChecksumMismatch`, `Refused`.

        A hash of the server's own that differs is not believed before the file was read: where a shell
        sees other folders than SFTP, it may have hashed another file.
        """
        if following is not None and self._result(following, size) == sha256:
            return self.how
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
        hashing = self._hashing(path)
        if hashing is None:
            return None
        with closing(hashing):
            return self._result(hashing, size)

    def _hashing(self, path: str, *, grows: bool = False) -> Hashing | None:
        from strongroom.ssh import SshError

        if "\n" in path:
            return None
        try:
            return Hashing(self._connection, path, grows=grows)
        except SshError:
            self._lost()
            return None

    def _result(self, hashing: Hashing, size: int) -> str | None:
        from strongroom.ssh import SshError

        try:
            found = hashing.finish(size, self._context.alive)
        except SshError:
            self._lost()
            return None
        if found is None:
            # A file that is not there is the caller's to notice; no answer at all is the server's way.
            self._has_shell = hashing.has_begun
            return None
        self.how = f"{BY_SERVER} ({found.tool})"
        return found.sha256

    def _lost(self) -> None:
        """Remember that there is no shell. Raises the error in hand when it is the connection that ended."""
        if not self._connection.is_alive:
            raise
        self._has_shell = False
