"""What a run looks like while it runs: events, or the store's row of another process, folded into one value.

No Qt here, so that every rule (progress never runs backwards, stages keep their order) is tested alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from desktop.copies import MOVING, DestinationRow, rows_of
from engine.events import (
    DestinationProgress,
    DestinationState,
    Event,
    ExecutionFinished,
    ExecutionQueued,
    ExecutionStarted,
    LogAdded,
    LogEntry,
    LogLevel,
    Progress,
    Stage,
    StageFinished,
    StageStarted,
    Status,
)
from engine.records import Execution

RUN_STAGES = (
    Stage.INITIALIZE,
    Stage.DUMP,
    Stage.COMPRESS,
    Stage.ENCRYPT,
    Stage.UPLOAD,
    Stage.VERIFY,
    Stage.COMPLETION,
    Stage.RETENTION,
)
STAGES_OF: dict[str, tuple[Stage, ...]] = {
    "run": RUN_STAGES,
    "restore": (Stage.INITIALIZE, Stage.FETCH, Stage.RESTORE, Stage.VERIFY),
    "verify": (Stage.INITIALIZE, Stage.VERIFY),
    "drill": (Stage.INITIALIZE, Stage.VERIFY),
    "retention": (Stage.INITIALIZE, Stage.RETENTION),
}
"""The stages that the engine tells of, by the kind of execution; one that it never does would stay open."""

CARRIERS = {
    Stage.COMPRESS: Stage.DUMP,
    Stage.ENCRYPT: Stage.DUMP,
    Stage.VERIFY: Stage.UPLOAD,
}
"""Stages that work on the bytes of another one as they pass; they need not tell of themselves."""
AFTERWARDS = (Stage.COMPLETION, Stage.RETENTION)
"""Stages that run however the others ended."""


@dataclass(slots=True)
class StageState:
    """One stage of the strip."""

    state: str = "waiting"
    """`waiting`, `active`, `done`, `partial`, `failed`, `stopped` or `skipped`."""
    detail: str = ""
    seconds: float | None = None


@dataclass(slots=True)
class LiveRun:
    """All that the page of an execution shows."""

    id: str
    job: str = ""
    kind: str = ""
    """As in the store; empty until it is known, when no stage is shown that it may not have."""
    status: Status = Status.PENDING
    stages: dict[Stage, StageState] = field(default_factory=dict)
    stage: Stage | None = None
    percent: float | None = None
    estimated: bool = False
    bytes_in: int = 0
    bytes_out: int = 0
    total: int | None = None
    speed: float = 0.0
    seconds_left: float | None = None
    database: str = ""
    before: int = 0
    """The bytes of the databases that were dumped before this one: `bytes_out` counts on through all."""
    sizes: dict[str, int] = field(default_factory=dict)
    """How large the artifact of each database is, as far as that is known."""
    destinations: dict[str, DestinationRow] = field(default_factory=dict)
    log: list[LogEntry] = field(default_factory=list)
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str = ""
    remedy: str = ""

    def take(self, event: Event, now: datetime) -> None:
        """Fold one event in."""
        match event:
            case ExecutionQueued(job=job):
                self._named(job)
            case ExecutionStarted(job=job, destinations=names):
                self._named(job)
                self.status, self.started_at = Status.RUNNING, now
                for name in names:
                    self.destinations.setdefault(name, DestinationRow(name))
            case StageStarted(stage=stage, detail=detail):
                self._running(now)
                self.stage = stage
                self.stages[stage] = StageState("active", detail)
            case StageFinished(stage=stage, seconds=seconds, detail=detail):
                known = self.stages.get(stage, StageState())
                self.stages[stage] = StageState("done", detail or known.detail, seconds)
            case Progress():
                self._running(now)
                self._progress(event)
            case DestinationProgress():
                self._destination(event, now)
            case LogAdded(entry=entry):
                self.log.append(entry)
            case ExecutionFinished(status=status, error=error, remedy=remedy):
                self._finish(status, error, remedy, now)
            case _:
                pass

    def _named(self, job: str) -> None:
        self.job = job
        if job:  # of all that is executed, a run alone is a job's
            self.kind = "run"

    def _running(self, now: datetime) -> None:
        if self.status is Status.PENDING:
            self.status, self.started_at = Status.RUNNING, now

    def _progress(self, event: Progress) -> None:
        if event.database != self.database:  # the next database of the run begins its own count
            if self.database and self.bytes_out > self.before:
                self.sizes.setdefault(self.database, self.bytes_out - self.before)
            self.before = min(self.bytes_out, event.bytes_out) if self.database else 0
            self.database, self.bytes_in, self.bytes_out = event.database, 0, 0
        self.bytes_in = max(self.bytes_in, event.bytes_in)
        self.bytes_out = max(self.bytes_out, event.bytes_out)
        self.total, self.estimated = event.total, event.estimated
        self.speed, self.seconds_left = event.speed, event.seconds_left
        if event.percent is not None:
            self.percent = max(self.percent or 0.0, min(100.0, event.percent))

    def _destination(self, event: DestinationProgress, now: datetime) -> None:
        row = self.destinations.setdefault(event.destination, DestinationRow(event.destination))
        same = event.database in ("", self.database)  # else it is the size of another one's artifact
        row.take(event, now, self.total if same else None)
        if event.total is not None:
            self.sizes[event.database] = event.total
        if Stage.UPLOAD not in self.stages and event.state in MOVING:
            self.stages[Stage.UPLOAD] = StageState("active")  # the uploads follow the dump as it grows

    def _finish(self, status: Status, error: str, remedy: str, now: datetime) -> None:
        self.status, self.error, self.remedy, self.finished_at = status, error, remedy, now
        self.speed, self.seconds_left = 0.0, None
        if status in (Status.SUCCESS, Status.PARTIAL):
            self.percent = 100.0
        reached = [its for its in self.order if its in self.stages and its not in AFTERWARDS]
        _settle_stages(self, reached)
        self.stage = None

    def settle(self, execution: Execution) -> None:
        """Take over how the store says that its destinations ended."""
        for row in self.destinations.values():
            row.settle(execution)

    @property
    def databases(self) -> frozenset[str]:
        """Those of the run that were heard of."""
        named = {self.database, *self.sizes}
        for row in self.destinations.values():
            named |= {row.database, *row.stored, *row.failed}
        return frozenset(named - {""})

    def dumped(self, database: str) -> int | None:
        """The bytes that there are of a database's artifact so far; None when they are not known."""
        if database in self.sizes:
            return self.sizes[database]
        return self.bytes_out - self.before if database in ("", self.database) else None

    def size_of(self, database: str) -> int | None:
        """How large a database's artifact is, once its dump has ended."""
        if database in self.sizes:
            return self.sizes[database]
        return self.dumped(database) or None if self.state_of(Stage.DUMP).state == "done" else None

    def state_of(self, stage: Stage) -> StageState:
        """The state of a stage; what runs inside another one's stream shares its state."""
        if stage in self.stages:
            return self.stages[stage]
        carrier = self.stages.get(CARRIERS.get(stage, stage))
        if stage is Stage.VERIFY and carrier is not None and carrier.state == "active":
            verifying = any(its.state is DestinationState.VERIFYING for its in self.destinations.values())
            return StageState("active" if verifying else "waiting")
        return StageState(carrier.state) if carrier is not None else StageState()

    @property
    def order(self) -> tuple[Stage, ...]:
        """The stages to show, in order: those of its kind, and any other that was seen."""
        usual = STAGES_OF.get(self.kind, ())
        return (*usual, *(stage for stage in Stage if stage in self.stages and stage not in usual))


def from_record(execution: Execution, log: Sequence[LogEntry] = (), names: Sequence[str] = ()) -> LiveRun:
    """The state of an execution of another process, or of one that ended, from what the store holds.

    `names` are the destinations of its job, for a run whose own are not written down before its end.
    """
    run = LiveRun(
        execution.id,
        execution.job_name,
        execution.kind,
        execution.status,
        percent=execution.percent,
        bytes_in=execution.bytes_in,
        bytes_out=execution.bytes_out,
        log=list(log),
        started_at=execution.started_at,
        finished_at=execution.finished_at,
        error=execution.error or "",
        remedy=execution.remedy or "",
    )
    if execution.status in (Status.SUCCESS, Status.PARTIAL):
        run.percent = 100.0
    if execution.kind == "run":
        run.destinations = rows_of(execution, names, log)
    _stages_of_record(run, execution)
    return run


def _stages_of_record(run: LiveRun, execution: Execution) -> None:
    """The store keeps the present stage and the log; what stands before in the order is done."""
    seen = {entry.stage for entry in run.log}
    order = run.order
    present = next((stage for stage in Stage if stage.value == execution.stage), None)
    if not execution.status.ended:
        before = order[: order.index(present)] if present in order else ()
        run.stages = {stage: StageState("done") for stage in order if stage in before or stage in seen}
        if present is not None:
            run.stages[present] = StageState("active")
        run.stage = present
        return
    good = execution.status in (Status.SUCCESS, Status.PARTIAL)
    carried = {stage for stage in order if CARRIERS.get(stage) in order}
    run.stages = {
        stage: StageState("done") for stage in order if stage in seen or (good and stage not in carried)
    }
    if good and Stage.RETENTION in order and Stage.RETENTION not in seen:
        run.stages[Stage.RETENTION] = StageState("skipped")
    reached = [stage for stage in order if stage in seen and stage not in AFTERWARDS]
    if not good and reached:  # what carries no log of its own was passed on the way
        for stage in order[: order.index(reached[-1])]:
            run.stages.setdefault(stage, StageState("done"))
    _settle_stages(run, reached or list(order[:1]))


def _settle_stages(run: LiveRun, reached: Sequence[Stage]) -> None:
    """Say of an ended run which stage failed or was stopped: never a check for what was not done."""
    for state in run.stages.values():
        if state.state == "active":
            state.state = "done"
    wrong = [its for its in reached if any(e.stage is its and e.level is LogLevel.ERROR for e in run.log)]
    if run.status is Status.PARTIAL:
        # A verification that could not look at a backup logs no error: its status alone says so.
        for stage in wrong or [its for its in reached if its in run.stages][-1:]:
            run.stages[stage].state = "partial"
    elif run.status in (Status.FAILED, Status.CANCELLED) and reached:
        where = wrong[0] if wrong and run.status is Status.FAILED else reached[-1]
        run.stages[where] = StageState("failed" if run.status is Status.FAILED else "stopped")
        for stage in reached[reached.index(where) + 1 :]:
            run.stages[stage] = StageState("waiting")
