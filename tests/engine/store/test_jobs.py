"""Jobs with all that belongs to them, and since when their schedule counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.errors import ConfigError, NotFound
from engine.events import Status
from engine.records import Endpoint, JobDestination, JobNotifier, JobOptions
from engine.store.database import Store
from engine.store.models import JobRow
from tests.parts.stores import add_job

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_a_job_comes_back_as_it_was_saved(store: Store) -> None:
    job = add_job(
        store,
        schedule="0 3 * * *",
        timezone="Europe/Berlin",
        compression="zstd:9",
        encryption="none",
        naming="{job}/{date}",
        options=JobOptions(parallel_uploads=1, retries=2, time_limit=3600, collapse_ratio=0.25),
    )
    assert store.jobs.get(job.name) == store.jobs.get(job.id) == job
    assert store.jobs.list() == [job]
    assert [its.name for its in job.destinations] == ["shop-nightly near", "shop-nightly far"]
    assert job.destinations[1].retention == {"mode": "simple", "keep": 3}
    assert job.notifiers[0].statuses == (Status.PARTIAL, Status.FAILED)


def test_destinations_and_notifiers_can_change(store: Store) -> None:
    job = add_job(store)
    third = store.endpoints.save(Endpoint("destination", "", "third", "local", {}))
    near = job.destinations[0]
    changed = store.jobs.save(
        replace(
            job,
            name="renamed",
            destinations=(replace(near, priority=9), JobDestination(third.id, "third", 1)),
            notifiers=(),
        )
    )
    assert [its.name for its in changed.destinations] == ["third", near.name]
    assert changed.notifiers == ()
    assert store.jobs.get("renamed") == changed
    assert changed.id == job.id


def test_a_destination_that_was_renamed_shows_its_new_name(store: Store) -> None:
    job = add_job(store)
    near = store.endpoints.get("destination", job.destinations[0].destination_id)
    store.endpoints.save(replace(near, name="attic"))
    assert store.jobs.get(job.id).destinations[0].name == "attic"


def test_two_jobs_have_two_names(store: Store) -> None:
    job = add_job(store)
    with pytest.raises(ConfigError, match="already"):
        store.jobs.save(replace(job, id=""))


@pytest.mark.parametrize("part", ["source", "destination", "notifier"])
def test_a_job_is_not_saved_with_a_part_that_is_gone(store: Store, part: str) -> None:
    job = add_job(store)
    broken = {
        "source": replace(job, source_id="gone", source_name="the source"),
        "destination": replace(job, destinations=(JobDestination("gone", "the destination"),)),
        "notifier": replace(job, notifiers=(JobNotifier("gone", "the notifier"),)),
    }[part]
    with pytest.raises(NotFound, match=f"The {part} 'the {part}' of the job"):
        store.jobs.save(broken)
    assert store.jobs.get(job.id) == job


def test_a_job_that_is_not_there_brings_the_names_that_are_close(store: Store) -> None:
    add_job(store)
    with pytest.raises(NotFound) as caught:
        store.jobs.get("shop-nihgtly")
    assert caught.value.remedy == "Did you mean shop-nightly?"


def test_a_deleted_job_leaves_its_history(store: Store) -> None:
    job = add_job(store)
    store.executions.add("run", job_id=job.id, job_name=job.name)
    store.jobs.delete(job.name)
    assert store.jobs.find(job.id) is None
    assert [its.id for its in store.executions.list(job="shop-nightly")] == ["run"]


def test_options_of_a_newer_version_are_left_alone(store: Store) -> None:
    job = add_job(store)
    with store.write() as session:
        session.get_one(JobRow, job.id).options = {"retries": 3, "from_the_future": True}
    assert store.jobs.get(job.id).options == JobOptions(retries=3)


class TestSince:
    """`scheduled_since`: what lies before it is never caught up."""

    @pytest.fixture
    def now(self) -> list[datetime]:
        return [NOW]

    @pytest.fixture
    def store(self, path: Path, now: list[datetime]) -> Store:
        return Store(path, clock=lambda: now[0])

    @pytest.fixture(autouse=True)
    def closed(self, store: Store) -> None:
        self.store = store
        yield
        store.close()

    def test_a_new_job_counts_from_now_on(self) -> None:
        assert add_job(self.store, schedule="@daily").scheduled_since == NOW

    @pytest.mark.parametrize(
        "change", [{"schedule": "@weekly"}, {"timezone": "Asia/Tokyo"}, {"enabled": False}]
    )
    def test_a_changed_schedule_counts_from_the_change_on(
        self, now: list[datetime], change: dict[str, object]
    ) -> None:
        job = add_job(self.store, schedule="@daily")
        now[0] += timedelta(days=3)
        changed = self.store.jobs.save(replace(job, **change))  # type: ignore[arg-type]
        assert changed.scheduled_since == now[0]

    def test_another_change_keeps_it(self, now: list[datetime]) -> None:
        job = add_job(self.store, schedule="@daily")
        now[0] += timedelta(days=3)
        assert self.store.jobs.save(replace(job, name="renamed")).scheduled_since == NOW
        assert self.store.jobs.save(replace(job, scheduled_since=None)).scheduled_since == NOW

    def test_whoever_says_since_when_is_heard(self, now: list[datetime]) -> None:
        job = add_job(self.store, schedule="@daily")
        earlier = NOW - timedelta(days=9)
        assert self.store.jobs.save(replace(job, scheduled_since=earlier)).scheduled_since == earlier
        self.store.jobs.restart_schedule(job.id, now[0])
        assert self.store.jobs.get(job.id).scheduled_since == NOW
        self.store.jobs.restart_schedule("gone", now[0])
