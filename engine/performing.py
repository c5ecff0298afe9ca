"""Executions that are no runs of a job: restores, verifications and drills, from labels to outcome.

What was asked for stands in the execution's labels, and what was found is added to them, so that any
process can start one and any other can read how it went.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from engine.cancellation import CancelToken, cancel_words
from engine.errors import BUG, Cancelled, SidecarTooNew, SidecarUnreadable, StrongroomError
from engine.events import ExecutionFinished, ExecutionStarted, LogLevel, Stage, Status
from engine.notify import notify_of_broken
from engine.recorder import Recorder
from engine.records import Execution
from engine.recovery import missing
from engine.recovery.drill import drill_backup
from engine.recovery.fitting import fit_names
from engine.recovery.integrity import Verification, verify_backup
from engine.recovery.requests import RestoreRequest, requests_in
from engine.recovery.restore import Restored, perform_restore
from engine.units import span_text

if TYPE_CHECKING:
    from engine.archive.backups import Backup, Problem
    from engine.services import Services


def perform(services: Services, execution: Execution, cancel: CancelToken) -> None:
    """Do what the execution asks for. Its row says how it ended, whatever happened."""
    recorder = Recorder(execution.id, services.store, services.emit, clock=services.clock)
    services.emit(ExecutionStarted(execution.id, execution.job_name))
    status, error, kind, remedy = Status.FAILED, "", "", ""
    try:
        if execution.trigger_reason:
            recorder.log(execution.trigger_reason)
        work = _restore if execution.kind == "restore" else _prove
        status, error = work(services, execution, recorder, cancel)
        kind = "IntegrityError" if error else ""
    except Cancelled as cancelled:
        status, error, kind = Status.CANCELLED, str(cancelled), "Cancelled"
        recorder.log(cancel_words(error), LogLevel.WARNING)
    except Exception as failure:  # whatever it was, the execution ends, and says why
        error, kind = recorder.clean(str(failure)), type(failure).__name__
        remedy = failure.remedy if isinstance(failure, StrongroomError) else BUG
        recorder.log(f"Failed: {error}", LogLevel.ERROR, details=remedy)
    services.store.executions.finish(
        execution.id,
        status=status,
        finished_at=services.clock(),
        error=error or None,
        error_kind=kind or None,
        remedy=remedy or None,
    )
    recorder.emit(ExecutionFinished(execution.id, status, error, remedy))


def _restore(
    services: Services, execution: Execution, recorder: Recorder, cancel: CancelToken
) -> tuple[Status, str]:
    """Restore what was asked for, one after the other; one that fails leaves the others their turn."""
    requests = requests_in(execution.labels)
    done: list[Restored] = []
    failed: list[tuple[RestoreRequest, str]] = []

    def note() -> None:
        outcomes = [
            *(_restored(its.database, Status.SUCCESS, kept=its.kept) for its in done),
            *(_restored(its.as_name or its.backup_id, Status.FAILED, error=why) for its, why in failed),
        ]
        labels: dict[str, Any] = {"restored": outcomes}
        if done:
            labels |= {"target": done[-1].target, "database": done[-1].database, "kept": done[-1].kept}
        services.store.executions.set_labels(execution.id, labels)

    if len(requests) > 1:
        fit_names(services, requests, recorder, cancel, execution.id)
    for request in requests:
        try:
            restored = perform_restore(services, request, recorder, cancel, owner=execution.id)
        except Cancelled as cancelled:
            note()
            raise Cancelled(f"{cancelled}{_so_far(done, len(requests))}") from cancelled
        except StrongroomError as error:
            if len(requests) == 1:
                raise
            words = recorder.clean(error.message)
            failed.append((request, words))
            recorder.log(words, LogLevel.ERROR, details=error.remedy)
        else:
            done.append(restored)
            recorder.log(f"Restored into {restored.database} at {restored.target}.", LogLevel.SUCCESS)
    note()
    if not failed:
        return Status.SUCCESS, ""
    words = "; ".join(why for _, why in failed)
    return (Status.PARTIAL if done else Status.FAILED), words + _so_far(done, len(requests))


def _restored(
    name: str, status: Status, *, kept: str | None = None, error: str | None = None
) -> dict[str, Any]:
    return {"database": name, "status": str(status), "kept": kept, "error": error or None}


def _so_far(done: Sequence[Restored], total: int) -> str:
    """What of a set had been restored, as a sentence; of one database, its own message says it."""
    if total == 1:
        return ""
    names = ", ".join(its.database for its in done) or "none"
    return f" Of {total} databases, these are restored: {names}."


def _prove(
    services: Services, execution: Execution, recorder: Recorder, cancel: CancelToken
) -> tuple[Status, str]:
    """Verify or drill each backup that was asked for; one that fails does not keep the next from its turn."""
    with recorder.stage(Stage.INITIALIZE):
        chosen, unreachable, lost = _chosen(services, execution, recorder, cancel)
    found = [missing.failed(its, recorder) for its in lost]
    services.store.executions.set_labels(execution.id, {"outcomes": [_outcome(its) for its in found]})
    total = sum(its.size for its in chosen.values() if its is not None) or None
    done = 0
    with recorder.stage(Stage.VERIFY):
        for backup_id, backup in chosen.items():
            cancel.raise_if_cancelled()

            def on_bytes(fetched: int, _: int, before: int = done) -> None:
                recorder.progress(0, before + fetched, stage=Stage.VERIFY, total=total)

            log = recorder.logger(Stage.VERIFY)
            if execution.kind == "drill":
                made = drill_backup(
                    services, backup_id, cancel=cancel, log=log, owner=execution.id, on_bytes=on_bytes
                )
            else:
                level: Literal["checksum", "decode"] = (
                    "decode" if execution.labels.get("level") == "decode" else "checksum"
                )
                made = verify_backup(
                    services, backup_id, level, cancel=cancel, log=log, owner=execution.id, on_bytes=on_bytes
                )
            found.append(made)
            done += backup.size if backup is not None else 0
            recorder.progress(0, done, stage=Stage.VERIFY, total=total, final=done == total)
            services.store.executions.set_labels(execution.id, {"outcomes": [_outcome(its) for its in found]})
    if execution.trigger != "manual":
        notify_of_broken(
            services.store,
            services.endpoints,
            [(its, chosen.get(its.backup_id)) for its in found],
            recorder,
            problems=unreachable,
        )
    return _status(found, unreachable, recorder)


def _chosen(
    services: Services, execution: Execution, recorder: Recorder, cancel: CancelToken
) -> tuple[dict[str, Backup | None], list[Problem], list[missing.Lost]]:
    """The backups that were asked for, by ID; the destinations that could not be asked; what is gone.

    One whose sidecar cannot be read is None: it is no backup to work with, and it is not passed over.
    """
    ids = execution.labels.get("backups")
    if ids is not None:
        return {backup_id: _readable(services, backup_id) for backup_id in ids}, [], []
    before = services.store.backups.list()
    problems = services.catalogue.refresh(cancel=cancel)
    for problem in problems:
        recorder.log(str(problem), LogLevel.ERROR, details=problem.remedy)
    unreachable = [problem for problem in problems if problem.unreachable]
    backups = services.catalogue.list(refresh=False)
    if execution.kind == "drill":
        return {backup.id: backup for backup in _newest(backups)}, unreachable, []
    chosen: dict[str, Backup | None] = {backup.id: backup for backup in backups}
    chosen |= dict.fromkeys(row.id for row in services.catalogue.unreadable())
    return chosen, unreachable, missing.look(services, [row for row in before if row.id not in chosen])


def _readable(services: Services, backup_id: str) -> Backup | None:
    try:
        return services.catalogue.get(backup_id)
    except (SidecarUnreadable, SidecarTooNew):
        return None


def _newest(backups: Sequence[Backup]) -> list[Backup]:
    """The newest of each job and database: the one that will be asked for one bad morning."""
    newest: dict[tuple[str, str], Backup] = {}
    for backup in backups:
        newest.setdefault((backup.sidecar.job_id, backup.sidecar.database), backup)
    return list(newest.values())


def _outcome(made: Verification) -> dict[str, Any]:
    return {
        "backup": made.backup_id,
        "level": made.level,
        "outcome": made.outcome,
        "reason": made.reason or None,
        "duration_s": made.duration,
    }


def _status(
    found: Sequence[Verification], unreachable: Sequence[Problem], recorder: Recorder
) -> tuple[Status, str]:
    """Success only when every one passed and every destination answered: no look is no pass."""
    count = {outcome: sum(its.outcome == outcome for its in found) for outcome in ("passed", "failed")}
    unseen = len(found) - count["passed"] - count["failed"]
    words = [f"{count['passed']} of {len(found)} passed"]
    if count["failed"]:
        words.append(f"{count['failed']} FAILED")
    if unseen:
        words.append(f"{unseen} could not be verified")
    if unreachable:
        words.append(f"{', '.join(its.destination for its in unreachable)} did not answer")
    summary = ", ".join(words) + f", in {span_text(sum(its.duration for its in found))}."
    if count["failed"]:
        recorder.log(summary, LogLevel.ERROR)
        return Status.FAILED, summary
    if unseen or unreachable:
        recorder.log(summary, LogLevel.WARNING)
        return Status.PARTIAL, summary
    recorder.log(summary, LogLevel.SUCCESS)
    return Status.SUCCESS, ""
