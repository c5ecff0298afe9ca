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


def remember(services: Services, execution_id: str, endpoint: Endpoint, database: str) -> None:
    """Write down what is about to be built; of no execution (a script's own call), nothing is."""
    if services.store.executions.find(execution_id) is not None:
        where = {"source": endpoint.id, "config": dict(endpoint.config), "host": endpoint.host}
        services.store.executions.set_labels(execution_id, {BUILDING: {**where, "database": database}})


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
    """Drop what a dead execution was building. What cannot be dropped is named in its log. Never raises."""
    built = execution.labels.get(BUILDING)
    if not isinstance(built, dict) or execution.kind not in ("restore", "drill"):
        return
    recorder = Recorder(execution.id, services.store, services.emit, clock=services.clock)
    name = str(built.get("database", ""))
    try:
        endpoint = services.endpoints.get("source", str(built.get("source", "")))
        # Where it was built, not where the source leads by now.
        endpoint = replace(
            endpoint, config=built.get("config", endpoint.config), host=built.get("host", endpoint.host)
        )
        with services.endpoints.open_source(endpoint, cancel=CancelToken(), owner=execution.id) as source:
            was_there = source.target_state(name) is not TargetState.MISSING
            source.drop(name)
    except NotFound:
        # The source is not configured any more: this is said once, for nobody can look there again.
        services.store.executions.set_labels(execution.id, {BUILDING: None})
        recorder.log(
            f"The half-built database {name} may still be there: its source is gone from the configuration.",
            LogLevel.WARNING,
            details="Drop it yourself.",
            stage=Stage.RESTORE,
        )
        return
    except StrongroomError as error:
        recorder.log(
            f"The half-built database {name} may still be there: {error.message}",
            LogLevel.WARNING,
            details="Drop it yourself.",
            stage=Stage.RESTORE,
        )
        return
    services.store.executions.set_labels(execution.id, {BUILDING: None})
    if was_there:
        recorder.log(f"The half-built database {name} was removed.", stage=Stage.RESTORE)
