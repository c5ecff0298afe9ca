"""What flows through the steps of one run: the `RunnerContext`, with one `DestinationContext` a place."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from engine.cancellation import CancelToken
from engine.configuration.opening import StorageOpener
from engine.contract.adapters import Source
from engine.contract.values import SourceReport
from engine.events import Status
from engine.recorder import Recorder
from engine.records import Endpoint, Execution, Job
from engine.rules.retention import Retention
from engine.streams.compression import Compression
from engine.streams.spool import Spool

if TYPE_CHECKING:
    from engine.services import Services


@dataclass(slots=True)
class Artifact:
    """One database on its way: what it will be called, its spool while it grows, and how it ended.

    `sealed` is set when the sidecar is ready, or when the artifact has failed; an upload waits for it
    between the artifact and the sidecar. `abandoned`: the dump was stopped, whole as it may have been,
    because every destination had failed; that is theirs to tell.
    """

    database: str
    name: str
    spool: Spool | None = None
    status: Status = Status.PENDING
    size: int | None = None
    dump_size: int | None = None
    sha256: str | None = None
    sidecar: bytes | None = None
    error: str = ""
    abandoned: bool = False
    sealed: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class UploadResult:
    """How one artifact's upload to one destination ended."""

    artifact: Artifact
    status: Status
    proof: str = ""
    error: str = ""
    remedy: str = ""
    bytes_sent: int = 0


@dataclass(slots=True)
class DestinationContext:
    """One destination of a run. `opener` is None when it cannot be opened at all; `error` says why that is,
    or why it was given up.

    `results` are those of the artifacts that were handed to it, in their order; `engine.pipeline.outcome`
    says what they come to.
    """

    endpoint: Endpoint
    priority: int
    retention: Retention
    opener: StorageOpener | None = None
    error: str = ""
    remedy: str = ""
    results: list[UploadResult] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.endpoint.name


@dataclass(slots=True)
class RunnerContext:
    """All that the steps of one run share. Made by the runner, filled by Initialize."""

    services: Services
    execution: Execution
    job: Job
    recorder: Recorder
    cancel: CancelToken
    stack: ExitStack
    started_at: datetime
    source_endpoint: Endpoint | None = None
    source: Source | None = None
    report: SourceReport | None = None
    compression: Compression | None = None
    recipients: tuple[str, ...] = ()
    key_names: tuple[str, ...] = ()
    databases: tuple[str, ...] = ()
    last_sizes: dict[str, int] = field(default_factory=dict)
    artifacts: list[Artifact] = field(default_factory=list)
    destinations: list[DestinationContext] = field(default_factory=list)
    status: Status = Status.RUNNING
    error: str = ""
    error_kind: str = ""
    remedy: str = ""

    @property
    def set_id(self) -> str:
        """What ties the backups of this run: the execution's own ID."""
        return self.execution.id
