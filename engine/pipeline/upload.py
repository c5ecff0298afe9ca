"""Upload: every destination follows the growing spool on its own, and puts the sidecar last.

A destination that fails, stalls or is slow costs neither the dump nor the others anything. A retry reads
the spool from its start again; it never dumps again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import tenacity

from engine.checked_storage import CheckedStorage
from engine.errors import BUG, AlreadyExists, Cancelled, StorageError, StrongroomError
from engine.events import DestinationState, LogLevel, LogType, Stage, Status
from engine.pipeline.context import Artifact, DestinationContext, RunnerContext, UploadResult
from engine.pipeline.leftovers import Ledger
from engine.readers import CHUNK, BytesReader, Reader
from engine.sidecar import SIDECAR_SUFFIX
from engine.streams.spool import Spool, SpoolReader

FIRST_WAIT = 2.0
LONGEST_WAIT = 60.0
"""Seconds before the first retry, doubled each time up to the longest, with jitter: a server that is
restarted is back within a minute, and several uploads do not knock at the same instant."""


def upload(ctx: RunnerContext, destination: DestinationContext, artifact: Artifact) -> UploadResult:
    """Upload one artifact and its sidecar to one destination; the result says how it ended, never raises."""
    recorder = ctx.recorder
    work = _Upload(ctx, destination, artifact)
    try:
        proof = work.run()
    except Cancelled as cancelled:
        recorder.destination(destination.name, DestinationState.CANCELLED)
        return UploadResult(artifact, Status.CANCELLED, error=str(cancelled), bytes_sent=work.sent)
    except Exception as error:  # any adapter's surprise is this destination's failure, never the run's
        message = recorder.clean(_say(error))
        remedy = error.remedy if isinstance(error, StrongroomError) else BUG
        recorder.log(
            f"[{destination.name}] Upload failed: {message}.",
            LogLevel.ERROR,
            LogType.STORAGE,
            remedy,
            stage=Stage.UPLOAD,
        )
        recorder.destination(destination.name, DestinationState.FAILED, message=message)
        return UploadResult(artifact, Status.FAILED, error=message, remedy=remedy, bytes_sent=work.sent)
    recorder.log(
        f"[{destination.name}] {artifact.name} is stored whole: {proof}.",
        LogLevel.SUCCESS,
        LogType.STORAGE,
        stage=Stage.UPLOAD,
    )
    recorder.destination(
        destination.name, DestinationState.SUCCESS, bytes_sent=artifact.size or 0, total=artifact.size
    )
    return UploadResult(artifact, Status.SUCCESS, proof=proof, bytes_sent=work.sent)


class _Upload:
    """One artifact on its way to one destination."""

    def __init__(self, ctx: RunnerContext, destination: DestinationContext, artifact: Artifact) -> None:
        self._ctx = ctx
        self._destination = destination
        self._artifact = artifact
        self._attempts = 0
        self.sent = 0

    def run(self) -> str:
        """Artifact, then sidecar; return how the artifact was proven whole."""
        artifact, storage = self._artifact, self._destination.storage
        if storage is None:
            raise StorageError(self._destination.error)
        if artifact.spool is None:
            raise StrongroomError(artifact.error or "There is no dump to upload.")
        if storage.adapter.needs_length:
            artifact.spool.reader().wait_for(sys.maxsize)
        ledger = self._ledger()
        try:
            proof: str = self._retrying(ledger)(self._put_artifact, storage, artifact.spool, ledger)
            self._put_sidecar(storage, self._wait_for_sidecar())
        except BaseException:
            # Whatever ended it, a cancel included: an artifact without a sidecar is of no use to anybody.
            self._settle(storage, ledger)
            raise
        ledger.forget()
        return proof

    def _ledger(self) -> Ledger:
        return Ledger(self._ctx.services.store, self._ctx.execution.id, self._destination.endpoint.id)

    def _put_artifact(self, storage: CheckedStorage, spool: Spool, ledger: Ledger) -> str:
        self._attempts += 1
        reader = _Followed(spool.reader(), self)
        try:
            return storage.put(
                self._artifact.name,
                reader,
                begun=lambda leftover: ledger.record(leftover, final_name=self._artifact.name),
            ).proof
        except AlreadyExists:
            if self._attempts > 1 and reader.size is not None:
                # Ours, if the bytes are ours: the answer to an earlier attempt was lost after its rename.
                return storage.verify(self._artifact.name, reader.size, spool.sha256)
            ledger.forget()
            raise

    def _wait_for_sidecar(self) -> bytes:
        artifact, cancel = self._artifact, self._ctx.cancel
        with cancel.calling(artifact.sealed.set):
            artifact.sealed.wait()
        cancel.raise_if_cancelled()
        if artifact.sidecar is None:
            raise StrongroomError(artifact.error or "The dump was not whole.")
        return artifact.sidecar

    def _put_sidecar(self, storage: CheckedStorage, sidecar: bytes) -> None:
        name = self._artifact.name + SIDECAR_SUFFIX
        ledger = self._ledger()

        def put() -> None:
            try:
                storage.put(name, BytesReader(sidecar), begun=ledger.record)
            except AlreadyExists:
                if b"".join(storage.get(name)) != sidecar:
                    raise

        try:
            self._retrying(ledger)(put)
        except BaseException:
            self._settle(storage, ledger)
            raise
        ledger.forget()

    def _settle(self, storage: CheckedStorage, ledger: Ledger) -> None:
        if problem := ledger.settle(storage):
            self._ctx.recorder.log(
                f"[{self._destination.name}] The unfinished upload could not be removed yet: {problem}",
                LogLevel.WARNING,
                LogType.STORAGE,
                "It is on record and will be removed at the next run.",
                stage=Stage.UPLOAD,
            )

    def _retrying(self, ledger: Ledger) -> tenacity.Retrying:
        def before_sleep(state: tenacity.RetryCallState) -> None:
            if self._destination.storage is not None:
                self._settle(self._destination.storage, ledger)
            self._tell_of_retry(state)

        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, StorageError) and error.transient
            ),
            stop=tenacity.stop_after_attempt(max(1, self._ctx.job.options.upload_attempts)),
            wait=tenacity.wait_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)
            + tenacity.wait_random(0, FIRST_WAIT / 2),
            sleep=self._sleep,
            before_sleep=before_sleep,
            reraise=True,
        )

    def _sleep(self, seconds: float) -> None:
        self._ctx.cancel.wait(seconds)
        self._ctx.cancel.raise_if_cancelled()

    def _tell_of_retry(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait = state.next_action.sleep if state.next_action else 0.0
        most = max(1, self._ctx.job.options.upload_attempts)
        self._ctx.recorder.log(
            f"[{self._destination.name}] {_say(error)}; trying again in {wait:.0f} s "
            f"({state.attempt_number} of {most})",
            LogLevel.WARNING,
            LogType.STORAGE,
            stage=Stage.UPLOAD,
        )
        self._ctx.recorder.destination(
            self._destination.name,
            DestinationState.RETRYING,
            bytes_sent=self.sent,
            retry_in=wait,
            message=_say(error),
        )

    def moved(self, position: int, size: int | None, ended: bool) -> None:
        """Tell of the bytes that the storage has taken."""
        self.sent = position
        self._ctx.recorder.destination(
            self._destination.name,
            DestinationState.VERIFYING if ended else DestinationState.UPLOADING,
            bytes_sent=position,
            total=size,
        )


class _Followed(Reader):
    """A spool's reader that tells how far the storage has read."""

    def __init__(self, reader: SpoolReader, upload: _Upload) -> None:
        self._reader = reader
        self._upload = upload

    def read(self, size: int = CHUNK, /) -> bytes:
        chunk = self._reader.read(size)
        self._upload.moved(self._reader.position, self._reader.size, ended=not chunk)
        return chunk

    @property
    def size(self) -> int | None:
        return self._reader.size

    def sha256(self) -> str:
        return self._reader.sha256()

    @property
    def path(self) -> Path | None:
        return self._reader.path

    def wait_for(self, offset: int) -> int:
        return self._reader.wait_for(offset)


def _say(error: BaseException | None) -> str:
    if error is None:
        return "The attempt failed"
    return str(error).rstrip(".") or type(error).__name__
