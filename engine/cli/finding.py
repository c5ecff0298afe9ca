"""Which backup a person means: its ID, the beginning of it, its artifact's name, or `JOB:latest`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.cli.words import moment
from engine.errors import NotFound, SidecarTooNew, SidecarUnreadable, UsageError
from engine.units import counted

if TYPE_CHECKING:
    from engine.archive.backups import Backup
    from engine.workspace import Workspace

LATEST = ":latest"
SHORTEST = 3
"""The fewest characters of an ID that are taken for one."""
BACKUP_HELP = """BACKUP is the ID that `strongroom backups` shows or the beginning of it, the name of an
artifact, or JOB:latest for the newest one of a job (JOB:latest@DESTINATION for the newest at one place)."""


def find_backup(workspace: Workspace, text: str) -> Backup:
    """The backup that `text` means; raises `NotFound`, and `UsageError` when it may mean several.

    For one whose sidecar cannot be read it raises `SidecarUnreadable` or `SidecarTooNew`.

    What is known locally is looked at first; the destinations are listed only when it is not there.
    """
    if len(text.strip()) < SHORTEST:
        # An empty shell variable must never come to mean the one backup that there is.
        raise UsageError(
            f"{text!r} names no backup.", remedy=f"Give at least {SHORTEST} characters of its ID."
        )
    if LATEST in text:
        return _latest(workspace, text)
    for refresh in (False, True):
        known = workspace.catalogue.list(refresh=refresh)
        for matches in (
            [backup for backup in known if backup.id == text],
            [backup for backup in known if backup.artifact == text],
            [backup for backup in known if backup.id.startswith(text.lower())],
        ):
            if matches:
                return _only(matches, text)
    if unreadable := _unreadable(workspace, text):
        return workspace.catalogue.get(unreadable)  # which says what is wrong with its sidecar
    raise NotFound(f"There is no backup {text!r}.", remedy="`strongroom backups` lists them.")


def find_id(workspace: Workspace, text: str) -> str:
    """As `find_backup`, but only the ID, and also of a backup whose sidecar cannot be read."""
    try:
        return find_backup(workspace, text).id
    except (SidecarUnreadable, SidecarTooNew):
        if unreadable := _unreadable(workspace, text):
            return unreadable
        raise


def _unreadable(workspace: Workspace, text: str) -> str | None:
    return next((row.id for row in workspace.catalogue.unreadable() if text in (row.id, row.artifact)), None)


def find_set(workspace: Workspace, text: str) -> Backup:
    """As `find_backup`, for the whole set that is meant: any one backup of it."""
    if LATEST in text:
        return _newest_set(workspace, text)[0]
    return find_backup(workspace, text)


def _latest(workspace: Workspace, text: str) -> Backup:
    same_set = _newest_set(workspace, text)
    databases = {backup.sidecar.database for backup in same_set}
    if len(databases) > 1:
        raise _ambiguous(same_set, f"The newest run backed {len(databases)} databases up.")
    return same_set[0]


def _newest_set(workspace: Workspace, text: str) -> list[Backup]:
    """The backups of a job's newest run, those at the destination that comes first before the others."""
    name, _, destination = text.partition(LATEST)
    if destination and not destination.startswith("@"):
        raise UsageError(f"{text!r} is no backup.", remedy="Write JOB:latest or JOB:latest@DESTINATION.")
    job = workspace.jobs.get(name)
    place = workspace.endpoints.get("destination", destination[1:]).name if destination else None
    found = workspace.catalogue.list(destination=place, job=job.id, refresh=True)
    if not found:
        where = f" at {place}" if place else ""
        raise NotFound(
            f"The job {job.name!r} has no backup{where} yet.", remedy="`strongroom run` makes one."
        )
    newest = max(found, key=lambda backup: backup.sidecar.created_at)
    order = {its.name: its.priority for its in job.destinations}
    same_set = [backup for backup in found if backup.sidecar.set_id == newest.sidecar.set_id]
    return sorted(same_set, key=lambda backup: order.get(backup.destination, len(order)))


def _only(matches: Sequence[Backup], text: str) -> Backup:
    if len(matches) == 1:
        return matches[0]
    raise _ambiguous(matches, f"{text!r} may mean {counted(len(matches), 'backup')}.")


def _ambiguous(matches: Sequence[Backup], message: str) -> UsageError:
    shown = "; ".join(
        f"{its.id} ({its.sidecar.database} at {its.destination}, {moment(its.sidecar.created_at)})"
        for its in matches[:6]
    )
    return UsageError(message, remedy=f"Give one of these IDs: {shown}.")
