"""The recorder: what a running execution says is written as it comes, throttled, and clean."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

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
