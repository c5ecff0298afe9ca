"""What a run looks like, folded from its events or read from the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from desktop.live import RUN_STAGES, STAGES_OF, LiveRun, from_record
from desktop.views.restore import RestoreDialog
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
    LogType,
    Progress,
    Stage,
    StageFinished,
    StageStarted,
    Status,
)
from engine.records import DestinationResult, Execution
from tests.conftest import make_shop
from tests.desktop.driver import Driver

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def line(stage: Stage, level: LogLevel = LogLevel.INFO) -> LogEntry:
    return LogEntry(NOW, level, LogType.GENERAL, stage, "said")


def folded(*events: Event) -> LiveRun:
    run = LiveRun("e1", kind="run")
    for at, event in enumerate(events):
        run.take(event, NOW + timedelta(seconds=at))
    return run


def progress(percent: float | None, **values: object) -> Progress:
    given = {"bytes_in": 10, "bytes_out": 5, **values}
    return Progress("e1", Stage.DUMP, percent=percent, **given)  # type: ignore[arg-type]


def test_a_run_starts_pending_and_is_running_once_it_says_so() -> None:
    assert folded(ExecutionQueued("e1", "shop")).status is Status.PENDING
    run = folded(ExecutionQueued("e1", "shop"), ExecutionStarted("e1", "shop", ("nas", "s3")))
    assert run.status is Status.RUNNING
    assert list(run.destinations) == ["nas", "s3"]


def test_progress_never_runs_backwards() -> None:
    run = folded(progress(40.0), progress(38.0, bytes_out=4))
    assert run.percent == 40.0
    assert run.bytes_out == 5


def test_an_unknown_percentage_does_not_take_a_known_one_away() -> None:
    assert folded(progress(40.0), progress(None)).percent == 40.0


def test_each_database_of_a_run_counts_its_own_bytes() -> None:
    run = folded(progress(10.0, database="a", bytes_out=900), progress(60.0, database="b", bytes_out=7))
    assert run.bytes_out == 7
    assert run.percent == 60.0


def test_a_stage_keeps_what_it_said_and_how_long_it_took() -> None:
    run = folded(StageStarted("e1", Stage.DUMP, "snapshot"), StageFinished("e1", Stage.DUMP, 9.0))
    assert (run.stages[Stage.DUMP].state, run.stages[Stage.DUMP].detail) == ("done", "snapshot")
    assert run.stages[Stage.DUMP].seconds == 9.0


def test_a_success_ends_at_a_hundred_and_with_no_stage_open() -> None:
    run = folded(StageStarted("e1", Stage.UPLOAD), ExecutionFinished("e1", Status.SUCCESS))
    assert run.percent == 100.0
    assert run.stages[Stage.UPLOAD].state == "done"


def test_a_failure_marks_the_stage_that_failed_though_it_ended() -> None:
    run = folded(
        StageStarted("e1", Stage.DUMP),
        LogAdded("e1", line(Stage.DUMP, LogLevel.ERROR)),
        StageFinished("e1", Stage.DUMP, 1.0),
        ExecutionFinished("e1", Status.FAILED, "it broke", "mend it"),
    )
    assert run.stages[Stage.DUMP].state == "failed"
    assert (run.error, run.remedy) == ("it broke", "mend it")
    assert run.percent is None


def test_an_upload_that_follows_the_dump_makes_its_stage_active() -> None:
    run = folded(
        StageStarted("e1", Stage.DUMP),
        DestinationProgress("e1", "nas", DestinationState.UPLOADING, 100),
    )
    assert run.stages[Stage.UPLOAD].state == "active"
    assert run.state_of(Stage.VERIFY).state == "waiting"
    run.take(DestinationProgress("e1", "nas", DestinationState.VERIFYING, 100), NOW)
    assert run.state_of(Stage.VERIFY).state == "active"


def test_what_works_inside_the_dump_shares_its_state() -> None:
    run = folded(StageStarted("e1", Stage.DUMP))
    assert run.state_of(Stage.COMPRESS).state == "active"
    assert run.state_of(Stage.ENCRYPT).state == "active"
    assert run.state_of(Stage.UPLOAD).state == "waiting"


def test_a_cancel_is_shown_where_it_struck_and_not_as_a_failure() -> None:
    run = folded(
        StageStarted("e1", Stage.INITIALIZE),
        StageFinished("e1", Stage.INITIALIZE, 0.1),
        StageStarted("e1", Stage.DUMP),
        ExecutionFinished("e1", Status.CANCELLED, "by hand"),
    )
    assert run.state_of(Stage.INITIALIZE).state == "done"
    assert run.state_of(Stage.DUMP).state == "stopped"


def test_a_partial_run_marks_the_upload_and_what_stands_on_it() -> None:
    stored = from_record(record(Status.PARTIAL), [line(Stage.DUMP), line(Stage.UPLOAD, LogLevel.ERROR)])
    assert stored.state_of(Stage.DUMP).state == "done"
    assert stored.state_of(Stage.UPLOAD).state == "partial"
    assert stored.state_of(Stage.VERIFY).state == "partial"


def record(status: Status, **values: object) -> Execution:
    return Execution("e1", 1, "run", status, NOW, job_name="shop", **values)  # type: ignore[arg-type]


def test_another_processs_run_shows_the_stage_that_the_store_names() -> None:
    run = from_record(record(Status.RUNNING, stage="upload", percent=40.0), [line(Stage.DUMP)])
    assert run.stages[Stage.UPLOAD].state == "active"
    assert run.stages[Stage.DUMP].state == "done"
    assert Stage.RETENTION not in run.stages
    assert run.percent == 40.0


def test_a_stored_failure_shows_where_it_failed() -> None:
    run = from_record(record(Status.FAILED, stage="completion"), [line(Stage.DUMP, LogLevel.ERROR)])
    assert run.stages[Stage.DUMP].state == "failed"


def test_a_stored_success_has_no_stage_open_and_its_destinations() -> None:
    results = (DestinationResult("d1", "nas", Status.SUCCESS, proof="read back", bytes_sent=7),)
    run = from_record(record(Status.SUCCESS, destinations=results), [line(Stage.INITIALIZE)])
    assert {its.state for its in run.stages.values()} <= {"done", "skipped"}
    assert run.percent == 100.0
    assert run.destinations["nas"].state is DestinationState.SUCCESS
    assert run.destinations["nas"].message == "read back"


def test_the_strip_shows_the_stages_of_its_kind_in_order() -> None:
    assert folded(ExecutionQueued("e1", "shop")).order == RUN_STAGES
    assert LiveRun("e1").order == (), "of which kind it is, is not known yet"
    assert Stage.RESTORE in LiveRun("e1", kind="restore").order
    assert Stage.DUMP not in LiveRun("e1", kind="restore").order


@pytest.mark.parametrize("kind", ["restore", "verify", "drill"])
def test_the_end_leaves_no_stage_open(driver: Driver, kind: str) -> None:
    driver.make_source("shop", make_shop(driver.folder / "shop.sqlite"))
    driver.make_destination("nas", driver.folder / "nas")
    driver.make_job("nightly")
    driver.run_job("nightly")
    driver.backups()
    driver.press({"restore": "Restore…", "verify": "Verify", "drill": "Drill"}[kind])
    if kind == "restore":
        dialog = driver.dialog(RestoreDialog)
        driver.write(dialog.as_name, "copy")
        driver.press("Restore", dialog)
    page = driver.execution()
    assert page.panel.state is Status.SUCCESS
    strip = page.panel.strip
    assert {strip.state_of(stage) for stage in strip.order} == {"done"}
    assert list(strip.order) == list(STAGES_OF[kind])


def test_the_size_of_an_artifact_is_its_own_and_known_when_its_dump_has_ended() -> None:
    run = folded(
        StageStarted("e1", Stage.DUMP),
        progress(None, database="crm", bytes_out=900),
        progress(None, database="shop", bytes_out=950),
    )
    assert (run.size_of("crm"), run.size_of("shop")) == (900, None)
    assert run.dumped("shop") == 50, "the engine counts on through all databases"
    run.take(StageFinished("e1", Stage.DUMP, 1.0), NOW)
    assert run.size_of("shop") == 50
    assert run.databases == {"crm", "shop"}


@pytest.mark.parametrize("kind", ["verify", "drill"])
def test_a_check_that_proved_nothing_has_no_check_mark(kind: str) -> None:
    warned = line(Stage.VERIFY, LogLevel.WARNING)
    live = folded(
        StageStarted("e1", Stage.INITIALIZE),
        StageFinished("e1", Stage.INITIALIZE, 0.1),
        StageStarted("e1", Stage.VERIFY),
        LogAdded("e1", warned),
        StageFinished("e1", Stage.VERIFY, 30.0),
        ExecutionFinished("e1", Status.PARTIAL, "0 of 1 passed, 1 could not be verified"),
    )
    live.kind = kind
    stored = from_record(Execution("e1", 1, kind, Status.PARTIAL, NOW), [warned])  # type: ignore[arg-type]
    for run in (live, stored):
        assert run.state_of(Stage.VERIFY).state == "partial"
        assert run.state_of(Stage.INITIALIZE).state == "done"
