"""A destination's row, folded from what the engine tells of it, or read from the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from desktop.copies import DestinationRow, rows_of
from engine.events import DestinationProgress, DestinationState, LogEntry, LogLevel, LogType, Stage, Status
from engine.records import CopyResult, DestinationResult, Execution

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
UPLOADING, RETRYING = DestinationState.UPLOADING, DestinationState.RETRYING


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def said(state: DestinationState, sent: int = 0, **values: Any) -> DestinationProgress:
    return DestinationProgress("e1", "nas", state, sent, **values)


def folded(*events: DestinationProgress, expected: int | None = None) -> DestinationRow:
    row = DestinationRow("nas")
    for seconds, event in enumerate(events):
        row.take(event, at(seconds), expected)
    return row


def test_a_speed_comes_from_the_bytes_of_the_last_seconds() -> None:
    row = folded(said(UPLOADING, 100), said(UPLOADING, 350))
    assert row.speed(at(1)) == 250.0
    for seconds in range(2, 20):
        row.take(said(UPLOADING, 350 + 1000 * (seconds - 1)), at(seconds))
    assert row.speed(at(19)) == 1000.0, "what was slow at first is forgotten"


def test_a_wait_before_the_first_byte_does_not_slow_the_speed_down() -> None:
    row = folded(said(UPLOADING, 0))
    for seconds in range(3, 6):
        row.take(said(UPLOADING, 1000 * (seconds - 2)), at(seconds))
    assert row.speed(at(5)) == 1000.0


def test_a_speed_is_not_shown_any_more_once_nothing_moves() -> None:
    row = folded(said(UPLOADING, 100), said(UPLOADING, 350), said(UPLOADING, 350))
    assert row.still(at(4)) == 3.0, "an event without a new byte is no movement"
    assert row.speed(at(4)) == 250.0
    assert row.speed(at(12)) == 0.0


def test_a_percentage_never_runs_backwards_within_an_attempt() -> None:
    row = folded(said(UPLOADING, 80), expected=100)
    assert row.percent == 80.0
    row.take(said(UPLOADING, 90, total=200), at(1))
    assert row.percent == 80.0, "the estimate was too low"
    row.take(said(UPLOADING, 180, total=200), at(2))
    assert row.percent == 90.0


def test_an_estimate_is_never_a_hundred_percent() -> None:
    assert folded(said(UPLOADING, 150), expected=100).percent == 99.0
    assert folded(said(UPLOADING, 150)).percent is None


def test_a_retry_keeps_what_it_reached_until_the_next_attempt_begins_anew() -> None:
    row = folded(
        said(UPLOADING, 450, total=900),
        said(RETRYING, 450, retry_in=8.0, message="reset", attempt=2, attempts=5),
    )
    assert (row.state, row.percent, row.message) == (RETRYING, 50.0, "reset")
    assert row.retry_at == at(1 + 8)
    assert (row.attempt, row.attempts) == (2, 5)
    row.take(said(UPLOADING, 90, total=900, attempt=2, attempts=5), at(9))
    assert (row.percent, row.retry_at, row.message) == (10.0, None, "")
    assert row.speed(at(9)) == 0.0, "the bytes of the attempt before do not count"


def test_each_copy_counts_its_own_bytes_and_the_ended_ones_are_remembered() -> None:
    row = folded(
        said(UPLOADING, 900, total=900, database="crm"),
        said(DestinationState.SUCCESS, 900, total=900, message="read back", database="crm"),
        said(UPLOADING, 10, database="shop"),
    )
    assert (row.database, row.bytes_sent, row.total, row.percent) == ("shop", 10, None, None)
    assert row.stored == {"crm": "read back"}
    row.take(said(DestinationState.FAILED, message="reset", database="shop"), at(9))
    assert row.failed == {"shop": "reset"}


def test_a_failure_brings_what_to_do_about_it() -> None:
    row = folded(said(DestinationState.FAILED, message="full", remedy="Make room."))
    assert (row.message, row.remedy) == ("full", "Make room.")


def execution(status: Status, *copies: CopyResult, **values: Any) -> Execution:
    return Execution("e1", 1, "run", status, NOW, copies=copies, **values)


def test_the_store_knows_how_each_copy_ended() -> None:
    results = (
        DestinationResult("d1", "nas", Status.FAILED, error="full", bytes_sent=9),
        DestinationResult("d2", "s3", Status.SUCCESS, proof="part checksums", bytes_sent=30),
    )
    copies = (
        CopyResult("d1", "crm", "crm.age", Status.SUCCESS, proof="read back", bytes_sent=9),
        CopyResult("d1", "shop", "shop.age", Status.FAILED, error="full"),
        CopyResult("d2", "crm", "crm.age", Status.SUCCESS, proof="part checksums"),
    )
    line = LogEntry(
        NOW, LogLevel.ERROR, LogType.STORAGE, Stage.UPLOAD, "[nas] Upload failed: full.", "Make room."
    )
    rows = rows_of(execution(Status.PARTIAL, *copies, destinations=results), (), [line])
    assert list(rows) == ["nas", "s3"]
    assert rows["nas"].state is DestinationState.FAILED
    assert (rows["nas"].stored, rows["nas"].failed) == ({"crm": "read back"}, {"shop": "full"})
    assert rows["s3"].message == "part checksums"
    assert (rows["nas"].message, rows["nas"].remedy, rows["s3"].remedy) == ("full", "Make room.", "")
    assert not rows["s3"].elsewhere


def test_of_another_processs_run_the_destinations_are_those_of_its_job() -> None:
    line = LogEntry(NOW, LogLevel.WARNING, LogType.STORAGE, Stage.UPLOAD, "[s3] Reset; trying again in 3 s.")
    rows = rows_of(execution(Status.RUNNING), ("nas", "s3"), [line])
    assert [row.elsewhere for row in rows.values()] == [True, True]
    assert rows["s3"].message == "Reset; trying again in 3 s"


def test_the_first_moments_give_no_speed() -> None:
    row = DestinationRow("nas")
    row.take(said(UPLOADING, 10), at(0))
    row.take(said(UPLOADING, 53_000_000), at(0.01))
    assert row.speed(at(0.02)) == 0.0, "a buffer was filled, and nothing else is known"
    row.take(said(UPLOADING, 54_000_000), at(1.0))
    assert row.speed(at(1.0)) == 53_999_990.0


def test_silence_is_counted_anew_with_each_attempt() -> None:
    row = DestinationRow("nas")
    row.take(said(UPLOADING, 0), at(0))
    row.take(said(RETRYING, 0, retry_in=8.0, attempt=2, attempts=5), at(30))
    row.take(said(UPLOADING, 0, attempt=2, attempts=5), at(38))
    assert row.still(at(41)) == 3.0, "neither the attempt before nor the wait between them counts"
