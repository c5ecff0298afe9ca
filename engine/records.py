"""The frozen values that stand for the store's rows and cross threads; ORM objects never do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from engine.events import LogEntry, Status

ExecutionKind = Literal["run", "restore", "verify", "drill", "retention"]
Trigger = Literal["manual", "schedule", "catch-up", "retry", "system"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A configured host, source, destination or notifier, without its secrets.

    `host` is the ID of the host on which a source's tools run, or by whose way a host is reached; "local"
    is this machine.
    """

    kind: Literal["host", "source", "destination", "notifier"]
    id: str
    name: str
    adapter: str
    config: Mapping[str, Any]
    secret_names: tuple[str, ...] = ()
    host: str = "local"


BUILDING = "building"
"""The label of a restore or drill that holds what it builds under a name of its own, and where."""
FILLING = "filling"
"""The label of a restore that holds the database which it works within, for as long as it does."""
VANISHED = "vanished"
"""The label of a run that holds the databases which the run before it had backed up, and it did not find."""


@dataclass(frozen=True, slots=True)
class JobDestination:
    """Where a job's backups go; a lower `priority` comes first. `retention` as in the configuration file."""

    destination_id: str
    name: str
    priority: int = 0
    retention: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobNotifier:
    """Whom to tell, and on which of success, partial, failed, cancelled."""

    notifier_id: str
    name: str
    statuses: tuple[Status, ...] = (Status.PARTIAL, Status.FAILED)


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What few people change.

    `parallel_uploads`: None for all at once, 1 for strictly one by one, by priority. `retries` after a
    failed run, `retry_wait` seconds between them; `time_limit` in seconds. `fingerprint`: count rows in
    the dump's snapshot. `collapse_ratio`: retention pauses when a backup is smaller than this part of
    the median of the last ten. `upload_attempts` for what is transient; `stall_after` seconds without a
    byte or a sign of life, an upload is taken for stalled. `parallel_dumps` databases are dumped at once.
    `before` and `after` are lines for a shell, run on the source's host or (`hooks_on` "local") on this
    machine, each for at most `hook_time_limit` seconds.
    """

    parallel_uploads: int | None = None
    fingerprint: bool = True
    time_limit: int | None = None
    retries: int = 0
    retry_wait: int = 60
    upload_attempts: int = 5
    stall_after: int = 300
    collapse_ratio: float = 0.5
    parallel_dumps: int = 1
    before: str = ""
    after: str = ""
    hooks_on: Literal["source", "local"] = "source"
    hook_time_limit: int = 300


@dataclass(frozen=True, slots=True)
class Job:
    """What to back up, where to, when and how. `compression` is `zstd`, `zstd:9`, `gzip`, `brotli`, `none`;
    `encryption` the name of a key, or `none`; `schedule` a cron line in `timezone` (IANA; None: the
    machine's), counted from `scheduled_since`."""

    id: str
    name: str
    source_id: str
    source_name: str
    destinations: tuple[JobDestination, ...]
    notifiers: tuple[JobNotifier, ...] = ()
    enabled: bool = True
    schedule: str | None = None
    timezone: str | None = None
    scheduled_since: datetime | None = None
    compression: str = "zstd"
    encryption: str = "default"
    naming: str | None = None
    options: JobOptions = field(default_factory=JobOptions)


@dataclass(frozen=True, slots=True)
class ArtifactResult:
    """One database's artifact in an execution: `size` in bytes at the destinations, `dump_size` before
    compression."""

    database: str
    name: str
    status: Status
    size: int | None = None
    dump_size: int | None = None
    sha256: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class CopyResult:
    """How one artifact's upload to one destination ended; `proof` says how it was verified there."""

    destination_id: str
    database: str
    artifact: str
    status: Status
    proof: str | None = None
    error: str | None = None
    bytes_sent: int = 0


@dataclass(frozen=True, slots=True)
class DestinationResult:
    """One destination's outcome in an execution; `path` is the (first) artifact name there."""

    destination_id: str
    name: str
    status: Status
    priority: int = 0
    path: str | None = None
    proof: str | None = None
    error: str | None = None
    bytes_sent: int = 0


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of a job, or of a restore, verification, drill or retention preview. Times are UTC.

    `seq` is its number for people; `not_before` is when a retry may start, `retry_of` the first attempt.
    """

    id: str
    seq: int
    kind: ExecutionKind
    status: Status
    queued_at: datetime
    job_id: str | None = None
    job_name: str = ""
    trigger: Trigger = "manual"
    trigger_reason: str = ""
    planned_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    owner: str = ""
    retry_of: str | None = None
    attempt: int = 1
    not_before: datetime | None = None
    cancel_requested: bool = False
    stage: str = ""
    percent: float | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    error: str | None = None
    error_kind: str | None = None
    remedy: str | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)
    artifacts: tuple[ArtifactResult, ...] = ()
    destinations: tuple[DestinationResult, ...] = ()
    copies: tuple[CopyResult, ...] = ()

    @property
    def duration(self) -> float | None:
        """Seconds from start to end; None while it has not ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Key:
    """An age key by name; `has_identity` when this installation can decrypt with it."""

    id: str
    name: str
    recipient: str
    has_identity: bool
    created_at: datetime
    exported_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NotificationAttempt:
    """One attempt to tell people, with the payload as it was rendered."""

    at: datetime
    notifier_id: str
    notifier_name: str
    status: Literal["success", "error"]
    payload: Mapping[str, Any]
    execution_id: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class StoredLogEntry:
    """A log line with the ID that whoever follows a log goes on from."""

    id: int
    entry: LogEntry


@dataclass(frozen=True, slots=True)
class Signer:
    """Another installation's Ed25519 public key (hex), trusted explicitly."""

    public_key: str
    name: str
    trusted_at: datetime


@dataclass(frozen=True, slots=True)
class Policy:
    """A retention policy by name, for several jobs to share; `retention` as in the configuration file."""

    id: str
    name: str
    retention: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CachedBackup:
    """What was last seen of one artifact at a destination; the storage is the truth, this is only quick.

    `size` in bytes; `sidecar` is the sidecar's text as it lies there; `problem` says why it cannot be
    read (empty when it can); `proof` is the last verification or drill, None when there was none.
    """

    id: str
    destination_id: str
    artifact: str
    size: int
    sidecar: str
    seen_at: datetime
    job_id: str = ""
    set_id: str = ""
    created_at: datetime | None = None
    problem: str = ""
    locked: bool = False
    proof: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class LeftoverRecord:
    """What an upload may have left at a destination, written before its first byte went out.

    `final_name` is the artifact's own name once it may exist there without a sidecar, else empty.
    """

    id: int
    execution_id: str
    destination_id: str
    temporary_name: str
    upload_id: str
    final_name: str
    created_at: datetime
