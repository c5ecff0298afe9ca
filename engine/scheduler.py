"""Starts jobs by their cron lines, and the weekly verification of all backups, while a window or agent lives.

Wall-clock time in the job's own zone; each planned time is claimed once, by UNIQUE(job, planned_at), by
whichever process comes first. What was missed is caught up by exactly one run, with the reason on it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from engine.clock import Clock
from engine.errors import SlotTaken, StrongroomError
from engine.queue import QueueManager
from engine.records import Job, Trigger
from engine.rules import schedule

if TYPE_CHECKING:
    from engine.store.database import Store

_log = logging.getLogger(__name__)

VERIFY_SETTING = "verifySchedule"
"""The cron line of the verification of all backups, in the machine's zone; empty switches it off."""
VERIFY_DEFAULT = "30 4 * * 0"
VERIFY_SINCE = "verifyScheduleSince"
"""The line that planned times are counted for, and from when on."""
VERIFY_NAME = "Verification of all backups"

ON_TIME = timedelta(seconds=90)
"""A run that is started within this time of its planned one is no catch-up."""
LONGEST_PAUSE = 20.0
"""Seconds between two looks at most: a clock that was set, a sleep or a changed job is seen by then."""

VerifyAll = Callable[[datetime, str], str]
"""Queues the verification planned for that time (`enqueue_other("verify", planned_at=...)`), with the
reason to log; returns the execution's ID, and raises `SlotTaken`."""


@dataclass(frozen=True, slots=True)
class _Task:
    """What is planned: a job, or (without one) the verification. Its times count from `since` on."""

    name: str
    line: str
    zone: ZoneInfo
    since: datetime
    job: Job | None = None

    @property
    def kind(self) -> Literal["run", "verify"]:
        return "verify" if self.job is None else "run"

    @property
    def key(self) -> tuple[str | None, str]:
        """As the store groups planned times: by job and kind."""
        return (self.job.id if self.job else None, self.kind)


class Scheduler:
    """`start` and `stop` its thread, or call `tick` yourself. Any number may work on one store."""

    def __init__(self, store: Store, queue: QueueManager, clock: Clock, *, verify_all: VerifyAll) -> None:
        self._store = store
        self._queue = queue
        self._clock = clock
        self._verify_all = verify_all
        self._last_tick: datetime | None = None
        self._held: set[tuple[str | None, str]] = set()
        self._told: dict[str, str] = {}
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    # -- the thread ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Look at the schedules from now on, on a thread of its own. Does nothing if it does so already."""
        if self._thread is not None:
            return
        self._stopping = False
        self._thread = threading.Thread(target=self._loop, name="strongroom-scheduler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Start nothing more; what was queued goes on."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def wake(self) -> None:
        """Look again at once: a job was changed."""
        self._wake.set()

    def _loop(self) -> None:
        while True:
            self._wake.clear()  # before the look: what wakes it during the look is not missed
            if self._stopping:
                return
            pause = LONGEST_PAUSE
            try:
                self.tick()
                now = self._clock()
                upcoming = [(planned - now).total_seconds() for _, planned in self.next_runs(now)]
                pause = max(0.05, min([LONGEST_PAUSE, *upcoming]))
            except Exception as error:  # a full disk, a locked store: the next look may do better
                _log.warning("the scheduler could not look at the schedules: %s", error)
            self._wake.wait(pause)

    # -- what is due ---------------------------------------------------------------------------------

    def tick(self, now: datetime | None = None) -> list[str]:
        """Queue all that is due at `now` (UTC); return the executions' IDs.

        A planned time waits while the job still runs or waits in the queue, and is caught up after it.
        """
        now = self._clock() if now is None else now
        why = self._why(now)
        if any(not self._queue.is_own(its.id) for its in self._store.executions.active()):
            self._queue.settle_orphans()  # whom a dead process keeps busy is free
        busy = {
            (its.job_id, its.kind)
            for its in self._store.executions.active()
            if its.kind == "run" or its.planned_at is not None
        }
        planned = self._store.planned.latest(now)
        started = []
        for task in self._tasks(now):
            latest, furthest = planned.get(task.key, (None, None))
            try:
                if furthest is not None and furthest > now:
                    self._free_far_ahead(task, now)
                execution_id = self._start_if_due(task, latest, now, why, busy=task.key in busy)
            except SlotTaken:
                continue
            except StrongroomError as error:
                self._tell(task.name, error)
            else:
                started += [execution_id] if execution_id is not None else []
        self._last_tick = now
        return started

    def next_runs(self, now: datetime | None = None) -> list[tuple[str, datetime]]:
        """What runs next: names with their planned times (UTC), the soonest first."""
        now = self._clock() if now is None else now
        upcoming = [(task.name, schedule.next_after(task.line, task.zone, now)) for task in self._tasks(now)]
        return sorted(upcoming, key=lambda its: (its[1], its[0]))

    def _start_if_due(
        self, task: _Task, latest: datetime | None, now: datetime, why: str, *, busy: bool
    ) -> str | None:
        since = task.since if latest is None else max(task.since, latest)
        missed = schedule.missed(task.line, task.zone, since, now)
        if missed is None:
            return None
        if busy:
            self._held.add(task.key)
            return None
        trigger: Trigger = "schedule" if task.job else "system"
        said = ""
        if missed.count > 1 or now - missed.latest > ON_TIME:
            trigger = "catch-up" if task.job else "system"
            held = task.key in self._held
            said = _missed_text(task, missed, "the run before was still going" if held else why)
        if task.job is None:
            execution_id = self._verify_all(missed.latest, said)
        else:
            execution_id = self._queue.enqueue_run(
                task.job, trigger=trigger, reason=said, planned_at=missed.latest, planned_since=since
            )
        self._held.discard(task.key)
        return execution_id

    def _why(self, now: datetime) -> str:
        if self._last_tick is None:
            return "the machine was off, or Strongroom was not running"
        if now - self._last_tick > timedelta(seconds=2 * LONGEST_PAUSE):
            return "the machine was asleep, or its clock was set forward"
        return "it could not be started in time"

    def _free_far_ahead(self, task: _Task, now: datetime) -> None:
        """Give back what was taken under a clock that ran ahead, so that those times are not lost.

        The very next planned time stays taken: after a small step back, it was run only just now.
        """
        upcoming = schedule.next_after(task.line, task.zone, now)
        self._store.planned.free_after(task.job.id if task.job else None, task.kind, upcoming)

    # -- what is planned -----------------------------------------------------------------------------

    def _tasks(self, now: datetime) -> Iterator[_Task]:
        for job in self._store.jobs.list():
            if not job.enabled or not job.schedule:
                continue
            try:
                schedule.parse_cron(job.schedule)
                zone = schedule.resolve_zone(job.timezone)
            except StrongroomError as error:
                self._tell(job.name, error)
                continue
            since = job.scheduled_since or now
            if since > now or job.scheduled_since is None:  # the clock went back behind it
                since = now
                self._store.jobs.restart_schedule(job.id, now)
            yield _Task(job.name, job.schedule, zone, since, job)
        line = str(self._store.settings.get(VERIFY_SETTING, VERIFY_DEFAULT) or "").strip()
        if line:
            try:
                schedule.parse_cron(line)
                zone = schedule.resolve_zone(None)
            except StrongroomError as error:
                self._tell(VERIFY_NAME, error)
                return
            yield _Task(VERIFY_NAME, line, zone, self._verify_since(line, now))

    def _verify_since(self, line: str, now: datetime) -> datetime:
        kept = self._store.settings.get(VERIFY_SINCE)
        if isinstance(kept, dict) and kept.get("line") == line:
            since = datetime.fromisoformat(str(kept.get("since")))
            if since <= now:
                return since
        self._store.settings.set(VERIFY_SINCE, {"line": line, "since": now.isoformat()})
        return now

    def _tell(self, name: str, error: StrongroomError) -> None:
        """Log what keeps something from running, once for each cause."""
        if self._told.get(name) != str(error):
            self._told[name] = str(error)
            _log.error("%s cannot run by its schedule: %s", name, error)


def _missed_text(task: _Task, missed: schedule.Missed, why: str) -> str:
    first, latest = (its.astimezone(task.zone) for its in (missed.first, missed.latest))
    if missed.count == 1:
        return f"Missed the run planned for {latest:%Y-%m-%d %H:%M}: {why}. This run makes up for it."
    return (
        f"Missed {missed.words} between {first:%Y-%m-%d %H:%M} and {latest:%Y-%m-%d %H:%M}: {why}. "
        "This one run makes up for them."
    )
