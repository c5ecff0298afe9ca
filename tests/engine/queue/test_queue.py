"""The queue: its order over processes, its limit, cancels, retries, time limits, and what the dead left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.cancellation import CancelToken
from engine.errors import Cancelled, NotFound, StorageFull, StoreError, StrongroomError
from engine.events import ExecutionFinished, ExecutionQueued, Status
from engine.records import Execution, JobOptions
from tests.parts.queues import Line, OtherProcess, eventually
from tests.parts.stores import add_job

SLOT = datetime(2026, 11, 24, 3, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def line(home: Path) -> Iterator[Line]:
    opened = Line(home)
    yield opened
    opened.close()


@pytest.fixture
def other(line: Line, home: Path) -> Iterator[OtherProcess]:
    with OtherProcess(home) as process:
        yield process


# -- order and limit ---------------------------------------------------------------------------------


def test_runs_start_one_after_the_other_in_the_order_of_queueing(line: Line) -> None:
    jobs = [add_job(line.store, f"job {number}") for number in range(4)]
    ids = [line.queue.enqueue_run(job) for job in jobs]
    line.work.gate.set()
    ended = [line.queue.wait(its, 30) for its in ids]
    assert line.work.order == ids
    assert line.work.most_at_once == 1
    assert [its.status for its in ended] == [Status.SUCCESS] * 4
    assert [its.seq for its in ended] == sorted(its.seq for its in ended)


def test_the_order_holds_over_processes(line: Line, other: OtherProcess) -> None:
    for number in range(4):
        add_job(line.store, f"job {number}")
    jobs = line.store.jobs
    first = other.enqueue("job 0")
    eventually(line.runs(first))
    second = line.queue.enqueue_run(jobs.get("job 1"))
    third = other.enqueue("job 2")
    fourth = line.queue.enqueue_run(jobs.get("job 3"))
    line.work.gate.set()
    other.go()
    ended = [line.queue.wait(its, 30) for its in (first, second, third, fourth)]
    starts = [its.started_at for its in ended]
    assert all(its.status is Status.SUCCESS for its in ended)
    assert starts == sorted(starts, key=lambda moment: moment or SLOT)


def test_the_limit_is_read_live_while_runs_wait(line: Line) -> None:
    ids = [line.queue.enqueue_run(add_job(line.store, f"job {number}")) for number in range(4)]
    eventually(line.runs(ids[0]))
    line.store.settings.set("maxConcurrentJobs", 3)
    eventually(line.runs(ids[2]))
    eventually(lambda: line.work.at_once == 3)
    assert line.status(ids[3]) is Status.PENDING
    line.work.gate.set()
    for its in ids:
        line.queue.wait(its, 30)
    assert line.work.most_at_once == 3


@pytest.mark.parametrize("value", [0, -1, "many", None])
def test_a_limit_that_makes_no_sense_counts_as_one(line: Line, value: object) -> None:
    line.store.settings.set("maxConcurrentJobs", value)
    first, second = (line.queue.enqueue_run(add_job(line.store, name)) for name in ("one", "two"))
    eventually(line.runs(first))
    line.work.open(first)
    eventually(line.runs(second))
    assert line.work.most_at_once == 1


def test_the_limit_counts_for_all_processes(line: Line, other: OtherProcess) -> None:
    here, there = add_job(line.store, "here"), add_job(line.store, "there")
    first = other.enqueue("there")
    eventually(line.runs(first))
    second = line.queue.enqueue_run(here)
    assert line.store.claims.next_run({second}).claimed is None
    assert line.store.claims.next_run({second}).waits_for == (first,)
    other.go()
    eventually(line.runs(second))
    assert there.id != here.id


def test_one_job_never_runs_twice_at_once_and_others_pass_it(line: Line) -> None:
    line.store.settings.set("maxConcurrentJobs", 5)
    job, another = add_job(line.store, "one"), add_job(line.store, "another")
    first, second = line.queue.enqueue_run(job), line.queue.enqueue_run(job)
    third = line.queue.enqueue_run(another)
    eventually(line.runs(first))
    eventually(line.runs(third))
    assert line.status(second) is Status.PENDING
    line.work.open(first)
    eventually(line.runs(second))


def test_two_processes_never_run_one_job_at_the_same_time(line: Line, home: Path) -> None:
    line.store.settings.set("maxConcurrentJobs", 5)
    add_job(line.store, "one")
    with OtherProcess(home) as first, OtherProcess(home) as second:
        first.tell("run_alone", "one", 15)
        second.tell("run_alone", "one", 15)
        assert first.hear() + second.hear() == ["Success"] * 30
    assert len(line.store.executions.list(None)) == 30


def test_the_next_run_of_a_job_waits_for_what_follows_the_status(home: Path) -> None:
    retention = threading.Event()

    def perform(execution_id: str, cancel: CancelToken) -> None:
        line.store.executions.finish(execution_id, status=Status.SUCCESS)
        order.append(execution_id)
        if execution_id == order[0]:
            retention.wait(30)

    order: list[str] = []
    line = Line(home, perform=perform)
    line.store.settings.set("maxConcurrentJobs", 5)
    job = add_job(line.store)
    first, second = line.queue.enqueue_run(job), line.queue.enqueue_run(job)
    eventually(lambda: line.status(first) is Status.SUCCESS and order == [first])
    with pytest.raises(TimeoutError):
        line.queue.wait(first, 0.05)
    claim = line.store.claims.next_run({second})
    retention.set()
    assert claim.claimed is None
    assert line.queue.wait(second, 30).status is Status.SUCCESS
    line.close()


def test_a_verification_does_not_wait_for_runs(line: Line) -> None:
    run = line.queue.enqueue_run(add_job(line.store))
    eventually(line.runs(run))
    verification = line.queue.enqueue_other("verify", labels={"level": "checksum"})
    eventually(line.runs(verification))
    assert line.store.executions.get(verification).labels == {"level": "checksum"}
    assert line.status(run) is Status.RUNNING


def test_a_run_cannot_go_round_the_queue(line: Line) -> None:
    with pytest.raises(ValueError, match="enqueue_run"):
        line.queue.enqueue_other("run")


# -- cancel ------------------------------------------------------------------------------------------


def test_a_run_that_waits_is_cancelled_at_once(line: Line) -> None:
    first, second = (line.queue.enqueue_run(add_job(line.store, name)) for name in ("one", "two"))
    eventually(line.runs(first))
    assert line.queue.cancel(second)
    ended = line.queue.wait(second, 30)
    assert (ended.status, ended.error) == (Status.CANCELLED, "cancelled")
    assert ended.started_at is None
    assert ExecutionFinished(second, Status.CANCELLED, "cancelled") in line.events
    assert line.ownership.is_free(second)


def test_a_run_at_work_here_is_cancelled(line: Line) -> None:
    run = line.queue.enqueue_run(add_job(line.store))
    eventually(line.runs(run))
    assert line.queue.cancel("#1")
    assert line.queue.wait(run, 30).status is Status.CANCELLED
    assert not line.queue.cancel(run)


def test_a_run_at_work_in_another_process_is_cancelled_by_it(line: Line, other: OtherProcess) -> None:
    add_job(line.store)
    run = other.enqueue("shop-nightly")
    eventually(line.runs(run))
    assert line.queue.cancel(run)
    ended = line.queue.wait(run, 30)
    assert (ended.status, ended.error) == (Status.CANCELLED, "cancelled from another process")


def test_a_run_that_waits_in_another_process_is_cancelled_at_once(line: Line, other: OtherProcess) -> None:
    add_job(line.store, "one")
    add_job(line.store, "two")
    first, second = other.enqueue("one"), other.enqueue("two")
    eventually(line.runs(first))
    assert line.queue.cancel(second)
    assert line.status(second) is Status.CANCELLED
    other.go()
    assert line.queue.wait(first, 30).status is Status.SUCCESS
    assert line.queue.wait(second, 30).started_at is None, "its owner ran it all the same"


def test_another_process_cancels_what_waits_or_runs_here(line: Line, other: OtherProcess) -> None:
    first, second = (line.queue.enqueue_run(add_job(line.store, name)) for name in ("one", "two"))
    eventually(line.runs(first))
    assert other.ask("cancel", second)
    assert line.queue.wait(second, 30).status is Status.CANCELLED
    assert other.ask("cancel", first)
    assert line.queue.wait(first, 30).status is Status.CANCELLED
    assert line.work.order == [first]


def test_a_cancel_of_what_a_dead_process_ran_settles_it_as_cancelled(line: Line, home: Path) -> None:
    add_job(line.store)
    with OtherProcess(home) as other:
        run = other.enqueue("shop-nightly")
        eventually(line.runs(run))
        other.kill()
    assert line.queue.cancel(run)
    assert line.status(run) is Status.CANCELLED


def test_what_is_not_there_cannot_be_cancelled(line: Line) -> None:
    with pytest.raises(NotFound):
        line.queue.cancel("nothing")


# -- the executor ------------------------------------------------------------------------------------


class OneAtATime:
    """An executor of one thread whose `submit` waits until that thread is free."""

    def __init__(self) -> None:
        self._free = threading.Semaphore(1)
        self.waiting = threading.Event()

    def submit(self, work: Callable[[], None], /) -> None:
        if not self._free.acquire(blocking=False):
            self.waiting.set()
            self._free.acquire()

        def run() -> None:
            try:
                work()
            finally:
                self._free.release()

        threading.Thread(target=run).start()


class NeverFree:
    """An executor that takes work and has no thread for it."""

    def __init__(self) -> None:
        self.kept: list[Callable[[], None]] = []

    def submit(self, work: Callable[[], None], /) -> None:
        self.kept.append(work)


def test_a_full_executor_does_not_stop_cancels_nor_the_queue(home: Path) -> None:
    executor = OneAtATime()
    line = Line(home, executor=executor)
    line.store.settings.set("maxConcurrentJobs", 3)
    ids = [line.queue.enqueue_run(add_job(line.store, f"job {number}")) for number in range(3)]
    assert executor.waiting.wait(30)
    line.store.claims.request_cancel(ids[0])  # as another process does it
    assert line.queue.wait(ids[0], 30).status is Status.CANCELLED
    line.work.gate.set()
    assert [line.queue.wait(its, 30).status for its in ids[1:]] == [Status.SUCCESS] * 2
    line.close()


def test_what_the_executor_has_not_begun_is_cancelled_at_once(home: Path) -> None:
    executor = NeverFree()
    line = Line(home, executor=executor)
    run = line.queue.enqueue_run(add_job(line.store))
    eventually(lambda: executor.kept)
    assert line.queue.cancel(run)
    assert line.queue.wait(run, 30).status is Status.CANCELLED
    executor.kept[0]()  # a thread is free at last, and finds nothing to do
    assert line.work.order == []
    line.close()


def test_an_executor_that_refuses_fails_the_run(home: Path) -> None:
    class ShutDown:
        def submit(self, work: Callable[[], None], /) -> None:
            raise RuntimeError("cannot schedule new futures after shutdown")

    line = Line(home, executor=ShutDown())
    ended = line.queue.wait(line.queue.enqueue_run(add_job(line.store)), 30)
    assert (ended.status, ended.error_kind) == (Status.FAILED, "RuntimeError")
    assert "cannot schedule new futures" in (ended.error or "")
    line.close()


# -- what perform does -------------------------------------------------------------------------------


def run_with(home: Path, perform: Callable[[Line, str, CancelToken], None], **job: object) -> Execution:
    line = Line(home, perform=lambda its, cancel: perform(line, its, cancel))
    try:
        return line.queue.wait(line.queue.enqueue_run(add_job(line.store, **job)), 30)
    finally:
        line.close()


def test_a_perform_that_raises_fails_the_run_with_its_cause(home: Path) -> None:
    def perform(line: Line, execution_id: str, cancel: CancelToken) -> None:
        raise StorageFull("no space at near", remedy="Free some.")

    ended = run_with(home, perform)
    assert ended.status is Status.FAILED
    assert (ended.error, ended.error_kind, ended.remedy) == ("no space at near", "StorageFull", "Free some.")


def test_even_a_system_exit_ends_the_run(home: Path) -> None:
    def perform(line: Line, execution_id: str, cancel: CancelToken) -> None:
        raise SystemExit(3)

    ended = run_with(home, perform)
    assert (ended.status, ended.error_kind) == (Status.FAILED, "SystemExit")


def test_a_perform_that_raises_cancelled_without_a_cancel_is_cancelled(home: Path) -> None:
    def perform(line: Line, execution_id: str, cancel: CancelToken) -> None:
        raise Cancelled("by hand")

    assert run_with(home, perform).status is Status.CANCELLED


def test_a_perform_without_an_outcome_has_failed(home: Path) -> None:
    ended = run_with(home, lambda line, execution_id, cancel: None)
    assert (ended.status, ended.error) == (Status.FAILED, "It ended without an outcome.")


def test_an_error_after_the_outcome_changes_no_status(home: Path) -> None:
    def perform(line: Line, execution_id: str, cancel: CancelToken) -> None:
        line.store.executions.finish(execution_id, status=Status.PARTIAL)
        raise RuntimeError("retention broke")

    assert run_with(home, perform).status is Status.PARTIAL


def test_a_time_limit_fails_the_run(home: Path) -> None:
    def perform(line: Line, execution_id: str, cancel: CancelToken) -> None:
        assert cancel.wait(30)
        assert cancel.reason == "time limit"
        # As a runner that knows nothing of it would settle what was cancelled.
        line.store.executions.finish(execution_id, status=Status.CANCELLED, error="cancelled")

    ended = run_with(home, perform, options=JobOptions(time_limit=1))
    assert (ended.status, ended.error_kind) == (Status.FAILED, "TimeLimit")
    assert ended.error == "It took longer than its time limit of 1.0 s."
    assert ended.remedy


# -- retries -----------------------------------------------------------------------------------------


def failing(home: Path, *, times: int) -> Line:
    """A line whose runs fail so many times, and then succeed."""
    left = [None] * times

    def perform(execution_id: str, cancel: CancelToken) -> None:
        if left:
            left.pop()
            raise StrongroomError("the disk is away")
        line.store.executions.finish(execution_id, status=Status.SUCCESS)

    line = Line(home, perform=perform)
    return line


def test_a_failed_run_is_retried_in_executions_linked_to_the_first(home: Path) -> None:
    line = failing(home, times=2)
    job = add_job(line.store, options=JobOptions(retries=3, retry_wait=0))
    first = line.queue.enqueue_run(job)
    chain, its = [first], first
    while following := (line.queue.wait(its, 30) and line.queue.next_attempt(its)):
        its = following
        chain.append(its)
    rows = [line.store.executions.get(its) for its in chain]
    assert [row.status for row in rows] == [Status.FAILED, Status.FAILED, Status.SUCCESS]
    assert [row.attempt for row in rows] == [1, 2, 3]
    assert [row.retry_of for row in rows] == [None, first, first]
    assert [row.trigger for row in rows] == ["manual", "retry", "retry"]
    assert rows[1].trigger_reason == "Retry 1 of 3, after: the disk is away"
    line.close()


def test_retries_come_to_an_end(home: Path) -> None:
    line = failing(home, times=9)
    its = line.queue.enqueue_run(add_job(line.store, options=JobOptions(retries=2, retry_wait=0)))
    for _ in range(2):
        line.queue.wait(its, 30)
        its = line.queue.next_attempt(its) or pytest.fail("a retry is missing")
    assert line.queue.wait(its, 30).attempt == 3
    assert line.queue.next_attempt(its) is None
    line.close()


def test_a_retry_that_waits_for_its_time_holds_up_nobody(home: Path) -> None:
    line = failing(home, times=1)
    first = line.queue.enqueue_run(add_job(line.store, options=JobOptions(retries=1, retry_wait=3600)))
    assert line.queue.wait(first, 30).status is Status.FAILED
    retry = line.queue.next_attempt(first)
    assert retry is not None
    assert (
        line.queue.wait(line.queue.enqueue_run(add_job(line.store, "another")), 30).status is Status.SUCCESS
    )
    waiting = line.store.executions.get(retry)
    assert waiting.status is Status.PENDING
    assert waiting.not_before is not None and waiting.not_before > waiting.queued_at
    with OtherProcess(home) as other:
        there = other.enqueue("another")
        other.go()
        assert line.queue.wait(there, 30).status is Status.SUCCESS
    line.close()


def test_a_cancelled_run_is_not_retried(line: Line) -> None:
    run = line.queue.enqueue_run(add_job(line.store, options=JobOptions(retries=3, retry_wait=0)))
    eventually(line.runs(run))
    line.queue.cancel(run)
    line.queue.wait(run, 30)
    assert line.queue.next_attempt(run) is None


def test_a_job_that_was_deleted_meanwhile_is_not_retried(line: Line) -> None:
    job = add_job(line.store, options=JobOptions(retries=3, retry_wait=0, time_limit=1))
    run = line.queue.enqueue_run(job)
    eventually(line.runs(run))
    line.store.jobs.delete(job.id)
    assert line.queue.wait(run, 30).status is Status.FAILED
    assert line.queue.next_attempt(run) is None


# -- what dead processes left ------------------------------------------------------------------------


def test_what_a_killed_process_ran_is_settled_and_only_that(line: Line, home: Path) -> None:
    line.store.settings.set("maxConcurrentJobs", 5)
    for name in ("killed", "alive", "here"):
        add_job(line.store, name)
    here = line.queue.enqueue_run(line.store.jobs.get("here"))
    eventually(line.runs(here))
    with OtherProcess(home) as killed, OtherProcess(home) as alive:
        dead, lives = killed.enqueue("killed"), alive.enqueue("alive")
        eventually(line.runs(dead))
        eventually(line.runs(lives))
        line.store.executions.set_progress(dead, stage="upload")
        assert line.queue.settle_orphans() == []
        killed.kill()
        settled = line.queue.settle_orphans()
        assert [its.id for its in settled] == [dead]
        assert (settled[0].status, settled[0].error_kind) == (Status.FAILED, "Interrupted")
        assert "The process that ran it ended" in (settled[0].error or "")
        assert settled[0].finished_at is not None
        last = line.store.logs.list(dead)[-1].entry
        assert (last.stage, last.message) == ("upload", settled[0].error)
        assert line.status(lives) is Status.RUNNING
        assert line.status(here) is Status.RUNNING
        assert line.queue.settle_orphans() == []


def test_a_planned_run_that_a_dead_process_never_began_gives_its_time_back(line: Line, home: Path) -> None:
    job = add_job(line.store)
    with OtherProcess(home) as other:
        other.enqueue("shop-nightly")
        waiting = other.enqueue("shop-nightly")
        with line.store.write() as session:
            from engine.store.models import ExecutionRow

            session.get_one(ExecutionRow, waiting).planned_at = SLOT
        other.kill()
    line.queue.settle_orphans()
    assert line.status(waiting) is Status.FAILED
    line.store.executions.add("again", job_id=job.id, planned_at=SLOT)  # raises when the time is taken


def test_a_dead_process_that_worked_on_after_the_status_is_cleared(line: Line, home: Path) -> None:
    job = add_job(line.store)
    with OtherProcess(home) as other:
        run = other.enqueue("shop-nightly")
        eventually(line.runs(run))
        line.store.executions.finish(run, status=Status.SUCCESS)
        assert line.store.claims.at_work()
        other.kill()
    assert line.queue.settle_orphans() == []
    assert line.status(run) is Status.SUCCESS
    assert line.store.claims.at_work() == []
    eventually(line.runs(line.queue.enqueue_run(job)))


@pytest.mark.parametrize("waits", [False, True])
def test_a_dead_run_ahead_is_settled_rather_than_waited_for(line: Line, home: Path, waits: bool) -> None:
    for name in ("one", "two", "mine"):
        add_job(line.store, name)
    with OtherProcess(home) as other, OtherProcess(home) as third:
        ahead = [third.enqueue("one")]
        eventually(line.runs(ahead[0]))
        if waits:
            ahead.append(other.enqueue("two"))
        mine = line.queue.enqueue_run(line.store.jobs.get("mine"))
        other.kill()
        if waits:
            third.go()  # the one at work ends well: only the waiting one is dead
            eventually(line.runs(mine))
            assert [line.status(its) for its in ahead] == [Status.SUCCESS, Status.FAILED]
        else:
            third.kill()
            eventually(line.runs(mine))
            assert line.status(ahead[0]) is Status.FAILED


def test_who_waits_for_a_process_that_dies_is_told(line: Line, home: Path) -> None:
    add_job(line.store)
    with OtherProcess(home) as other:
        run = other.enqueue("shop-nightly")
        eventually(line.runs(run))
        with pytest.raises(TimeoutError):
            line.queue.wait(run, 0.05)
        other.kill()
    assert line.queue.wait(run, 30).status is Status.FAILED


# -- the end -----------------------------------------------------------------------------------------


def test_a_shutdown_waits_for_what_runs_and_what_waits(line: Line) -> None:
    first, second = (line.queue.enqueue_run(add_job(line.store, name)) for name in ("one", "two"))
    eventually(line.runs(first))
    closing = threading.Thread(target=line.queue.shutdown)
    closing.start()
    line.work.gate.set()
    closing.join(30)
    assert not closing.is_alive()
    assert [line.status(its) for its in (first, second)] == [Status.SUCCESS] * 2
    with pytest.raises(StrongroomError, match="being closed"):
        line.queue.enqueue_run(line.store.jobs.get("one"))


def test_a_shutdown_that_cancels_gives_back_planned_times_that_were_not_begun(line: Line) -> None:
    one, two = add_job(line.store, "one"), add_job(line.store, "two")
    first = line.queue.enqueue_run(one, planned_at=SLOT)
    eventually(line.runs(first))
    second = line.queue.enqueue_run(two, planned_at=SLOT)
    line.queue.shutdown(cancel=True)
    assert [line.status(its) for its in (first, second)] == [Status.CANCELLED] * 2
    assert line.store.executions.get(first).planned_at == SLOT
    assert line.store.executions.get(second).planned_at is None


def test_a_shutdown_does_not_wait_an_hour_for_a_retry(home: Path) -> None:
    line = failing(home, times=1)
    first = line.queue.enqueue_run(add_job(line.store, options=JobOptions(retries=1, retry_wait=3600)))
    line.queue.wait(first, 30)
    line.queue.shutdown()
    retry = line.queue.next_attempt(first)
    assert retry is not None
    assert line.status(retry) is Status.CANCELLED
    line.close()


def test_a_store_that_fails_again_and_again_is_told_to_who_waits(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(ready: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(line.store.claims, "next_run", fail)
    run = line.queue.enqueue_run(add_job(line.store))
    with pytest.raises(StoreError, match="the disk is full"):
        line.queue.wait(run, 30)
    monkeypatch.undo()
    assert [its.id for its in line.queue.settle_orphans()] == [run]


def test_queueing_is_said(line: Line) -> None:
    run = line.queue.enqueue_run(add_job(line.store))
    assert line.events[0] == ExecutionQueued(run, "shop-nightly")
    assert line.queue.is_own(run)
    assert not line.queue.is_own("somebody")
