"""Executions: numbered, followed, ended once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.errors import NotFound
from engine.events import Status
from engine.records import ArtifactResult, CopyResult, DestinationResult
from engine.store.database import Store

LATER = datetime(2026, 11, 24, 3, tzinfo=UTC)


def test_executions_are_numbered_and_found_by_id_or_number(store: Store) -> None:
    for its in ("first", "second"):
        store.executions.add(its, job_id="job", job_name="shop", labels={"by": "test"})
    found = store.executions.get("#2")
    assert (found.id, found.seq, found.status) == ("second", 2, Status.PENDING)
    assert found.labels == {"by": "test"}
    assert store.executions.get("1").id == store.executions.get("first").id == "first"
    assert store.executions.find("#3") is None


@pytest.mark.parametrize("name", ["#3", "nothing", "", "#", "99999999999999999999", "²"])
def test_what_is_not_there_is_said(store: Store, name: str) -> None:
    store.executions.add("first")
    with pytest.raises(NotFound) as caught:
        store.executions.get(name)
    assert "The newest is #1" in caught.value.remedy


def test_the_list_is_newest_first_and_can_be_narrowed(store: Store) -> None:
    for number in range(5):
        store.executions.add(f"run{number}", job_id=f"job{number % 2}", job_name=f"name{number % 2}")
    store.executions.add("check", kind="verify")
    store.executions.settle("run1", Status.FAILED)

    def ids(**narrowed: object) -> list[str]:
        return [its.id for its in store.executions.list(**narrowed)]  # type: ignore[arg-type]

    assert ids() == ["check", "run4", "run3", "run2", "run1", "run0"]
    assert ids(limit=2) == ["check", "run4"]
    assert ids(limit=2, before_seq=5) == ["run3", "run2"]
    assert ids(job="job1") == ids(job="name1") == ["run3", "run1"]
    assert ids(kind="verify") == ["check"]
    assert ids(statuses=[Status.FAILED]) == ["run1"]
    assert [its.id for its in store.executions.active("job1")] == ["run3"]
    last, failed = store.executions.last("job1"), store.executions.last("job1", [Status.FAILED])
    assert last is not None and failed is not None
    assert (last.id, failed.id) == ("run3", "run1")
    assert store.executions.last("nothing") is None


def test_progress_is_kept_while_it_runs_and_not_after(store: Store) -> None:
    store.executions.add("run")
    store.executions.set_progress("run", stage="dump", percent=12.5, bytes_in=100, bytes_out=50)
    store.executions.set_progress("run", bytes_out=60)
    found = store.executions.get("run")
    assert (found.stage, found.percent, found.bytes_in, found.bytes_out) == ("dump", 12.5, 100, 60)
    store.executions.settle("run", Status.SUCCESS)
    store.executions.set_progress("run", bytes_out=999)
    assert store.executions.get("run").bytes_out == 60


def test_an_outcome_is_written_whole_and_once(store: Store) -> None:
    store.executions.add("run", job_id="job")
    store.claims.start("run")
    artifact = ArtifactResult("shop", "shop/a.zst", Status.SUCCESS, 10, 100, "ab" * 32)
    near = DestinationResult("d1", "near", Status.SUCCESS, 1, "shop/a.zst", "read back", None, 10)
    far = DestinationResult("d2", "far", Status.FAILED, 0, error="refused")
    near_copy = CopyResult("d1", "shop", "shop/a.zst", Status.SUCCESS, "read back", None, 10)
    far_copy = CopyResult("d2", "shop", "shop/a.zst", Status.FAILED, error="refused")
    ended = store.executions.finish(
        "run",
        status=Status.PARTIAL,
        finished_at=LATER,
        error="far: refused",
        error_kind="StorageError",
        remedy="Test it.",
        artifacts=[artifact],
        destinations=[near, far],
        copies=[near_copy, far_copy],
    )
    assert ended == store.executions.get("run")
    assert (ended.status, ended.finished_at, ended.error) == (Status.PARTIAL, LATER, "far: refused")
    assert ended.artifacts == (artifact,)
    assert ended.destinations == (far, near)
    assert ended.copies == (far_copy, near_copy), "in the order of the destinations"
    assert store.executions.list() == [ended]
    assert store.executions.finish("run", status=Status.FAILED) is None
    assert store.executions.settle("run", Status.FAILED) is None
    assert store.executions.get("run").status is Status.PARTIAL


def test_settling_minds_the_status_it_may_come_from(store: Store) -> None:
    store.executions.add("run", planned_at=LATER - timedelta(days=1))
    store.claims.start("run")
    assert store.executions.settle("run", Status.CANCELLED, only_if=(Status.PENDING,)) is None
    freed = store.executions.settle("run", Status.FAILED, free_slot=True)
    assert freed is not None and freed.planned_at is None
    for write in (store.executions.settle, lambda its, status: store.executions.finish(its, status=status)):
        with pytest.raises(ValueError, match="no end"):
            write("run", Status.RUNNING)


def test_nothing_is_written_to_what_is_not_there(store: Store) -> None:
    with pytest.raises(NotFound):
        store.executions.set_labels("gone", {})
    with pytest.raises(NotFound):
        store.executions.finish("gone", status=Status.FAILED)


def test_labels_are_added(store: Store) -> None:
    store.executions.add("run", labels={"a": 1})
    store.executions.set_labels("run", {"b": [2]})
    assert store.executions.get("run").labels == {"a": 1, "b": [2]}


def test_a_naive_time_is_refused(store: Store) -> None:
    with pytest.raises(Exception, match="naive"):
        store.executions.add("run", planned_at=datetime(2026, 1, 1))
