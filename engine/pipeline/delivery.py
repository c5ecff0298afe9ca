"""One artifact and its sidecar at one destination, as it is made there in an attempt, and taken back.

Publishing is atomic: the storage writes under a temporary name, verifies, and renames; the sidecar comes
last. Before the first byte goes out, the ledger records what might be left.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.archive.sidecar import SIDECAR_SUFFIX
from engine.contract.checked_storage import CheckedStorage
from engine.contract.readers import CHUNK, BytesReader, Reader
from engine.contract.values import Leftover
from engine.errors import AlreadyExists, StorageMissing, StrongroomError
from engine.pipeline.attempt import Attempt
from engine.pipeline.context import Artifact, DestinationContext, RunnerContext
from engine.pipeline.leftovers import Ledger
from engine.streams.spool import Spool, SpoolReader

Moved = Callable[[int, int | None, bool], None]
"""`moved(position, size, ended)`: so many bytes of the artifact has the storage taken."""


class Delivery:
    """What one upload has reached so far. Its methods run on the threads of attempts, one after another."""

    def __init__(
        self, ctx: RunnerContext, destination: DestinationContext, artifact: Artifact, moved: Moved
    ) -> None:
        self._cancel = ctx.cancel
        self._artifact = artifact
        self._sidecar_name = artifact.name + SIDECAR_SUFFIX
        self._moved = moved
        self._ledger = Ledger(ctx.services.store, ctx.execution.id, destination.endpoint.id)
        self._attempts = 0
        self._sidecar_begun = False
        self.proof = ""
        """How the artifact was proven whole there; empty until it was."""

    @property
    def begun(self) -> bool:
        """Whether anything may have been left there."""
        return not self._ledger.empty

    def make(self, storage: CheckedStorage, attempt: Attempt[str], spool: Spool) -> str:
        """Put the artifact and then the sidecar; return how the artifact was proven whole.

        Called for each attempt anew. Where an earlier one failed at the sidecar, only that is put.
        """
        self._attempts += 1
        self._ledger.discard(storage)
        if not self.proof:
            self.proof = self._put_artifact(storage, attempt, spool)
        with attempt.waiting():
            sidecar = self._wait_for_sidecar()
        self._put_sidecar(storage, attempt, sidecar)
        self._ledger.forget()
        return self.proof

    def undo(self, storage: CheckedStorage, *, certain: bool) -> tuple[bool, str]:
        """Remove what was made, once no attempt follows; say why where that failed.

        The first value is True when there is nothing to undo: artifact and sidecar are both there, and
        only the answer to the last step got lost. Where it is not `certain` that the sidecar did not get
        through (it may be on its way still), the artifact is left: a sidecar must not arrive beside none.
        """
        if self.proof and self._has_sidecar(storage):
            self._ledger.forget()
            return True, ""
        if self._sidecar_begun and not certain:
            self._ledger.discard(storage)
            return False, "it cannot be told yet whether its sidecar got through"
        return False, self._ledger.settle(storage)

    def _put_artifact(self, storage: CheckedStorage, attempt: Attempt[str], spool: Spool) -> str:
        reader = _Followed(spool.reader(), attempt, self._moved)

        def begun(leftover: Leftover) -> None:
            attempt.token.raise_if_cancelled()
            self._ledger.record(leftover, final_name=self._artifact.name)

        try:
            return storage.put(self._artifact.name, reader, begun=begun).proof
        except AlreadyExists:
            if self._attempts > 1 and reader.size is not None:
                # Ours, if the bytes are ours: the answer to an earlier attempt was lost after its rename.
                return storage.verify(self._artifact.name, reader.size, spool.sha256)
            self._ledger.forget()
            raise

    def _wait_for_sidecar(self) -> bytes:
        artifact = self._artifact
        with self._cancel.calling(artifact.sealed.set):
            artifact.sealed.wait()
        self._cancel.raise_if_cancelled()
        if artifact.sidecar is None:
            raise StrongroomError(artifact.error or "The dump was not whole.")
        return artifact.sidecar

    def _put_sidecar(self, storage: CheckedStorage, attempt: Attempt[str], sidecar: bytes) -> None:
        def begun(leftover: Leftover) -> None:
            attempt.token.raise_if_cancelled()
            self._ledger.record(leftover)
            self._sidecar_begun = True

        try:
            storage.put(self._sidecar_name, BytesReader(sidecar), begun=begun)
        except AlreadyExists:
            if not self._has_sidecar(storage):
                raise

    def _has_sidecar(self, storage: CheckedStorage) -> bool:
        try:
            return b"".join(storage.get(self._sidecar_name)) == self._artifact.sidecar
        except StorageMissing:
            return False


class _Followed(Reader):
    """A spool's reader that tells how far the storage has read, and reads no further once it was stopped."""

    def __init__(self, reader: SpoolReader, attempt: Attempt[str], moved: Moved) -> None:
        self._reader = reader
        self._attempt = attempt
        self._tell = moved

    def read(self, size: int = CHUNK, /) -> bytes:
        self._attempt.token.raise_if_cancelled()
        with self._attempt.waiting():
            chunk = self._reader.read(size)
        self._attempt.token.raise_if_cancelled()
        self._tell(self._reader.position, self._reader.size, not chunk)
        return chunk

    def taken(self, position: int) -> None:
        self._attempt.alive()
        self._attempt.token.raise_if_cancelled()
        self._tell(position, self._reader.size, position == self._reader.size)

    @property
    def size(self) -> int | None:
        return self._reader.size

    def sha256(self) -> str:
        self._attempt.token.raise_if_cancelled()
        return self._reader.sha256()

    @property
    def path(self) -> Path | None:
        return self._reader.path

    def wait_for(self, offset: int) -> int:
        with self._attempt.waiting():
            reached = self._reader.wait_for(offset)
        self._attempt.token.raise_if_cancelled()
        return reached
