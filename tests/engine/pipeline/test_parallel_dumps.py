"""Several databases at once: as many as the job says, none lost; and what vanished since the last run."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from engine.cancellation import CancelToken
from engine.events import Status
from engine.notify import message_of
from engine.records import JobOptions
from tests.conftest import Bench, make_shop
from tests.parts.faulty import GATES

NAMES = ["a", "b", "c", "d"]


class Together:
    """Lets dumps on only when so many are at it at once; notes the most that ever were."""

    def __init__(self, width: int) -> None:
        self.barrier = threading.Barrier(width)
        self.at_once = self.most = 0
        self._lock = threading.Lock()

    def hold(self, cancel: CancelToken) -> None:
        with self._lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        try:
            self.barrier.wait(10)
        finally:
            with self._lock:
                self.at_once -= 1

    @property
    def opened(self) -> threading.Event:
        return threading.Event()


@pytest.fixture
def together() -> Iterator[Together]:
    GATES["dump"] = Together(2)  # type: ignore[assignment]
    yield GATES["dump"]  # type: ignore[misc]
    GATES.pop("dump")


def source(bench: Bench, **more: object) -> dict[str, object]:
    return {"path": str(make_shop(bench.folder / "shop.sqlite")), "names": NAMES, **more}


def test_as_many_as_the_job_says_are_dumped_at_once(bench: Bench, together: Together) -> None:
    job = bench.job(
        source="faulty-source", source_values=source(bench, gate="dump"), options=JobOptions(parallel_dumps=2)
    )
    execution = bench.run(job)
    assert execution.status is Status.SUCCESS, execution.error
    assert together.most == 2
    assert [its.database for its in execution.artifacts] == NAMES
    backups = bench.workspace.catalogue.list()
    assert sorted(its.sidecar.database for its in backups) == NAMES
    assert len({its.sidecar.set_id for its in backups}) == 1
    verified = bench.workspace.wait(bench.workspace.verify(None, "decode"), 60)
    assert verified.status is Status.SUCCESS
    assert list(bench.workspace.home.spool.iterdir()) == []


def test_more_workers_than_databases_are_no_harm_and_one_failure_is_its_own(bench: Bench) -> None:
    job = bench.job(
        source="faulty-source",
        source_values=source(bench, broken=["c"]),
        options=JobOptions(parallel_dumps=16),
    )
    execution = bench.run(job)
    assert execution.status is Status.PARTIAL
    assert {its.database: its.status for its in execution.artifacts} == {
        **dict.fromkeys(NAMES, Status.SUCCESS),
        "c": Status.FAILED,
    }


def test_a_database_that_vanished_since_the_last_run_is_told(bench: Bench) -> None:
    job = bench.job(source="faulty-source", source_values=source(bench))
    bench.run(job)
    its = bench.workspace.endpoints.get("source", job.source_id)
    bench.workspace.endpoints.save(
        "source", its.name, its.adapter, {**its.config, "names": ["a", "d", "e"]}, id=its.id
    )
    execution = bench.run(job)
    assert execution.status is Status.SUCCESS
    assert any("Not there any more, or not chosen: b, c." in line for line in bench.log_of(execution))
    assert ("Not there any more", "b, c") in message_of(execution).facts
    assert [artifact.database for artifact in execution.artifacts] == ["a", "d", "e"]
    assert "vanished" not in bench.run(job).labels
