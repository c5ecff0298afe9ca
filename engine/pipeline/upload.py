"""Upload: every destination follows the growing spool on its own, in as many attempts as it takes.

    fanout -> upload (retries, cleaning up) -> attempt (watched, stopped) -> delivery (at the storage)

A destination that fails, stalls or is slow costs neither the dump nor the others anything. Each attempt has
a connection of its own; a retry reads the spool from its start again, and never dumps again.

An attempt that could not be stopped is abandoned, and may wake up later. Its reader and its record of what
it begins raise from then on. So at the very most the artifact still gets its name, without a sidecar: no
backup. Or, where it hung at the sidecar, that gets its name, beside an artifact that was proven whole: a
good backup. After it this run puts and removes nothing under these names, so nothing can be overwritten or
lost; its records stay, and the next start removes what has no sidecar then.
"""

from __future__ import annotations

import sys

import tenacity

from engine.errors import BUG, Cancelled, StorageError, StrongroomError
from engine.events import DestinationState, LogLevel, LogType, Stage, Status
from engine.pipeline.attempt import Attempt
from engine.pipeline.context import Artifact, DestinationContext, RunnerContext, UploadResult
from engine.pipeline.delivery import Delivery
from engine.pipeline.first_look import first_look
from engine.pipeline.leftovers import PATIENCE
from engine.pipeline.outcome import never_dumped

FIRST_WAIT = 2.0
LONGEST_WAIT = 60.0
"""Seconds before the first retry, doubled each time up to the longest, with jitter: a server that is
restarted is back within a minute, and several uploads do not knock at the same instant."""

_WORD = 10.0
"""Seconds for a dump that failed to end its tool and to say so."""

LINGER, LINGER_GRACE = 3.0, 0.5
"""Seconds after a cancel of the run until what was written must be removed, and those in which that has to
stop then: a cancelled run has ended within five (DESIGN, section 2)."""


def upload(ctx: RunnerContext, destination: DestinationContext, artifact: Artifact) -> UploadResult:
    """Upload one artifact and its sidecar to one destination; the result says how it ended, never raises."""
    work = _Upload(ctx, destination, artifact)
    try:
        proof = work.run()
    except Cancelled as cancelled:
        work.tell(DestinationState.CANCELLED)
        return UploadResult(artifact, Status.CANCELLED, error=str(cancelled), bytes_sent=work.sent)
    except Exception as error:  # any adapter's surprise is this destination's failure, never the run's
        message, remedy = ctx.recorder.clean(_say(error)), ctx.recorder.clean(_remedy(error))
        if artifact.spool is not None and artifact.spool.failed:
            artifact.sealed.wait(_WORD)  # the dump's own thread is about to say that it was the dump
        if never_dumped(artifact):
            work.log(f"There is no dump of {artifact.database} to be stored.", LogLevel.WARNING)
            work.tell(DestinationState.WAITING)
        else:
            work.log(f"Upload failed: {message}.", LogLevel.ERROR, remedy)
            work.tell(DestinationState.FAILED, message=message, remedy=remedy)
        return UploadResult(artifact, Status.FAILED, error=message, remedy=remedy, bytes_sent=work.sent)
    work.sent = artifact.size or 0
    work.log(f"{artifact.name} is stored whole: {proof}.", LogLevel.SUCCESS)
    work.tell(DestinationState.SUCCESS, message=proof)
    return UploadResult(artifact, Status.SUCCESS, proof=proof, bytes_sent=work.sent)


class _Upload:
    """One artifact on its way to one destination; `sent` are the bytes that the present attempt sent."""

    def __init__(self, ctx: RunnerContext, destination: DestinationContext, artifact: Artifact) -> None:
        self._ctx = ctx
        self._destination = destination
        self._artifact = artifact
        self._delivery = Delivery(ctx, destination, artifact, self._moved)
        self._most = max(1, ctx.job.options.upload_attempts)
        self._attempts = 0
        self._abandoned = False
        self.sent = 0

    def run(self) -> str:
        """Store it; return how the artifact was proven whole."""
        self._ctx.cancel.raise_if_cancelled()
        destination, artifact = self._destination, self._artifact
        if destination.opener is None or destination.error:
            raise StorageError(destination.error, remedy=destination.remedy)
        if artifact.spool is None:
            raise StrongroomError(artifact.error or "There is no dump to upload.")
        if not destination.results:
            first_look(self._ctx, destination)
        if destination.opener.needs_length:
            artifact.spool.reader().wait_for(sys.maxsize)
        try:
            return self._retrying()(self._attempt)
        except BaseException as error:
            # Whatever ended it, a cancel included: an artifact without a sidecar is of no use to anybody.
            if self._give_up(error):
                return self._delivery.proof
            raise

    def _attempt(self) -> str:
        opener, spool = self._destination.opener, self._artifact.spool
        assert opener is not None and spool is not None  # noqa: S101
        self._attempts += 1
        if not self._delivery.proof:
            self.sent = 0
        self.tell(DestinationState.UPLOADING)
        attempt = Attempt[str](self._ctx.cancel, patience=self._ctx.job.options.stall_after)
        log = self._ctx.recorder.logger(Stage.UPLOAD)
        try:
            return attempt.at(opener, lambda storage: self._delivery.make(storage, attempt, spool), log)
        finally:
            self._abandoned = attempt.abandoned

    def _give_up(self, error: BaseException) -> bool:
        """Remove what was written, as far as that can be done soon; True when it turns out to be whole."""
        opener = self._destination.opener
        if self._abandoned:
            self.log("It could not be stopped; what it may leave there is on record.", LogLevel.WARNING)
            if not isinstance(error, Cancelled):
                # Each further database would wait for the same end.
                self._destination.error = self._ctx.recorder.clean(_say(error))
                self._destination.remedy = _remedy(error)
            return False
        if opener is None or not self._delivery.begun:
            return False
        attempt = Attempt[tuple[bool, str]](
            self._ctx.cancel,
            patience=self._ctx.job.options.stall_after,
            limit=PATIENCE,
            linger=LINGER,
            grace=LINGER_GRACE,
        )
        certain = isinstance(error, StrongroomError) and not _transient(error)
        try:
            whole, problem = attempt.at(opener, lambda storage: self._delivery.undo(storage, certain=certain))
        except Exception as failure:  # an adapter's surprise must not hide what ended the upload
            whole, problem = False, _say(failure)
        if whole:
            self.log("Only the last answer got lost: it is there with its sidecar.", LogLevel.WARNING)
        elif problem:
            self.log(
                f"The unfinished upload could not be removed yet: {problem}.",
                LogLevel.WARNING,
                "It is on record and will be removed at the next run.",
            )
        return whole

    # -- retries -------------------------------------------------------------------------------------

    def _retrying(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(_transient),
            stop=tenacity.stop_after_attempt(self._most),
            wait=tenacity.wait_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)
            + tenacity.wait_random(0, FIRST_WAIT / 2),
            sleep=self._sleep,
            before_sleep=self._tell_of_retry,
            reraise=True,
        )

    def _sleep(self, seconds: float) -> None:
        self._ctx.cancel.wait(seconds)
        self._ctx.cancel.raise_if_cancelled()

    def _tell_of_retry(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait = state.next_action.sleep if state.next_action else 0.0
        self.log(
            f"{_say(error)}; trying again in {wait:.0f} s (attempt {self._attempts + 1} of {self._most}).",
            LogLevel.WARNING,
            _remedy(error),
        )
        self.tell(DestinationState.RETRYING, retry_in=wait, message=_say(error), remedy=_remedy(error))

    # -- telling -------------------------------------------------------------------------------------

    def log(self, message: str, level: LogLevel, details: str = "") -> None:
        """Write a line that names the destination."""
        self._ctx.recorder.log(
            f"[{self._destination.name}] {message}", level, LogType.STORAGE, details, stage=Stage.UPLOAD
        )

    def tell(
        self,
        state: DestinationState,
        *,
        retry_in: float | None = None,
        message: str = "",
        remedy: str = "",
    ) -> None:
        """Send the destination's row. While it waits for a retry, the attempt is the one that comes."""
        comes = state is DestinationState.RETRYING
        self._ctx.recorder.destination(
            self._destination.name,
            state,
            bytes_sent=self.sent,
            total=self._artifact.size,
            retry_in=retry_in,
            message=message,
            remedy=remedy,
            attempt=max(1, self._attempts + comes),
            attempts=self._most,
            database=self._artifact.database,
        )

    def _moved(self, position: int, size: int | None, ended: bool) -> None:
        self.sent = position
        self.tell(DestinationState.VERIFYING if ended else DestinationState.UPLOADING)


def _transient(error: BaseException) -> bool:
    return isinstance(error, StorageError) and error.transient


def _say(error: BaseException | None) -> str:
    if error is None:
        return "The attempt failed"
    return str(error).rstrip(".") or type(error).__name__


def _remedy(error: BaseException | None) -> str:
    return error.remedy if isinstance(error, StrongroomError) else BUG
