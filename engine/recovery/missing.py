"""Backups that should be at a destination, and are not: a look at everything must not pass over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from engine.events import LogLevel, LogType, Stage
from engine.recovery.integrity import Verification

if TYPE_CHECKING:
    from engine.recorder import Recorder
    from engine.records import CachedBackup
    from engine.services import Services


class Lost(NamedTuple):
    """A backup of one of our jobs that nobody here deleted, and that is not there any more."""

    backup_id: str
    artifact: str
    destination: str


def look(services: Services, rows: Sequence[CachedBackup]) -> list[Lost]:
    """Which of these rows, known until now and not seen any more, are missed.

    What another installation's jobs store at the same place comes and goes by its own retention.
    """
    jobs = {job.id for job in services.store.jobs.list()}
    names = {place.id: place.name for place in services.endpoints.all("destination")}
    return [
        Lost(row.id, row.artifact, names[row.destination_id])
        for row in rows
        if row.job_id in jobs and row.destination_id in names
    ]


def failed(lost: Lost, recorder: Recorder) -> Verification:
    """What a verification makes of it, in the log as well."""
    reason = f"{lost.artifact} is not at {lost.destination} any more, and nobody deleted it from here."
    recorder.log(reason, LogLevel.ERROR, LogType.SECURITY, stage=Stage.VERIFY)
    return Verification(lost.backup_id, "checksum", "failed", reason, 0.0)
