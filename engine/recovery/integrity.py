"""Verification: is a backup still what was written? By its checksum, or by decoding it to the very end.

Three outcomes, never two (DESIGN, section 7, rule 1): what could not be looked at is neither whole nor
broken. A destination that does not answer, or a key that is not here, says nothing about the backup.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from engine.archive.backups import Backup
from engine.archive.sidefiles import Check, Level, Outcome
from engine.cancellation import CancelToken
from engine.errors import (
    ChecksumMismatch,
    KeyMissing,
    SidecarUnreadable,
    StorageError,
    StorageMissing,
    StreamError,
    StrongroomError,
)
from engine.events import LogLevel, LogType
from engine.recovery.retrieve import ATTEMPTS, OnBytes, Retriever
from engine.signing import Verdict

if TYPE_CHECKING:
    from engine.contract.adapters import Log
    from engine.services import Services

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification or a drill found. `reason` is empty only for one that passed; seconds."""

    backup_id: str
    level: Level
    outcome: Outcome
    reason: str
    duration: float
    how: str = ""


def verify_backup(
    services: Services,
    backup_id: str,
    level: Literal["checksum", "decode"],
    *,
    cancel: CancelToken,
    log: Log,
    owner: str = "adhoc",
    on_bytes: OnBytes | None = None,
) -> Verification:
    """Verify a backup and remember the outcome, here and beside the artifact.

    `checksum` has the destination's bytes compared with the sidecar's SHA-256, `decode` fetches them and
    decodes them to their end. Raises `Cancelled` alone, and `NotFound` for an ID that nothing has.
    """

    def look(backup: Backup) -> tuple[Outcome, str, str]:
        if level == "decode":
            return _decode(services, backup, cancel, owner, on_bytes)
        return _checksum(services, backup, cancel)

    return judged(services, backup_id, level, look, log)


def judged(
    services: Services,
    backup_id: str,
    level: Level,
    look: Callable[[Backup], tuple[Outcome, str, str]],
    log: Log,
) -> Verification:
    """Time `look`, which returns outcome, reason and how; turn what it raises into an outcome; record it."""
    begun = time.monotonic()
    backup: Backup | None = None
    how = ""
    try:
        backup = services.catalogue.get(backup_id)
        outcome, reason, how = look(backup)
    except StrongroomError as error:
        if backup is None and not isinstance(error, _BROKEN):
            raise
        outcome, reason = outcome_of(error), error.message
    made = Verification(backup_id, level, outcome, reason, time.monotonic() - begun, how)
    name = backup.artifact if backup is not None else backup_id
    _say(made, name, log)
    if backup is not None:
        check = Check(
            level=level,
            outcome=outcome,
            at=services.clock(),
            reason=reason,
            duration=round(made.duration, 3),
            installation_id=services.store.installation_id,
        )
        if problem := services.catalogue.record(backup, check):
            log(
                f"The outcome could not be written beside {name}: {problem}",
                LogLevel.WARNING,
                LogType.STORAGE,
                "It is remembered on this machine.",
            )
    return made


_BROKEN = (ChecksumMismatch, SidecarUnreadable, StorageMissing, StreamError)


def outcome_of(error: StrongroomError) -> Outcome:
    """Whether an error shows that the backup is broken, or only that nothing could be seen."""
    if isinstance(error, _BROKEN) and not isinstance(error, KeyMissing):
        return "failed"
    return "could-not-verify"


def doubtful(backup: Backup, verdict: Verdict) -> tuple[Outcome, str, str] | None:
    """What a signature that does not prove the writer makes of any check; None when it does."""
    if verdict.proves:
        return None
    reason = f"The sidecar of {backup.artifact} {verdict.words}."
    return ("failed" if verdict is Verdict.TAMPERED else "could-not-verify"), reason, ""


def retriever(services: Services) -> Retriever:
    """The retriever of one execution."""
    return Retriever(services.home, services.catalogue, services.endpoints, services.keys)


def patiently(action: Callable[[], T], cancel: CancelToken) -> T:
    """Do it again after a passing error of the destination, a few times, with growing pauses."""
    for attempt in range(1, ATTEMPTS):
        try:
            return action()
        except StorageError as error:
            if not error.transient:
                raise
            cancel.wait(2.0**attempt)
            cancel.raise_if_cancelled()
    return action()


def _checksum(services: Services, backup: Backup, cancel: CancelToken) -> tuple[Outcome, str, str]:
    endpoint = services.endpoints.get("destination", backup.destination_id)
    with services.endpoints.open_storage(endpoint, cancel=cancel) as storage:
        sidecar, verdict = patiently(lambda: retriever(services).prove(storage, backup), cancel)
        if verdict is Verdict.TAMPERED:
            return doubtful(backup, verdict) or ("failed", "", "")
        how = patiently(lambda: storage.verify(backup.artifact, sidecar.size, sidecar.checksum), cancel)
    return doubtful(backup, verdict) or ("passed", "", how)


def _decode(
    services: Services, backup: Backup, cancel: CancelToken, owner: str, on_bytes: OnBytes | None
) -> tuple[Outcome, str, str]:
    endpoint = services.endpoints.get("destination", backup.destination_id)
    with services.endpoints.open_storage(endpoint, cancel=cancel) as storage:
        _, verdict = patiently(lambda: retriever(services).prove(storage, backup), cancel)
    if (found := doubtful(backup, verdict)) is not None:
        return found
    with retriever(services).fetched(backup, cancel=cancel, owner=owner, on_bytes=on_bytes) as fetched:
        size = sum(len(chunk) for chunk in fetched.plain())
    return "passed", "", f"decoded to its end, {size:,} bytes"


def _say(made: Verification, name: str, log: Log) -> None:
    if made.outcome == "passed":
        log(f"{name} passed ({made.level}): {made.how}.", LogLevel.SUCCESS, LogType.SECURITY, "")
    elif made.outcome == "failed":
        log(f"{name} FAILED ({made.level}): {made.reason}", LogLevel.ERROR, LogType.SECURITY, "")
    else:
        log(f"{name} could not be verified: {made.reason}", LogLevel.WARNING, LogType.SECURITY, "")
