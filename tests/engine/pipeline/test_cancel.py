"""A cancel ends a run in every stage within seconds, as Cancelled, and leaves nothing behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from engine.cli import documents
from engine.events import DestinationProgress, DestinationState, Event, Status
from engine.records import Job, JobOptions
from tests.conftest import Bench, make_shop
from tests.parts.faulty import GATES, Gate


def gated(bench: Bench, stage: str) -> Callable[[], Job]:
    """A job that stops at a gate in that stage."""

    def make() -> Job:
        GATES[stage] = Gate()
        shop = make_shop(bench.folder / "shop.sqlite")
        source: dict[str, object] = {"path": str(shop)}
        folder: dict[str, object] = {"path": str(bench.folder / "vault")}
        (source if stage in ("initialize", "dump") else folder)["gate"] = stage
        return bench.job(
            source="faulty-source", source_values=source, destinations={"vault": ("faulty-folder", folder)}
        )

    return make


@pytest.mark.parametrize("stage", ["initialize", "dump", "upload", "sidecar"])
def test_a_cancel_in_each_stage_ends_the_run_and_leaves_nothing(bench: Bench, stage: str) -> None:
    job = gated(bench, stage)()
    execution_id = bench.workspace.run_job(job.id)
    assert GATES[stage].reached.wait(20)

    begun = time.monotonic()
    bench.workspace.cancel(execution_id)
    execution = bench.workspace.wait(execution_id, 20)

    assert execution.status is Status.CANCELLED, bench.log_of(execution)
    assert time.monotonic() - begun < 5, "DESIGN, section 2: within 5 s"
    assert not (bench.folder / "vault").exists() or bench.stored() == []
    assert list(bench.workspace.home.spool.iterdir()) == []
    assert list(bench.workspace.home.scratch.iterdir()) == []
    assert bench.workspace.store.leftovers.list() == []


def test_a_destination_that_had_finished_before_the_cancel_keeps_its_backup(bench: Bench) -> None:
    GATES["upload"] = Gate()
    destinations = {
        "quick": ("local", {"path": str(bench.folder / "quick")}),
        "slow": ("faulty-folder", {"path": str(bench.folder / "slow"), "gate": "upload"}),
    }
    job = bench.job(destinations=destinations)
    quick = threading.Event()

    def watch(event: Event) -> None:
        if isinstance(event, DestinationProgress) and event.state is DestinationState.SUCCESS:
            quick.set()  # the other one never gets past its gate

    bench.workspace.events.subscribe(watch)
    execution_id = bench.workspace.run_job(job.id)
    assert GATES["upload"].reached.wait(20)
    assert quick.wait(20)

    bench.workspace.cancel(execution_id)
    execution = bench.workspace.wait(execution_id, 20)

    assert execution.status is Status.CANCELLED
    assert {its.name: its.status for its in execution.destinations} == {
        "quick": Status.SUCCESS,
        "slow": Status.CANCELLED,
    }
    assert len(bench.stored("quick")) == 2
    assert bench.stored("slow") == [] if (bench.folder / "slow").exists() else True


def test_a_copy_that_was_whole_before_the_cancel_counts_though_its_destination_lacks_the_next(
    bench: Bench,
) -> None:
    shop = make_shop(bench.folder / "shop.sqlite")
    job = bench.job(source="faulty-source", source_values={"path": str(shop), "names": ["a", "b"]})

    def stop(event: Event) -> None:
        if isinstance(event, DestinationProgress) and event.state is DestinationState.SUCCESS:
            bench.workspace.cancel(event.execution_id)

    bench.workspace.events.subscribe(stop)

    execution = bench.run(job)

    assert execution.status is Status.CANCELLED
    assert execution.destinations[0].status is Status.CANCELLED
    first, *rest = execution.copies
    assert (first.database, first.status) == ("a", Status.SUCCESS)
    assert [its.status for its in rest] in ([], [Status.CANCELLED])
    assert [backup.sidecar.database for backup in bench.workspace.catalogue.list()] == ["a"]
    assert [its["database"] for its in documents.execution(execution)["backups"]] == ["a"]


def test_a_cancelled_run_can_be_run_again(bench: Bench) -> None:
    job = gated(bench, "dump")()
    execution_id = bench.workspace.run_job(job.id)
    assert GATES["dump"].reached.wait(20)
    bench.workspace.cancel(execution_id)
    bench.workspace.wait(execution_id, 20)

    GATES["dump"] = Gate()
    GATES["dump"].opened.set()
    assert bench.run(job).status is Status.SUCCESS
    assert len(bench.stored()) == 2


def test_a_time_limit_fails_the_run_and_says_so(bench: Bench) -> None:
    job = gated(bench, "dump")()
    job = bench.workspace.jobs.save(replace(job, options=JobOptions(time_limit=1)))

    execution = bench.run(job)

    assert (execution.status, execution.error_kind) == (Status.FAILED, "TimeLimit")
    assert any(line.startswith("Failed after") for line in bench.log_of(execution))
    assert bench.stored() == []


def test_a_cancel_that_comes_when_all_is_stored_changes_nothing(bench: Bench) -> None:
    job = bench.job()

    def stop(event: Event) -> None:
        if isinstance(event, DestinationProgress) and event.state is DestinationState.SUCCESS:
            bench.workspace.cancel(event.execution_id)

    bench.workspace.events.subscribe(stop)

    execution = bench.run(job)

    assert execution.status is Status.SUCCESS
    assert len(bench.stored()) == 2
