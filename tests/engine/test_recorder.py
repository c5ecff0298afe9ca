"""The recorder: what a running execution says is written as it comes, throttled, and clean."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StoreError
from engine.events import DestinationProgress, DestinationState, Event, LogAdded, LogLevel, Progress, Stage
from engine.recorder import Recorder
from engine.store.database import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.db") as store:
        store.executions.add("run1", job_id="job1", job_name="shop")
        yield store


@pytest.fixture
def seen() -> list[Event]:
    return []


@pytest.fixture
def recorder(store: Store, seen: list[Event]) -> Recorder:
    return Recorder("run1", store, seen.append)


def test_a_line_is_stored_and_told_when_log_returns(
    recorder: Recorder, store: Store, seen: list[Event]
) -> None:
    recorder.log("The source answers.", LogLevel.SUCCESS, stage=Stage.INITIALIZE, details="15.18")

    [stored] = store.logs.list("run1")
    assert (stored.entry.message, stored.entry.details) == ("The source answers.", "15.18")
    assert seen == [LogAdded("run1", stored.entry)]


def test_a_secret_is_blotted_out_of_every_line(recorder: Recorder, store: Store, seen: list[Event]) -> None:
    recorder.hide("hunter2", "no")

    recorder.log("password hunter2 was refused", details="dsn=user:hunter2@host")
    recorder.destination("s3", DestinationState.FAILED, message="key hunter2 is unknown")

    [stored] = store.logs.list("run1")
    assert "hunter2" not in stored.entry.message + stored.entry.details + repr(seen)
    assert "refused" in stored.entry.message


def test_each_line_of_a_secret_is_blotted_out_and_the_value_of_each_name(recorder: Recorder) -> None:
    recorder.hide("# a comment\nTOKEN=geheim-1\nMODE=on\nmQIzA\n", "geheim-1-and-more")

    said = recorder.clean("geheim-1, geheim-1-and-more, mQIzA; a comment; MODE is on")

    assert said == "•••, •••, •••; a comment; MODE is on"


def test_bytes_are_told_a_few_times_a_second_and_the_last_word_always(
    recorder: Recorder, seen: list[Event]
) -> None:
    for done in range(1000):
        recorder.progress(done * 3, done, stage=Stage.DUMP, total=1000)
    recorder.progress(3000, 1000, stage=Stage.DUMP, total=1000, final=True)

    told = [event for event in seen if isinstance(event, Progress)]
    assert 2 <= len(told) < 50
    assert (told[-1].bytes_in, told[-1].bytes_out, told[-1].percent) == (3000, 1000, 100.0)


def test_the_percentage_never_runs_backwards_and_never_claims_the_end(
    recorder: Recorder, seen: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.recorder.EVENT_INTERVAL", 0.0)

    for done, total in ((500, 1000), (600, 2000), (5000, 1000)):
        recorder.progress(done, done, stage=Stage.DUMP, total=total, estimated=True)

    percents = [event.percent for event in seen if isinstance(event, Progress)]
    assert percents == [50.0, 50.0, 99.0]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every event is told, and every one is stored."""
    monkeypatch.setattr("engine.recorder.EVENT_INTERVAL", 0.0)
    monkeypatch.setattr("engine.recorder.STORE_INTERVAL", 0.0)


def percents(seen: list[Event]) -> list[float | None]:
    return [event.percent for event in seen if isinstance(event, Progress)]


def dumped(recorder: Recorder, size: int) -> None:
    recorder.progress(size, size, stage=Stage.DUMP, total=size, final=True, database="shop")


def uploading(recorder: Recorder, name: str, sent: int, total: int | None = 1000, **values: Any) -> None:
    recorder.destination(
        name, DestinationState.UPLOADING, bytes_sent=sent, total=total, database="shop", **values
    )


@pytest.mark.usefixtures("at_once")
def test_a_run_is_as_far_as_its_slowest_destination(
    recorder: Recorder, store: Store, seen: list[Event]
) -> None:
    for name in ("near", "far"):
        recorder.destination(name, DestinationState.WAITING)
        uploading(recorder, name, 0, None)
    dumped(recorder, 1000)
    assert percents(seen)[-1] == 0.0, "a dump that is done is no backup yet"

    uploading(recorder, "near", 1000)
    recorder.destination("near", DestinationState.SUCCESS, bytes_sent=1000, total=1000, database="shop")
    uploading(recorder, "far", 130)
    assert percents(seen)[-1] == 13.0
    assert store.executions.get("run1").percent == 13.0, "other processes are told the same"
    uploading(recorder, "far", 1000)
    assert percents(seen)[-1] == 99.0, "what is sent is not proven yet"


@pytest.mark.usefixtures("at_once")
def test_while_the_dump_grows_the_slowest_counts_too_so_that_nothing_runs_backwards(
    recorder: Recorder, seen: list[Event]
) -> None:
    uploading(recorder, "far", 0, None)
    for done, sent in ((400, 50), (900, 100)):
        recorder.progress(done, done, stage=Stage.DUMP, total=1000, estimated=True, database="shop")
        uploading(recorder, "far", sent, None)
    dumped(recorder, 1000)
    uploading(recorder, "far", 300)
    uploading(recorder, "far", 0, attempt=2)  # tried again from the start
    uploading(recorder, "far", 350, attempt=2)

    assert percents(seen)[-3:] == [30.0, 30.0, 35.0]
    told = [percent for percent in percents(seen) if percent is not None]
    assert told == sorted(told)


@pytest.mark.usefixtures("at_once")
def test_an_estimate_that_was_far_too_low_does_not_make_a_slow_copy_look_done(
    recorder: Recorder, seen: list[Event]
) -> None:
    uploading(recorder, "far", 0, None)
    for done, sent in ((900, 90), (8000, 1000)):
        recorder.progress(done, done, stage=Stage.DUMP, total=1000, estimated=True, database="shop")
        uploading(recorder, "far", sent, None)
    dumped(recorder, 8000)

    assert percents(seen)[-1] == 12.5


@pytest.mark.usefixtures("at_once")
def test_a_destination_that_failed_holds_the_percentage_back_no_more(
    recorder: Recorder, seen: list[Event]
) -> None:
    for name in ("near", "far"):
        uploading(recorder, name, 0, None)
    dumped(recorder, 1000)
    uploading(recorder, "near", 500)
    recorder.destination("far", DestinationState.FAILED, bytes_sent=10, total=1000, database="shop")
    uploading(recorder, "near", 600)

    assert percents(seen)[-1] == 60.0


@pytest.mark.usefixtures("at_once")
def test_of_several_databases_all_copies_count(recorder: Recorder, seen: list[Event]) -> None:
    said = recorder.destination
    said("near", DestinationState.SUCCESS, bytes_sent=400, total=400, database="crm")
    said("far", DestinationState.FAILED, bytes_sent=9, total=400, database="crm")
    for name, sent in (("near", 600), ("far", 100)):
        said(name, DestinationState.UPLOADING, bytes_sent=sent, database="shop")
    recorder.progress(1000, 1000, stage=Stage.DUMP, total=1000, final=True, database="shop")

    assert percents(seen) == [50.0], "400 bytes that failed are over, and 100 of 600 are there"


@pytest.mark.usefixtures("at_once")
def test_while_a_destination_waits_for_its_turn_no_percentage_is_claimed(
    recorder: Recorder, seen: list[Event]
) -> None:
    recorder.destination("second", DestinationState.WAITING)
    uploading(recorder, "first", 0, None)
    dumped(recorder, 1000)
    uploading(recorder, "first", 700)
    assert set(percents(seen)) == {None}
    recorder.destination("first", DestinationState.SUCCESS, bytes_sent=1000, total=1000, database="shop")
    uploading(recorder, "second", 200)
    assert percents(seen)[-1] == 20.0


@pytest.mark.usefixtures("at_once")
def test_no_upload_fails_because_its_percentage_could_not_be_stored(
    recorder: Recorder, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploading(recorder, "far", 0, None)
    dumped(recorder, 1000)

    def full(*_: object, **__: object) -> None:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(type(store.executions), "set_progress", full)
    uploading(recorder, "far", 500)


def test_the_percentage_says_what_the_row_of_the_slowest_says(recorder: Recorder, seen: list[Event]) -> None:
    uploading(recorder, "far", 0, None)
    uploading(recorder, "far", 900, None)  # too soon after the last to be told
    dumped(recorder, 1000)

    assert [event.bytes_sent for event in seen if isinstance(event, DestinationProgress)] == [0]
    assert percents(seen) == [0.0]


def test_a_speed_is_measured_over_a_second_at_least(
    recorder: Recorder, seen: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter((10.0, 10.25, 11.0, 12.0))
    monkeypatch.setattr("engine.recorder.time.monotonic", lambda: next(moments))
    for done in (0, 1_000_000, 1_000_100, 1_000_200):
        recorder.progress(done, done, stage=Stage.FETCH, total=9_000_000)

    told = [(event.speed, event.seconds_left) for event in seen if isinstance(event, Progress)]
    assert told[:2] == [(0.0, None), (0.0, None)], "the first moments measure a buffer"
    assert told[2][0] == 1_000_100.0


def test_without_a_total_there_is_no_percentage(recorder: Recorder, seen: list[Event]) -> None:
    recorder.progress(10, 5, stage=Stage.DUMP)

    [told] = seen
    assert isinstance(told, Progress)
    assert (told.percent, told.seconds_left) == (None, None)


def test_progress_is_kept_for_other_processes(recorder: Recorder, store: Store) -> None:
    recorder.progress(3000, 500, stage=Stage.DUMP, total=1000)

    kept = store.executions.get("run1")
    assert (kept.stage, kept.percent, kept.bytes_in, kept.bytes_out) == ("dump", 50.0, 3000, 500)


def test_a_destinations_changes_of_state_are_told_though_its_bytes_are_throttled(
    recorder: Recorder, seen: list[Event]
) -> None:
    for sent in range(500):
        recorder.destination("near", DestinationState.UPLOADING, bytes_sent=sent // 2)
    for _ in range(500):
        recorder.destination("near", DestinationState.VERIFYING, bytes_sent=499)
    recorder.destination("near", DestinationState.RETRYING, bytes_sent=499, retry_in=2.0)
    recorder.destination("near", DestinationState.SUCCESS, bytes_sent=900)

    states = [event.state for event in seen if isinstance(event, DestinationProgress)]
    assert len(states) < 50
    assert [state for state, _ in groupby(states)] == [
        DestinationState.UPLOADING,
        DestinationState.VERIFYING,
        DestinationState.RETRYING,
        DestinationState.SUCCESS,
    ]
