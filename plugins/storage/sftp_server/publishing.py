"""An upload from its temporary file to its name, and back to nothing when it fails."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import strongroom
from plugins.storage.sftp_server import protocol
from plugins.storage.sftp_server.opening import Opened
from plugins.storage.sftp_server.protocol import Attributes, Code, Nonsense, Refused
from plugins.storage.sftp_server.writing import Writer


class Upload:
    """One file on its way: written beside its place, then given its name. `Refused` is what it raises."""

    def __init__(self, there: Opened, parts: Sequence[str], beside: str) -> None:
        self._there = there
        self._parts = parts
        self._temporary = there.folders.path([*parts[:-1], beside])
        self._target = there.folders.path(parts)
        self._made: list[str] = []
        self._writer: Writer | None = None

    def begin(self, seen: Sequence[Attributes | None]) -> Writer:
        """Open the temporary file, making its folders; `seen` is what lies on the way there.

        Another upload may remove a folder as empty just before our file is in it: it is made anew then.
        """
        folders = self._there.folders
        for attempt in range(10):
            try:
                folders.make(self._parts[:-1], seen[:-1], self._made)
                self._writer = Writer(self._there.remote, self._temporary)
                return self._writer
            except Refused as refused:
                if refused.code != Code.NO_SUCH_FILE or attempt == 9 or not folders.has_root():
                    raise
            seen = folders.see(self._parts)
        raise AssertionError("the loop returns or raises")

    def prove(self, writer: Writer, sha256: str) -> str:
        """Return how it was shown that the server holds these bytes, when its disk does, too.

        It hashes while its disk writes. Raises `ChecksumMismatch`.
        """
        proof = self._there.prover.prove(self._temporary, writer.size, sha256)
        writer.finish()
        return proof

    def publish(self, *, overwrite: bool) -> bool:
        """Give the file its name; False when that is taken and `overwrite` was not asked for.

        A cancel waits for the answer: a name that is given counts.
        """
        remote = self._there.remote
        with remote.session.steadfast():
            if overwrite:
                self._replace()
                return True
            try:
                remote.rename(self._temporary, self._target)
            except Refused:
                # A server answers "failure" and no more when the name is taken.
                if remote.look_at(self._target) is not None:
                    return False
                raise
        return True

    def _replace(self) -> None:
        remote = self._there.remote
        if remote.has(protocol.POSIX_RENAME):
            remote.replace(self._temporary, self._target)
            return
        try:
            remote.rename(self._temporary, self._target)
        except Refused:
            # It cannot be done at once here: for a moment there is no such file.
            remote.remove(self._target)
            remote.rename(self._temporary, self._target)

    def tidy(self) -> None:
        """Remove what was written, as far as that can be done in a moment; it is on record besides."""
        remote = self._there.remote
        ended = (strongroom.StorageError, strongroom.Cancelled, Nonsense)
        with suppress(*ended), remote.session.tidying():
            if self._writer is not None:
                self._writer.abandon()
                with suppress(Refused):
                    remote.remove(self._temporary)
            self._there.folders.remove_empty(self._made)
