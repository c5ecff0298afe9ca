"""Databases that a restore or a drill builds under a name of its own, remembered until they are gone.

The name stands in the execution's labels before the database is made. After a crash the next start
drops it by that record; once it has taken its target's name, there is nothing of that name to drop.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from engine.cancellation import CancelToken
from engine.contract.values import TargetState
from engine.errors import Interrupted, NotFound, StrongroomError
from engine.events import LogLevel, Stage, Status
from engine.recorder import Recorder
from engine.records import BUILDING, FILLING, Endpoint, Execution

if TYPE_CHECKING:
    from engine.services import Services

_LOOKED_AT = 20
"""How many failed executions of a kind are looked at: the last ones."""


def remember(
    services: Services, execution_id: str, endpoint: Endpoint, database: str, *, target: str = ""
) -> None:
    """Write down what is about to be built, or with `target` that it is about to take that name.

    Of no execution (a script's own call), nothing is written.
    """
    if services.store.executions.find(execution_id) is not None:
        where = {"source": endpoint.id, "config": dict(endpoint.config), "host": endpoint.host}
        built = {**where, "database": database, "target": target}
        services.store.executions.set_labels(execution_id, {BUILDING: built})


def filling(services: Services, execution_id: str, endpoint: Endpoint, database: str | None) -> None:
    """Write down which database is about to be worked within, or with None that this is over."""
    if services.store.executions.find(execution_id) is not None:
        words = None if database is None else f"{database} at {endpoint.name}"
        services.store.executions.set_labels(execution_id, {FILLING: words})


def left_behind(services: Services) -> list[Execution]:
    """The executions that died while they built something, which nobody has dropped yet.

    Whatever command came first after the crash has settled them; only one that works may drop databases.
    """
    found = []
    for kind in ("restore", "drill"):
        for execution in services.store.executions.list(_LOOKED_AT, kind=kind, statuses=(Status.FAILED,)):
            if execution.error_kind == Interrupted.__name__ and isinstance(
                execution.labels.get(BUILDING), dict
            ):
                found.append(execution)
    return found


def drop_after_crash(services: Services, execution: Execution) -> None:
    """Drop what a dead execution was building, or finish giving it its target's name. Never raises.

    What cannot be done is told in its log.
    """
    built = execution.labels.get(BUILDING)
    if not isinstance(built, dict) or execution.kind not in ("restore", "drill"):
        return
    recorder = Recorder(execution.id, services.store, services.emit, clock=services.clock)
    name, target = str(built.get("database", "")), str(built.get("target") or "")

    def say(words: str, level: LogLevel = LogLevel.INFO, details: str = "") -> None:
        recorder.log(words, level, details=details, stage=Stage.RESTORE)

    what = f"The half-built database {name}" if not target else f"The restored database {name}"
    try:
        endpoint = services.endpoints.get("source", str(built.get("source", "")))
        # Where it was built, not where the source leads by now.
        endpoint = replace(
            endpoint, config=built.get("config", endpoint.config), host=built.get("host", endpoint.host)
        )
        with services.endpoints.open_source(endpoint, cancel=CancelToken(), owner=execution.id) as source:
            took = bool(target) and source.resume_replace(name, target)
            was_there = not took and source.target_state(name) is not TargetState.MISSING
            if not took:
                source.drop(name)
    except NotFound:
        # The source is not configured any more: this is said once, for nobody can look there again.
        services.store.executions.set_labels(execution.id, {BUILDING: None})
        say(
            f"{what} may still be there: its source is gone from the configuration.",
            LogLevel.WARNING,
            "Drop it yourself." if not target else f"Look whether {target} is there, and what it holds.",
        )
        return
    except StrongroomError as error:
        say(
            f"{what} may still be there: {error.message}",
            LogLevel.WARNING,
            "Drop it yourself." if not target else f"It was to become {target}: look at both.",
        )
        return
    services.store.executions.set_labels(execution.id, {BUILDING: None})
    if took:
        say(
            f"{target} holds the restored backup. What it was before may still be kept beside it, with"
            " `_before_` in its name.",
            LogLevel.WARNING,
            "Drop the old one, if it is there, when you have looked at the new one.",
        )
    elif was_there:
        say(f"{what} was removed." + (f" {target} is as it was." if target else ""))
