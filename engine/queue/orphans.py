"""Settles what a dead process left: an execution whose lock can be taken is run by nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.clock import Clock
from engine.errors import Interrupted
from engine.events import EventSink, ExecutionFinished, LogEntry, LogLevel, LogType, Stage, Status
from engine.queue.ownership import Ownership
from engine.records import BUILDING, FILLING, Execution

if TYPE_CHECKING:
    from engine.store.database import Store


def settle_if_dead(
    store: Store, ownership: Ownership, execution_id: str, *, emit: EventSink, clock: Clock
) -> Execution | None:
    """Settle the execution if nobody runs it and it is not over; return it then, else None.

    Running ones end as Failed, or as Cancelled when that had been asked for. A planned run that was
    still waiting gives its planned time back: nothing ran for it, so the scheduler catches it up.
    """
    lock = ownership.take(execution_id)
    if lock is None:
        return None
    with lock:
        found = store.executions.find(execution_id)  # looked at again: its process may just have settled it
        if found is None:
            return None
        if found.status.ended:
            store.claims.release(execution_id)  # it died in what follows the status, such as the retention
            return None
        status, error, remedy = _words(found)
        settled = store.executions.settle(
            execution_id,
            status,
            error=error,
            error_kind="Cancelled" if status is Status.CANCELLED else Interrupted.__name__,
            remedy=remedy,
            only_if=(found.status,),
            free_slot=found.status is Status.PENDING and found.planned_at is not None,
        )
        if settled is None:
            return None
        level = LogLevel.WARNING if status is Status.CANCELLED else LogLevel.ERROR
        stage = Stage(found.stage) if found.stage else Stage.INITIALIZE
        store.logs.add(execution_id, LogEntry(clock(), level, LogType.GENERAL, stage, error, remedy))
    emit(ExecutionFinished(execution_id, status, error, remedy))
    return settled


def _words(found: Execution) -> tuple[Status, str, str]:
    state = _state_of_target(found) if found.kind == "restore" else ""
    if found.cancel_requested:
        return Status.CANCELLED, "Cancelled; the process that ran it ended meanwhile.", state
    if found.status is Status.RUNNING:
        return (
            Status.FAILED,
            "The process that ran it ended before it was done: a crash, a kill, or the machine went off.",
            state or "Run it again; nothing that was stored before is touched.",
        )
    remedy = "Run it again." if found.planned_at is None else "The scheduler catches it up."
    return Status.FAILED, "The process that had queued it ended before its turn came.", remedy


def _state_of_target(found: Execution) -> str:
    """In which state a restore whose process has died leaves its target, and what to do."""
    if within := found.labels.get(FILLING):
        return (
            f"{within} may hold some of the backup and some of what it held, and a tool may still be at work"
            " in it: look before you use it, and restore again."
        )
    built = found.labels.get(BUILDING)
    if isinstance(built, dict) and built.get("target"):
        return (
            f"It was giving {built.get('database')}, which was whole, the name {built['target']}: that is as"
            " it was, or holds the backup, with what it held before kept beside it, or it lacks something"
            " still. The next run or restore puts that in order, and says how it is."
        )
    if isinstance(built, dict):
        return (
            f"It was building {built.get('database')}, which takes the target's name only once it is whole;"
            " if it is still there, the next run or restore drops it. Restore again."
        )
    return "The target was not touched. Restore again."
