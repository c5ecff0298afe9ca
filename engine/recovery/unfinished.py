"""Databases that a restore or a drill builds under a name of its own, remembered until they are gone.

The name stands in the execution's labels before the database is made. After a crash the next start
drops it by that record; once it has taken its target's name, there is nothing of that name to drop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.cancellation import CancelToken
from engine.errors import NotFound, StrongroomError
from engine.events import LogLevel, Stage
from engine.recorder import Recorder
from engine.records import Endpoint, Execution

if TYPE_CHECKING:
    from engine.services import Services

_LABEL = "building"


def remember(services: Services, execution_id: str, endpoint: Endpoint, database: str) -> None:
    """Write down what is about to be built; of no execution (a script's own call), nothing is."""
    if services.store.executions.find(execution_id) is not None:
        services.store.executions.set_labels(
            execution_id, {_LABEL: {"source": endpoint.id, "database": database}}
        )


def drop_after_crash(services: Services, execution: Execution) -> None:
    """Drop what a dead execution was building. What cannot be dropped is named in its log. Never raises."""
    built = execution.labels.get(_LABEL)
    if not isinstance(built, dict) or execution.kind not in ("restore", "drill"):
        return
    recorder = Recorder(execution.id, services.store, services.emit, clock=services.clock)
    name = str(built.get("database", ""))
    try:
        endpoint = services.endpoints.get("source", str(built.get("source", "")))
        with services.endpoints.open_source(endpoint, cancel=CancelToken(), owner=execution.id) as source:
            source.drop(name)
    except NotFound:
        return  # the source is not configured any more: nobody can say where it was
    except StrongroomError as error:
        recorder.log(
            f"The half-built database {name} may still be there: {error.message}",
            LogLevel.WARNING,
            details="Drop it yourself.",
            stage=Stage.RESTORE,
        )
        return
    recorder.log(f"The half-built database {name} was removed.", stage=Stage.RESTORE)
