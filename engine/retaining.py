"""Retention at one destination: list what is there, decide by the pure rules, delete, and say why.

The rules are `engine.rules.retention`'s. What cannot be listed, read or deleted is said, and ends it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from engine.archive.backups import Backup
from engine.cancellation import CancelToken
from engine.configuration.opening import Alive
from engine.contract.adapters import Log, no_sign
from engine.errors import Cancelled, StorageError, StrongroomError
from engine.events import LogLevel, LogType
from engine.records import Endpoint, Job
from engine.rules.retention import BackupSet, Plan, Retention, SetBackup, plan
from engine.rules.schedule import resolve_zone

if TYPE_CHECKING:
    from engine.services import Services


@dataclass(frozen=True, slots=True)
class Retained:
    """What retention did, or would do, at one destination. `error` is empty when nothing went wrong."""

    destination: str
    plan: Plan | None
    deleted: tuple[str, ...] = ()
    error: str = ""

    @property
    def problem(self) -> str:
        """What people should hear of: an error, or why it paused; empty when all is well."""
        return self.error or (self.plan.paused if self.plan and self.plan.paused else "")


def retain_at(
    services: Services,
    job: Job,
    endpoint: Endpoint,
    retention: Retention,
    *,
    log: Log,
    expect: str | None = None,
    dry_run: bool = False,
    cancel: CancelToken | None = None,
    alive: Alive = no_sign,
) -> Retained:
    """Apply `retention` to the job's backups at a destination. Raises `Cancelled`, and nothing else.

    `expect` is the ID of the set that was just made there, which the listing has to show. With `dry_run`
    nothing is deleted; the plan says what would be. `alive` is called with each answer of the destination.
    """
    deleted: list[str] = []
    found: Plan | None = None
    try:
        for problem in services.catalogue.refresh(endpoint.id, cancel=cancel, alive=alive):
            if problem.unreachable:
                raise StorageError(problem.message, remedy=problem.remedy)
        backups = services.catalogue.list(endpoint.id, job.id, refresh=False)
        found = plan(
            backup_sets(backups),
            retention,
            now=services.clock(),
            zone=resolve_zone(job.timezone),
            collapse_ratio=job.options.collapse_ratio,
            expect=expect,
            last_seen=_last_seen(services),
        )
        reasons = {} if dry_run else _reasons(found)
        if reasons:
            with services.endpoints.open_storage(endpoint, cancel=cancel, alive=alive) as storage:
                # Oldest first, so that a stop halfway leaves the newest.
                for backup in sorted(backups, key=lambda backup: backup.order):
                    if backup.id not in reasons:
                        continue
                    if cancel is not None:
                        cancel.raise_if_cancelled()
                    services.catalogue.erase(storage, backup)
                    deleted.append(backup.artifact)
                    said = f"[{endpoint.name}] Deleted {backup.artifact}: {reasons[backup.id]}."
                    log(said, LogLevel.INFO, LogType.STORAGE, "")
    except Exception as error:  # it changes no status: the backup that was just made is whole
        if cancel is not None and cancel.cancelled:
            raise Cancelled(cancel.reason) from error
        message = error.message if isinstance(error, StrongroomError) else f"{type(error).__name__}: {error}"
        return Retained(endpoint.name, found, tuple(deleted), message)
    return Retained(endpoint.name, found, tuple(deleted))


def backup_sets(backups: Iterable[Backup]) -> list[BackupSet]:
    """Group one job's backups at one destination into their sets."""
    sets: dict[str, list[Backup]] = {}
    for backup in backups:
        sets.setdefault(backup.sidecar.set_id, []).append(backup)
    return [_set(set_id, members) for set_id, members in sets.items()]


def _set(set_id: str, members: Sequence[Backup]) -> BackupSet:
    wanted = {database for backup in members for database in backup.sidecar.databases}
    return BackupSet(
        set_id=set_id,
        created_at=min(backup.sidecar.created_at for backup in members),
        complete={backup.sidecar.database for backup in members} == wanted,
        backups=tuple(
            SetBackup(
                id=backup.id,
                database=backup.sidecar.database,
                size=backup.size,
                good=backup.good,
                dump_size=backup.sidecar.dump_size,
                proven=backup.verdict.proves,
            )
            for backup in members
        ),
        locked=any(backup.locked for backup in members),
    )


def _reasons(found: Plan) -> dict[str, str]:
    """Why each backup that the plan gives up is given up."""
    return {
        backup.id: decision.reason
        for decision in found.decisions
        if not decision.keep
        for backup in decision.backup_set.backups
    }


def _last_seen(services: Services) -> datetime | None:
    """The latest time that is known to have passed: a clock before it has gone back."""
    ended = [its.finished_at or its.started_at for its in services.store.executions.list(20)]
    return max((moment for moment in ended if moment is not None), default=None)
