"""What every execution works with, handed down as one value: the parts of one open installation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.clock import Clock
from engine.events import EventSink
from engine.home import Home
from engine.records import Execution, Job

if TYPE_CHECKING:
    from engine.archive.catalogue import Catalogue
    from engine.configuration.endpoints import Endpoints
    from engine.configuration.keys import Keys
    from engine.recorder import Recorder
    from engine.store.database import Store

Notify = Callable[[Execution, Job, "Recorder"], None]
"""Tells the job's people how the execution ended. Never raises."""
NotifyRetention = Callable[[Job, Mapping[str, str], "Recorder"], None]
"""Tells them what is wrong with retention, by destination. Never raises."""


@dataclass(frozen=True, slots=True)
class Services:
    """What executions work with. `is_dead` says whether nobody runs an execution (any more)."""

    home: Home
    store: Store
    endpoints: Endpoints
    keys: Keys
    catalogue: Catalogue
    emit: EventSink
    notify: Notify
    notify_retention: NotifyRetention
    is_dead: Callable[[str], bool]
    clock: Clock
