"""The first look at a destination, before a run's first upload there and beside its dump.

It removes what dead executions left there, and misses the last backup: an unmounted disk looks like that.
"""

from __future__ import annotations

from engine.contract.checked_storage import CheckedStorage
from engine.errors import Cancelled, StorageMissing, StrongroomError
from engine.events import LogLevel, LogType, Stage
from engine.pipeline import leftovers
from engine.pipeline.attempt import Attempt
from engine.pipeline.context import DestinationContext, RunnerContext
from engine.units import counted


def first_look(ctx: RunnerContext, destination: DestinationContext) -> None:
    """Look, and log what a person should know. Raises `Cancelled` alone: the upload says what is wrong."""
    services, place = ctx.services, destination.endpoint.id
    left = leftovers.of_dead(services.store, services.is_dead, place)
    known = services.store.backups.list(destination_id=place, job_id=ctx.job.id)
    if destination.opener is None or not (left or known):
        return

    def look(storage: CheckedStorage) -> list[tuple[str, str]]:
        found = []
        try:
            leftovers.remove_all(services.store, storage, left)
        except StrongroomError as error:
            found.append((f"{counted(len(left), 'unfinished upload')} could not be removed yet: {error}", ""))
        try:
            if known:
                storage.stat(known[0].artifact)
        except StorageMissing:
            found.append(
                (
                    f"The last backup, {known[0].artifact}, is not there any more.",
                    "Is this the right disk, and is it mounted? If it was deleted on purpose, all is well.",
                )
            )
        return found

    attempt = Attempt[list[tuple[str, str]]](
        ctx.cancel, patience=ctx.job.options.stall_after, limit=leftovers.PATIENCE
    )
    try:
        found = attempt.at(destination.opener, look)
    except Cancelled:
        raise
    except Exception:  # the upload meets it as well
        return
    for message, details in found:
        ctx.recorder.log(
            f"[{destination.name}] {message}", LogLevel.WARNING, LogType.STORAGE, details, stage=Stage.UPLOAD
        )
