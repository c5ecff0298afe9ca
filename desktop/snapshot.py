"""All that the lists show, read from the store in one go; and the cheap look that says if it changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from engine.errors import ConfigError
from engine.records import DestinationResult, Endpoint, Execution, Job, Key
from engine.rules.schedule import describe, next_after, resolve_zone

if TYPE_CHECKING:
    from engine.workspace import Workspace

RECENT = 300
"""Executions that History holds at first."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a run ended at one destination."""

    execution: Execution
    result: DestinationResult


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The store at one moment. `last` and `active` are a job's newest ended run and what runs or waits."""

    jobs: tuple[Job, ...] = ()
    hosts: tuple[Endpoint, ...] = ()
    sources: tuple[Endpoint, ...] = ()
    destinations: tuple[Endpoint, ...] = ()
    notifiers: tuple[Endpoint, ...] = ()
    keys: tuple[Key, ...] = ()
    executions: tuple[Execution, ...] = ()
    last: Mapping[str, Execution] = field(default_factory=dict)
    active: Mapping[str, Execution] = field(default_factory=dict)
    arrivals: Mapping[str, Arrival] = field(default_factory=dict)
    """By a destination's ID: how the newest ended run ended there."""
    next_runs: Mapping[str, datetime] = field(default_factory=dict)
    schedules: Mapping[str, str] = field(default_factory=dict)
    """Each job's schedule in words."""

    def job(self, job_id: str) -> Job | None:
        """The job of that ID."""
        return next((job for job in self.jobs if job.id == job_id), None)

    def endpoints(self, kind: str) -> tuple[Endpoint, ...]:
        """The hosts, sources, destinations or notifiers."""
        return {
            "host": self.hosts,
            "source": self.sources,
            "destination": self.destinations,
            "notifier": self.notifiers,
        }[kind]

    def host_name(self, host_id: str) -> str:
        """What a host is called; its ID when it is gone."""
        return next((its.name for its in self.hosts if its.id == host_id), host_id)


@dataclass(frozen=True, slots=True)
class Beat:
    """What may have changed since the last look: what is active, and the newest execution's number."""

    active: tuple[Execution, ...] = ()
    newest: int = 0

    def same_runs(self, other: Beat) -> bool:
        """Whether the same executions are in the same states; their progress may differ."""
        return self.newest == other.newest and [(its.id, its.status) for its in self.active] == [
            (its.id, its.status) for its in other.active
        ]


def read_beat(workspace: Workspace) -> Beat:
    """Look at what is active. Two indexed queries."""
    newest = workspace.store.executions.list(1)
    return Beat(tuple(workspace.store.executions.active()), newest[0].seq if newest else 0)


def read_snapshot(workspace: Workspace) -> Snapshot:
    """Read everything that the lists show."""
    store, now = workspace.store, workspace.clock()
    jobs = tuple(store.jobs.list())
    executions = tuple(store.executions.list(RECENT))
    last: dict[str, Execution] = {}
    active: dict[str, Execution] = {}
    for execution in executions:
        if execution.kind != "run" or execution.job_id is None:
            continue
        (last if execution.status.ended else active).setdefault(execution.job_id, execution)
    arrivals: dict[str, Arrival] = {}
    for execution in executions:
        if execution.kind == "run" and execution.status.ended:
            for result in execution.destinations:
                arrivals.setdefault(result.destination_id, Arrival(execution, result))
    for job in jobs:
        if job.id not in last and len(executions) == RECENT:
            found = store.executions.last(job.id)
            if found is not None and found.status.ended:
                last[job.id] = found
    return Snapshot(
        jobs=jobs,
        sources=tuple(store.endpoints.list("source")),
        destinations=tuple(store.endpoints.list("destination")),
        hosts=tuple(store.endpoints.list("host")),
        notifiers=tuple(store.endpoints.list("notifier")),
        keys=tuple(store.keys.list()),
        executions=executions,
        last=last,
        active=active,
        arrivals=arrivals,
        next_runs={job.id: moment for job in jobs if (moment := next_run(job, now)) is not None},
        schedules={job.id: said_schedule(job) for job in jobs},
    )


def next_run(job: Job, now: datetime) -> datetime | None:
    """When a job runs next by its schedule (UTC); None when it has none, is off, or it cannot be read."""
    if not job.schedule or not job.enabled:
        return None
    try:
        return next_after(job.schedule, resolve_zone(job.timezone), now)
    except ConfigError:
        return None


def said_schedule(job: Job) -> str:
    """When a job runs, in words."""
    if not job.schedule:
        return "when started by hand"
    try:
        said = describe(job.schedule)
    except ConfigError:
        return job.schedule
    return f"{said}, {job.timezone}" if job.timezone else said
