"""The scheduler, with the time handed in: nothing is lost, nothing runs twice, and catch-ups say why."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.errors import SlotTaken
from engine.events import Status
from engine.records import Execution, Job
from engine.scheduler import VERIFY_NAME, VERIFY_SETTING, Scheduler
from tests.parts.queues import Line, OtherProcess, eventually
from tests.parts.stores import add_job

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)  # a Monday
THREE = datetime(2026, 11, 24, 3, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


class Bench:
    """A line with a clock that the test turns, and a scheduler on it."""

    def __init__(self, home: Path) -> None:
        self.now = NOON
        self.line = Line(home, clock=lambda: self.now)
        self.line.work.gate.set()
        self.store = self.line.store
        self.store.settings.set(VERIFY_SETTING, "")
        self.scheduler = self.restart()

    def restart(self) -> Scheduler:
        """A scheduler that knows nothing of the one before, as after a restart."""
        self.scheduler = Scheduler(self.store, self.line.queue, lambda: self.now, verify_all=self.verify_all)
        return self.scheduler

    def verify_all(self, slot: datetime, reason: str) -> str:
        return self.line.queue.enqueue_other("verify", planned_at=slot, trigger="system", reason=reason)

    def at(self, moment: datetime) -> list[Execution]:
        """Turn the clock there and look at the schedules; return what ran because of it."""
        self.now = moment
        return [self.line.queue.wait(its, 30) for its in self.scheduler.tick(moment)]

    def through(self, start: datetime, end: datetime, step: timedelta = MINUTE) -> list[Execution]:
        """Look at the schedules from `start` to `end`, step by step."""
        found = []
        while start <= end:
            found += self.at(start)
            start += step
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.line.close()


def daily(bench: Bench, **values: object) -> Job:
    return add_job(bench.store, **{"schedule": "0 3 * * *", "timezone": "UTC", **values})


def test_a_job_runs_at_its_time_and_once(bench: Bench) -> None:
    job = daily(bench)
    assert bench.through(NOON, THREE - MINUTE, HOUR) == []
    (run,) = bench.through(THREE, THREE + HOUR)
    assert (run.job_id, run.status, run.trigger) == (job.id, Status.SUCCESS, "schedule")
    assert (run.planned_at, run.trigger_reason) == (THREE, "")
    assert len(bench.through(THREE + 2 * HOUR, THREE + DAY)) == 1


def test_days_asleep_are_caught_up_by_one_run_that_says_why(bench: Bench) -> None:
    daily(bench)
    bench.at(NOON)
    (run,) = bench.through(NOON + 3 * DAY, NOON + 3 * DAY + HOUR)
    assert run.trigger == "catch-up"
    assert run.planned_at == THREE + 2 * DAY
    assert run.trigger_reason == (
        "Missed 3 runs between 2026-11-24 03:00 and 2026-11-26 03:00: "
        "the machine was asleep, or its clock was set forward. This one run makes up for them."
    )
    (following,) = bench.through(THREE + 3 * DAY, THREE + 3 * DAY + HOUR)
    assert following.trigger == "schedule"


def test_a_night_that_was_off_is_caught_up_after_the_restart(bench: Bench) -> None:
    daily(bench)
    bench.at(NOON)
    bench.restart()
    (run,) = bench.through(THREE + 6 * HOUR, THREE + 7 * HOUR)
    assert (run.trigger, run.planned_at) == ("catch-up", THREE)
    assert run.trigger_reason == (
        "Missed the run planned for 2026-11-24 03:00: "
        "the machine was off, or Strongroom was not running. This run makes up for it."
    )
    bench.restart()
    assert bench.through(THREE + 8 * HOUR, THREE + 9 * HOUR) == []


def test_a_restart_within_the_minute_does_not_run_it_again(bench: Bench) -> None:
    daily(bench)
    assert len(bench.at(THREE)) == 1
    bench.restart()
    assert bench.at(THREE + timedelta(seconds=20)) == []


def test_a_start_that_is_a_little_late_is_no_catch_up(bench: Bench) -> None:
    daily(bench)
    bench.at(THREE - timedelta(seconds=5))
    (run,) = bench.at(THREE + timedelta(seconds=15))
    assert (run.trigger, run.trigger_reason) == ("schedule", "")


def test_a_minutely_job_of_a_year_ago_is_caught_up_by_one_run(bench: Bench) -> None:
    daily(bench, schedule="* * * * *")
    (run,) = bench.at(NOON + 365 * DAY)
    assert run.planned_at == NOON + 365 * DAY
    assert "Missed more than 1000 runs" in run.trigger_reason


def test_a_disabled_job_does_not_run_nor_catch_up_its_rest(bench: Bench) -> None:
    job = daily(bench)
    bench.at(NOON)
    bench.store.jobs.save(replace(job, enabled=False))
    assert bench.through(THREE, THREE + 2 * HOUR) == []
    bench.now = THREE + 5 * DAY + HOUR
    bench.store.jobs.save(replace(job, enabled=True))
    assert bench.through(bench.now, bench.now + HOUR) == []
    assert len(bench.at(THREE + 6 * DAY)) == 1


def test_a_job_without_a_schedule_never_runs(bench: Bench) -> None:
    daily(bench, schedule=None)
    assert bench.through(NOON, NOON + 2 * DAY, HOUR) == []


def test_a_changed_schedule_does_not_catch_up_the_past(bench: Bench) -> None:
    job = daily(bench)
    assert len(bench.at(THREE)) == 1
    bench.now = THREE + 9 * HOUR
    bench.store.jobs.save(replace(job, schedule="0 11 * * *"))
    assert bench.through(THREE + 9 * HOUR, THREE + 10 * HOUR) == []
    (run,) = bench.through(THREE + DAY, THREE + DAY + 9 * HOUR)
    assert (run.planned_at, run.trigger) == (THREE + DAY + 8 * HOUR, "schedule")


def test_a_job_that_is_still_going_is_run_once_more_after_it(bench: Bench) -> None:
    bench.line.work.gate.clear()
    job = daily(bench, schedule="0 * * * *")
    manual = bench.line.queue.enqueue_run(job)
    eventually(bench.line.runs(manual))
    assert bench.through(NOON + HOUR, NOON + 3 * HOUR, MINUTE * 10) == []
    bench.line.work.gate.set()
    bench.line.queue.wait(manual, 30)
    (run,) = bench.through(NOON + 3 * HOUR + 10 * MINUTE, NOON + 3 * HOUR + 50 * MINUTE)
    assert run.trigger == "catch-up"
    assert "Missed 3 runs" in run.trigger_reason
    assert "the run before was still going" in run.trigger_reason


def test_a_job_that_a_dead_process_keeps_busy_runs_all_the_same(bench: Bench, tmp_path: Path) -> None:
    daily(bench)
    with OtherProcess(tmp_path) as other:
        dead = other.enqueue("shop-nightly")
        eventually(bench.line.runs(dead))
        assert bench.at(THREE) == []
        other.kill()
    (run,) = bench.at(THREE + MINUTE)
    assert run.planned_at == THREE
    assert bench.line.status(dead) is Status.FAILED


def test_a_planned_run_that_never_began_is_caught_up(bench: Bench, tmp_path: Path) -> None:
    """Its process died while it waited in the queue: the planned time is free again."""
    bench.line.work.gate.clear()
    daily(bench)
    blocker = bench.line.queue.enqueue_run(add_job(bench.store, "blocker"))
    eventually(bench.line.runs(blocker))
    with OtherProcess(tmp_path) as other:
        assert other.ask("tick", [THREE.isoformat()]) == 1
        (waiting,) = bench.store.executions.list(job="shop-nightly")
        assert (waiting.status, waiting.planned_at) == (Status.PENDING, THREE)
        assert bench.at(THREE + MINUTE) == []
        other.kill()
    bench.line.work.gate.set()
    (run,) = bench.at(THREE + 2 * MINUTE)
    assert (run.planned_at, run.status) == (THREE, Status.SUCCESS)
    assert bench.line.status(waiting.id) is Status.FAILED


# -- clocks ------------------------------------------------------------------------------------------


def test_a_clock_that_goes_back_an_hour_runs_nothing_twice(bench: Bench) -> None:
    daily(bench)
    assert len(bench.at(THREE)) == 1
    assert bench.through(THREE - HOUR, THREE + HOUR) == []
    assert len(bench.at(THREE + DAY)) == 1


def test_a_clock_that_went_back_behind_the_job_itself_runs_it(bench: Bench) -> None:
    job = daily(bench)
    assert bench.at(NOON - 30 * DAY) == []
    assert bench.store.jobs.get(job.id).scheduled_since == NOON - 30 * DAY
    assert len(bench.at(THREE - 30 * DAY)) == 1


def test_a_year_too_far_costs_one_catch_up_and_no_run_after_it(bench: Bench) -> None:
    daily(bench)
    bench.at(NOON)
    (ahead,) = bench.at(NOON + 365 * DAY)
    assert ahead.trigger == "catch-up"
    assert bench.at(NOON + MINUTE) == []
    planned = [run.planned_at for day in range(5) for run in bench.at(THREE + day * DAY)]
    assert planned == [THREE + day * DAY for day in range(5)]
    (again,) = bench.through(THREE + 364 * DAY, THREE + 364 * DAY + HOUR)
    assert again.planned_at == THREE + 364 * DAY


@pytest.mark.parametrize(
    ("line", "day", "runs"),
    [
        # 02:30 does not exist on that day: cron runs it right after the gap.
        ("30 2 * * *", datetime(2026, 3, 29, tzinfo=UTC), [datetime(2026, 3, 29, 1, tzinfo=UTC)]),
        # 02:30 comes twice: it runs once.
        ("30 2 * * *", datetime(2026, 10, 25, tzinfo=UTC), [datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]),
        # By the day after, the wall clock rules again.
        ("30 2 * * *", datetime(2026, 3, 30, tzinfo=UTC), [datetime(2026, 3, 30, 0, 30, tzinfo=UTC)]),
        ("30 2 * * *", datetime(2026, 10, 26, tzinfo=UTC), [datetime(2026, 10, 26, 1, 30, tzinfo=UTC)]),
    ],
)
def test_a_clock_change_runs_the_night_once(
    bench: Bench, line: str, day: datetime, runs: list[datetime]
) -> None:
    bench.now = day - HOUR
    daily(bench, schedule=line, timezone="Europe/Berlin")
    found = bench.through(day - HOUR, day + 6 * HOUR, timedelta(minutes=5))
    assert [run.planned_at for run in found] == runs


@pytest.mark.parametrize("day", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)])
def test_an_hourly_job_runs_every_hour_through_a_clock_change(bench: Bench, day: datetime) -> None:
    bench.now = day - HOUR - MINUTE
    daily(bench, schedule="0 */1 * * *", timezone="Europe/Berlin")
    found = bench.through(day - HOUR - MINUTE, day + 5 * HOUR, timedelta(minutes=5))
    planned = [run.planned_at for run in found]
    assert len(planned) == len(set(planned))
    assert all(its is not None for its in planned)
    gaps = {later - earlier for earlier, later in itertools.pairwise(planned)}  # type: ignore[operator]
    assert max(gaps) <= 2 * HOUR
    assert len(planned) >= 5


# -- several schedulers ------------------------------------------------------------------------------


def test_two_schedulers_run_each_time_once(bench: Bench, tmp_path: Path) -> None:
    daily(bench)
    moments = [(THREE + number * DAY + timedelta(seconds=1)).isoformat() for number in range(10)]
    with OtherProcess(tmp_path) as first, OtherProcess(tmp_path) as second:
        first.go()
        second.go()
        for number, moment in enumerate(moments):
            first.tell("tick", [moment])
            second.tell("tick", [moment])
            assert first.hear() + second.hear() == 1
            eventually(lambda count=number + 1: len(bench.store.executions.list(None)) == count)
            for run in bench.store.executions.active():
                bench.line.queue.wait(run.id, 30)
    planned = [run.planned_at for run in bench.store.executions.list(None)]
    assert planned == [THREE + number * DAY for number in reversed(range(10))]


def test_a_catch_up_is_claimed_by_one_scheduler(bench: Bench, tmp_path: Path) -> None:
    daily(bench)
    late = [(THREE + 4 * DAY + HOUR + number * MINUTE).isoformat() for number in range(5)]
    with OtherProcess(tmp_path) as first, OtherProcess(tmp_path) as second:
        first.tell("tick", late)
        second.tell("tick", late)
        assert first.hear() + second.hear() == 1
        assert len(bench.store.executions.list(None)) == 1


# -- the system task ---------------------------------------------------------------------------------


def test_all_backups_are_verified_every_week(bench: Bench) -> None:
    bench.store.settings.set(VERIFY_SETTING, "0 3 * * 2")
    found = bench.through(NOON, NOON + 14 * DAY, HOUR)
    assert [(run.kind, run.job_id, run.trigger) for run in found] == [("verify", None, "system")] * 2
    assert [run.planned_at for run in found] == [THREE, THREE + 7 * DAY]


def test_the_verification_is_weekly_by_default_and_can_be_switched_off(bench: Bench) -> None:
    bench.store.settings.delete(VERIFY_SETTING)
    bench.at(NOON)
    assert [name for name, _ in bench.scheduler.next_runs()] == [VERIFY_NAME]
    assert len(bench.through(NOON, NOON + 21 * DAY, HOUR * 6)) == 3
    bench.store.settings.set(VERIFY_SETTING, "")
    assert bench.through(NOON + 21 * DAY, NOON + 60 * DAY, HOUR * 6) == []
    assert bench.scheduler.next_runs() == []


def test_missed_weeks_are_verified_once_and_a_new_line_starts_anew(bench: Bench) -> None:
    bench.store.settings.set(VERIFY_SETTING, "0 3 * * 2")
    bench.at(NOON)
    bench.restart()
    (run,) = bench.through(NOON + 30 * DAY, NOON + 30 * DAY + HOUR)
    assert "Missed 5 runs between" in run.trigger_reason
    bench.store.settings.set(VERIFY_SETTING, "0 3 * * 1")
    assert bench.at(NOON + 40 * DAY) == []
    assert bench.through(NOON + 40 * DAY, NOON + 46 * DAY, HOUR) != []


def test_the_verification_is_claimed_by_one_of_two_schedulers(bench: Bench, tmp_path: Path) -> None:
    bench.store.settings.set(VERIFY_SETTING, "0 3 * * 2")
    bench.at(NOON)
    moments = [(THREE + number * MINUTE).isoformat() for number in range(5)]
    with OtherProcess(tmp_path) as first, OtherProcess(tmp_path) as second:
        first.tell("tick", moments)
        second.tell("tick", moments)
        assert first.hear() + second.hear() == 1
        assert len(bench.store.executions.list(None, kind="verify")) == 1


# -- trouble -----------------------------------------------------------------------------------------


def test_one_broken_schedule_does_not_keep_the_others_from_running(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    for name, values in {"a": {"schedule": "61 3 * * *"}, "b": {"timezone": "Mars/Olympus"}, "c": {}}.items():
        daily(bench, name=name, **values)
    (run,) = bench.through(THREE, THREE + MINUTE)
    assert run.job_name == "c"
    assert len([line for line in caplog.records if "cannot run by its schedule" in line.message]) == 2
    assert [name for name, _ in bench.scheduler.next_runs()] == ["c"]


def test_a_time_that_was_taken_in_between_is_no_trouble(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    daily(bench)

    def taken(*arguments: object, **values: object) -> str:
        raise SlotTaken("taken")

    monkeypatch.setattr(bench.line.queue, "enqueue_run", taken)
    assert bench.at(THREE) == []
    assert caplog.records == []


def test_the_next_runs_are_told_soonest_first(bench: Bench) -> None:
    daily(bench)
    daily(bench, name="hourly", schedule="@hourly")
    daily(bench, name="off", enabled=False)
    assert bench.scheduler.next_runs() == [("hourly", NOON + HOUR), ("shop-nightly", THREE)]


def test_the_thread_runs_what_is_due_and_stops(bench: Bench) -> None:
    daily(bench, schedule="* * * * *")
    bench.now = NOON + timedelta(seconds=61)
    bench.scheduler.start()
    bench.scheduler.start()
    eventually(lambda: len(bench.store.executions.list()) == 1)
    bench.line.queue.wait("#1", 30)
    bench.now += MINUTE
    bench.scheduler.wake()
    eventually(lambda: len(bench.store.executions.list()) == 2)
    bench.scheduler.stop()
    bench.scheduler.stop()
    assert not [its for its in threading.enumerate() if its.name == "strongroom-scheduler"]
