"""The shapes that `--json` prints (DESIGN, section 6): plain values made from the engine's records.

More fields may stand beside those of the contract; none of them ever goes away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.clock import iso
from engine.events import Status
from engine.records import CopyResult, DestinationResult, Execution

if TYPE_CHECKING:
    from datetime import datetime

    from engine.archive.backups import Backup
    from engine.archive.sidefiles import Check


def _moment(value: datetime | None) -> str | None:
    return None if value is None else iso(value)


def error(execution: Execution) -> dict[str, str] | None:
    """Why an execution ended as it did; None for one without an error."""
    if execution.error is None:
        return None
    return {
        "kind": execution.error_kind or str(execution.status),
        "message": execution.error,
        "remedy": execution.remedy or "",
    }


def execution(found: Execution) -> dict[str, Any]:
    """An execution as `run` and `history` print it.

    `backups` are the databases that are stored somewhere, with all `copies` that are; `id` is the copy at
    the first of those destinations, by priority. `destinations[].copies` are all that were tried.
    """
    copies = [_copy(found, its) for its in found.copies]
    stored = [its for its in copies if its["status"] == str(Status.SUCCESS)]
    backups = []
    for artifact in found.artifacts:
        places = [
            {"destination": its["destination"], "id": its["id"]}
            for its in stored
            if its["artifact"] == artifact.name
        ]
        if artifact.status is not Status.SUCCESS or not places:
            continue
        backups.append(
            {
                "id": places[0]["id"],
                "database": artifact.database,
                "artifact": artifact.name,
                "size": artifact.size,
                "dump_size": artifact.dump_size,
                "sha256": artifact.sha256,
                "copies": places,
            }
        )
    return {
        "execution": found.id,
        "number": found.seq,
        "kind": found.kind,
        "job": found.job_name or None,
        "status": str(found.status),
        "error": error(found),
        "duration_s": _seconds(found.duration),
        "trigger": found.trigger,
        "reason": found.trigger_reason or None,
        "planned_at": _moment(found.planned_at),
        "queued_at": _moment(found.queued_at),
        "started_at": _moment(found.started_at),
        "finished_at": _moment(found.finished_at),
        "retry_of": found.retry_of,
        "backups": backups,
        "destinations": [_destination(its, copies) for its in found.destinations],
    }


def _destination(found: DestinationResult, copies: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": found.name,
        "status": str(found.status),
        "path": found.path,
        "proof": found.proof,
        "error": found.error,
        "copies": [
            {key: value for key, value in its.items() if key != "destination"}
            for its in copies
            if its["destination"] == found.name
        ],
    }


def _copy(found: Execution, copy: CopyResult) -> dict[str, Any]:
    """One artifact at one destination; `id` is the backup's, null unless it is stored."""
    from engine.archive.backups import backup_id

    names = {its.destination_id: its.name for its in found.destinations}
    whole = copy.status is Status.SUCCESS
    return {
        "database": copy.database,
        "destination": names.get(copy.destination_id, copy.destination_id),
        "artifact": copy.artifact,
        "id": backup_id(copy.destination_id, copy.artifact) if whole else None,
        "status": str(copy.status),
        "proof": copy.proof,
        "error": copy.error,
    }


def backup(found: Backup) -> dict[str, Any]:
    """A backup as `backups` prints it."""
    sidecar = found.sidecar
    return {
        "id": found.id,
        "job": sidecar.job,
        "source": sidecar.source,
        "database": sidecar.database,
        "destination": found.destination,
        "artifact": found.artifact,
        "created_at": iso(sidecar.created_at),
        "size": found.size,
        "sha256": sidecar.checksum,
        "locked": found.locked,
        "verified": _check(found.proof),
        "drilled": _check(found.drill),
        "encrypted": sidecar.encryption is not None,
        "signature": str(found.verdict),
        "set_id": sidecar.set_id,
        "problem": found.problem or None,
    }


def _check(found: Check | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "level": found.level,
        "outcome": found.outcome,
        "at": iso(found.at),
        "reason": found.reason or None,
    }


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
