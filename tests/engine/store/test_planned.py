"""Planned times: one execution takes each, over processes, whatever the clock does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.errors import SlotTaken
from engine.store.database import Store
from tests.parts.queues import OtherProcess

NOW = datetime(2026, 11, 24, 3, 0, 5, tzinfo=UTC)
SLOT = NOW.replace(second=0)
DAY = timedelta(days=1)


@pytest.fixture
def store(path: Path) -> Store:
    with Store(path, clock=lambda: NOW) as opened:
        yield opened


@pytest.mark.parametrize("kind", ["run", "verify"])
def test_a_time_is_taken_once_for_a_job_and_for_a_system_task(store: Store, kind: str) -> None:
    job = "job" if kind == "run" else None
    store.executions.add("first", kind=kind, job_id=job, planned_at=SLOT)  # type: ignore[arg-type]
    with pytest.raises(SlotTaken):
        store.executions.add("second", kind=kind, job_id=job, planned_at=SLOT)  # type: ignore[arg-type]
    store.executions.add("other", job_id="another", planned_at=SLOT)
    assert store.executions.find("second") is None


def test_a_time_before_the_latest_is_gone(store: Store) -> None:
    store.executions.add("first", job_id="job", planned_at=SLOT)
    with pytest.raises(SlotTaken):
        store.executions.add("second", job_id="job", planned_at=SLOT - DAY)


def test_whoever_counted_from_an_older_time_counts_again(store: Store) -> None:
    store.executions.add("first", job_id="job", planned_at=SLOT - DAY)
    with pytest.raises(SlotTaken):
        store.executions.add("second", job_id="job", planned_at=SLOT, planned_since=SLOT - 3 * DAY)
    store.executions.add("third", job_id="job", planned_at=SLOT, planned_since=SLOT - DAY)


def test_a_time_in_the_future_takes_no_earlier_one(store: Store) -> None:
    store.executions.add("by a wrong clock", job_id="job", planned_at=SLOT + 300 * DAY)
    store.executions.add("now", job_id="job", planned_at=SLOT)
    assert store.planned.latest(NOW) == {("job", "run"): (SLOT, SLOT + 300 * DAY)}
    assert store.planned.free_after("job", "run", SLOT + DAY) == 1
    assert store.planned.latest(NOW) == {("job", "run"): (SLOT, SLOT)}


def test_only_a_future_time_is_no_latest(store: Store) -> None:
    store.executions.add("ahead", kind="verify", planned_at=SLOT + DAY)
    assert store.planned.latest(NOW) == {(None, "verify"): (None, SLOT + DAY)}


def test_two_processes_take_each_time_once(store: Store, path: Path) -> None:
    slots = [(SLOT + number * DAY).isoformat() for number in range(20)]
    (path.parent / "locks").mkdir()
    with OtherProcess(path.parent) as first, OtherProcess(path.parent) as second:
        wins = 0
        for number, slot in enumerate(slots):
            first.tell("add_planned", f"a{number}", "job", "run", slot)
            second.tell("add_planned", f"b{number}", "job", "run", slot)
            answers = [first.hear(), second.hear()]
            assert sorted(answers) == [False, True]
            wins += answers[0]
    assert len(store.executions.list(None)) == 20
