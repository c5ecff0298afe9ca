"""Restoring a set: all the databases of one run, or some of them, each under its own or another name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from engine.archive.backups import Backup
from engine.errors import NotFound, UsageError
from engine.recovery.requests import RestoreRequest


def is_of_server(database: str) -> bool:
    """Whether it is what belongs to the server and to no database: its name stands in brackets."""
    return database.startswith("(")


def of_set(
    chosen: Backup,
    known: Sequence[Backup],
    wanted: RestoreRequest,
    *,
    only: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
) -> list[RestoreRequest]:
    """One request for each database of the set that `chosen` belongs to, as `wanted` otherwise.

    A database whose backup is gone from the destination of `chosen` is taken from another one. What
    belongs to the server and to no database comes first: the others need it. Raises `NotFound` for a
    database whose backup is nowhere, and `UsageError` for names that are not in the set, that are not chosen,
    or that two would get.
    """
    names = names or {}
    databases = chosen.sidecar.databases or (chosen.sidecar.database,)
    for name in (*only, *names):
        if name not in databases:
            raise UsageError(
                f"{name!r} is not in this set.", remedy=f"Its databases are: {', '.join(databases)}."
            )
    places: dict[str, Backup] = {}
    for backup in known:
        same = (
            backup.sidecar.set_id == chosen.sidecar.set_id and backup.sidecar.job_id == chosen.sidecar.job_id
        )
        if same and (backup.sidecar.database not in places or backup.destination_id == chosen.destination_id):
            places[backup.sidecar.database] = backup
    picked = [name for name in databases if not only or name in only]
    if lost := [name for name in picked if name not in places]:
        raise NotFound(
            f"Of this set, the backup of {', '.join(lost)} is at no destination.",
            remedy="Restore the others alone: name each by --database.",
        )
    if idle := [name for name in names if name not in picked]:
        raise UsageError(
            f"{', '.join(idle)} is to have another name, and is not restored.",
            remedy="Choose it too (--database), or leave its name out.",
        )
    targets = [names.get(name, name) for name in picked]
    if twice := {name for name in targets if targets.count(name) > 1}:
        raise UsageError(f"Two databases would be restored as {', '.join(sorted(twice))}.")
    picked.sort(key=lambda name: not is_of_server(name))
    return [replace(wanted, backup_id=places[name].id, as_name=names.get(name)) for name in picked]
