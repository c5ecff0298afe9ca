"""The first look at a destination, before a run's first upload there and beside its dump.

It removes what dead executions left there, and misses what should be there: an unmounted disk looks like
that. A folder that is gone altogether fails the upload, which would make a new one, on the wrong disk.
"""

from __future__ import annotations

from engine.contract.checked_storage import CheckedStorage
from engine.errors import Cancelled, PlaceMissing, StorageMissing, StrongroomError
from engine.events import LogLevel, LogType, Stage
from engine.pipeline import leftovers
from engine.pipeline.attempt import Attempt
from engine.pipeline.context import DestinationContext, RunnerContext
from engine.units import counted

_LOOK = "Is this the right disk, and is it mounted? If it was deleted on purpose, all is well."


def first_look(ctx: RunnerContext, destination: DestinationContext) -> None:
    """Look, and log what a person should know.

    Raises `PlaceMissing` where backups are known and not even their folder is there, and `Cancelled`. What
    else is wrong, the upload meets as well.
    """
    services, place = ctx.services, destination.endpoint.id
    left = leftovers.of_dead(services.store, services.is_dead, place)
    known = services.store.backups.list(destination_id=place)
    if destination.opener is None or not (left or known):
        return
    ours = [row for row in known if row.job_id == ctx.job.id]

    def look(storage: CheckedStorage) -> list[tuple[str, str]]:
        found = []
        try:
            leftovers.remove_all(services.store, storage, left)
        except StrongroomError as error:
            found.append((f"{counted(len(left), 'unfinished upload')} could not be removed yet: {error}", ""))
        if not known:
            return found
        last = (ours or known)[0].artifact
        try:
            storage.stat(last)
        except StorageMissing:
            if ours:
                found.append((f"The last backup, {last}, is not there any more.", _LOOK))
        return found

    attempt = Attempt[list[tuple[str, str]]](
        ctx.cancel, patience=ctx.job.options.stall_after, limit=leftovers.PATIENCE
    )
    try:
        found = attempt.at(destination.opener, look)
    except Cancelled:
        raise
    except PlaceMissing as error:
        raise PlaceMissing(
            f"{error.message.rstrip('.')}, and {counted(len(known), 'backup')} should be in it.",
            remedy=error.remedy,
        ) from error
    except Exception:  # the upload meets it as well
        return
    for message, details in found:
        ctx.recorder.log(
            f"[{destination.name}] {message}", LogLevel.WARNING, LogType.STORAGE, details, stage=Stage.UPLOAD
        )
