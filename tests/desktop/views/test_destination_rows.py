"""What a destination's row says: in words, with a sign, in one place, and counting by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from desktop.copies import DestinationRow
from desktop.live import LiveRun, StageState
from desktop.views.destination_rows import DestinationRows, RowWords, row_words
from desktop.views.run_words import DAMAGED, UNSEEN, figures, run_problem
from engine.events import DestinationProgress, DestinationState, Stage, Status
from engine.records import Execution

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
UPLOADING, RETRYING = DestinationState.UPLOADING, DestinationState.RETRYING
MB = 1_000_000


def running(**values: Any) -> LiveRun:
    return LiveRun("e1", "shop", "run", Status.RUNNING, **values)


def row(*events: DestinationProgress, **values: Any) -> DestinationRow:
    made = DestinationRow("nas", **values)
    for seconds, event in enumerate(events):
        made.take(event, NOW + timedelta(seconds=seconds))
    return made


def said(state: DestinationState, sent: int = 0, **values: Any) -> DestinationProgress:
    return DestinationProgress("e1", "nas", state, sent, **values)


def words_of(its: DestinationRow, run: LiveRun | None = None, after: float = 0.0) -> RowWords:
    return row_words(its, run or running(), NOW + timedelta(seconds=after))


def test_before_the_end_of_the_dump_it_follows_and_no_total_is_claimed() -> None:
    its = row(said(UPLOADING, 10 * MB), said(UPLOADING, 34 * MB))
    found = words_of(its, running(bytes_out=36 * MB), 1)
    assert found.figure == "34.0 MB · 24.0 MB/s"
    assert found.detail == "following the dump"
    assert (found.percent, found.state.text) == (None, "● Uploading")
    assert words_of(its, running(bytes_out=99 * MB), 1).detail == "following the dump, 65.0 MB behind"


def test_after_the_end_of_the_dump_the_total_is_known() -> None:
    its = row(said(UPLOADING, 10 * MB, total=80 * MB), said(UPLOADING, 20 * MB, total=80 * MB))
    found = words_of(its, after=1)
    assert found.figure == "20.0 MB of 80.0 MB · 10.0 MB/s"
    assert (found.percent, found.detail) == (25.0, "")


def test_an_upload_that_gets_nothing_through_says_for_how_long() -> None:
    its = row(said(UPLOADING, 10 * MB, total=80 * MB), said(UPLOADING, 20 * MB, total=80 * MB))
    assert words_of(its, after=13).detail == "no byte for 12 s"
    assert "MB/s" not in words_of(its, after=13).figure


def test_an_upload_that_waits_for_the_dump_is_not_blamed() -> None:
    its = row(said(UPLOADING, 20 * MB))
    run = running(bytes_out=20 * MB, stages={Stage.DUMP: StageState("active")})
    assert words_of(its, run, 60).detail == "following the dump"


def test_a_retry_counts_down_and_names_its_attempt() -> None:
    its = row(said(RETRYING, 0, retry_in=12.0, message="Reset by peer", attempt=2, attempts=5))
    assert [words_of(its, after=s).state.text for s in (0, 0.4, 1, 11.2, 12, 13)] == [
        "! Trying again in 12 s (attempt 2 of 5)",
        "! Trying again in 12 s (attempt 2 of 5)",
        "! Trying again in 11 s (attempt 2 of 5)",
        "! Trying again in 1 s (attempt 2 of 5)",
        "! Trying again now (attempt 2 of 5)",
        "! Trying again now (attempt 2 of 5)",
    ]
    assert words_of(its).detail == "Reset by peer"
    assert words_of(its).tone == "risk"


def test_a_second_attempt_says_that_it_is_one() -> None:
    its = row(said(UPLOADING, 5 * MB, total=9 * MB, attempt=2, attempts=5))
    assert words_of(its).detail == "attempt 2 of 5"


def test_a_success_says_how_it_was_proven() -> None:
    its = row(said(DestinationState.SUCCESS, 9 * MB, total=9 * MB, message="read back from the disk"))
    found = words_of(its)
    assert (found.state.text, found.detail, found.figure) == ("✓ Stored", "read back from the disk", "9.0 MB")
    assert (found.percent, found.tone) == (100.0, "good")


def test_a_failure_says_why_and_what_to_do() -> None:
    its = row(
        said(UPLOADING, 3 * MB, total=9 * MB),
        said(DestinationState.FAILED, message="No room is left", remedy="Make room."),
    )
    found = words_of(its)
    assert (found.state.text, found.problem) == ("✕ Failed", "No room is left. Make room.")
    assert found.tone == "bad" and (found.percent or 0) < 100


@pytest.mark.parametrize(
    ("state", "text"), [(DestinationState.WAITING, "○ Waiting"), (DestinationState.CANCELLED, "– Cancelled")]
)
def test_the_other_states_have_a_word_and_a_sign_too(state: DestinationState, text: str) -> None:
    assert words_of(row(said(state))).state.text == text


def test_of_several_copies_the_one_on_its_way_is_named() -> None:
    its = row(
        said(DestinationState.SUCCESS, 9, total=9, database="crm"),
        said(DestinationState.FAILED, message="full", database="hr"),
        said(UPLOADING, 5 * MB, database="shop"),
    )
    found = words_of(its)
    assert found.state.text == "● Uploading shop"
    assert found.detail == "following the dump · 1 stored before · 1 failed before"


def test_the_end_tells_how_many_copies_are_there_and_why_one_is_not() -> None:
    its = row(
        said(DestinationState.SUCCESS, 9, total=9, database="crm"),
        said(DestinationState.FAILED, message="full", database="shop"),
    )
    run = LiveRun("e1", "shop", "run", Status.PARTIAL)
    found = words_of(its, run)
    assert (found.state.text, found.tone, found.percent) == ("! 1 of 2 stored", "risk", 50.0)
    assert found.problem == "shop: full."


def test_a_reason_that_several_copies_share_is_said_once() -> None:
    names = ("accounts", "crm", "orders", "shop")
    its = row(*(said(DestinationState.FAILED, message="Access denied", database=its) for its in names))
    its.remedy = "Renew the key."
    run = LiveRun("e1", "shop", "run", Status.FAILED, error="nas: Access denied")
    assert words_of(its, run).problem == "accounts, crm and 2 more: Access denied. Renew the key."


def test_a_dump_that_failed_is_no_destinations_failure() -> None:
    its = DestinationRow("nas", DestinationState.FAILED, message="The database is gone")
    run = LiveRun("e1", "shop", "run", Status.FAILED, error="The database is gone")
    assert words_of(its, run).state.text == "– Nothing was sent"
    run.error = "nas: full"
    assert words_of(its, run).state.text == "✕ Failed"


def test_a_run_in_another_process_is_said_to_be_one() -> None:
    its = row(elsewhere=True)
    assert words_of(its).state.text == "● Running in another process"


def test_a_row_counts_by_itself_without_an_event(qtbot: QtBot) -> None:
    moment = [NOW]
    shown = DestinationRows(clock=lambda: moment[0])
    qtbot.addWidget(shown)
    its = row(said(RETRYING, 0, retry_in=12.0, attempt=2, attempts=5))
    shown.show_run(running(destinations={"nas": its}))
    shown.show()
    assert shown.row("nas").state.text().startswith("! Trying again in 12 s")
    moment[0] += timedelta(seconds=3)
    qtbot.waitUntil(lambda: shown.row("nas").state.text().startswith("! Trying again in 9 s"))
    shown.hide()
    assert not shown._timer.isActive(), "nobody looks"


def test_nothing_jumps_while_values_change(qtbot: QtBot) -> None:
    shown = DestinationRows()
    qtbot.addWidget(shown)
    shown.resize(560, 200)
    rows = {name: DestinationRow(name) for name in ("nas", "s3")}
    run = running(destinations=rows)
    shown.show_run(run)
    shown.show()
    places = []
    for event in (
        said(DestinationState.WAITING),
        said(UPLOADING, 3 * MB),
        said(UPLOADING, 300 * MB, total=999 * MB),
        said(RETRYING, 300 * MB, retry_in=12.0, attempt=2, attempts=5, message="a long reason " * 20),
        said(DestinationState.VERIFYING, 999 * MB, total=999 * MB),
        said(DestinationState.SUCCESS, 999 * MB, total=999 * MB, message="a long proof " * 20),
    ):
        rows["nas"].take(event, NOW)
        shown.show_run(run)
        qtbot.wait(1)
        bar = shown.row("nas").bar
        places.append((shown.row("s3").geometry(), bar.geometry(), shown.row("nas").height()))
    assert len({str(place) for place in places}) == 1


def test_a_copy_that_failed_before_is_said_while_the_run_goes_on() -> None:
    its = row(
        said(DestinationState.FAILED, message="full", database="crm"),
        said(DestinationState.SUCCESS, 9, total=9, message="read back", database="shop"),
    )
    run = running(sizes={"crm": 9, "shop": 9}, destinations={"nas": its})
    found = words_of(its, run)
    assert (found.state.text, found.tone, found.percent) == ("! 1 of 2 stored", "risk", 50.0)
    assert found.problem == "crm: full."
    run.stages[Stage.DUMP] = StageState("done")
    assert figures(run).endswith("stored at 0 of 1")


def test_between_two_copies_it_waits_and_is_not_stored_yet() -> None:
    its = row(said(DestinationState.SUCCESS, 9, total=9, database="crm"))
    run = running(sizes={"crm": 9}, database="shop", destinations={"nas": its})
    found = words_of(its, run)
    assert (found.state.text, found.detail) == ("○ Waiting", "1 stored before")
    run.stages[Stage.DUMP] = StageState("done")
    assert figures(run).endswith("stored at 0 of 1")
    its.take(said(DestinationState.SUCCESS, 9, total=9, database="shop"), NOW)
    assert words_of(its, run).state.text == "✓ Stored"
    assert figures(run).endswith("stored at 1 of 1")


def test_after_the_end_of_the_dump_nothing_follows_it_any_more() -> None:
    its = row(said(UPLOADING, 13 * MB))
    run = running(bytes_out=52 * MB, stages={Stage.DUMP: StageState("done")}, destinations={"nas": its})
    found = words_of(its, run, 1)
    assert (found.figure, found.percent, found.detail) == ("13.0 MB of 52.0 MB", 25.0, "")
    assert words_of(its, run, 30).detail == "no byte for 30 s"
    nothing = row(said(UPLOADING, 0))
    assert words_of(nothing, run, 1).detail == "nothing sent yet"
    assert words_of(nothing, run, 30).detail == "no byte for 30 s"


def test_how_far_behind_it_is_counts_the_bytes_of_its_own_database() -> None:
    its = row(said(UPLOADING, 10 * MB, database="shop"))
    run = running(database="shop", bytes_out=900 * MB, before=880 * MB)
    assert words_of(its, run, 1).detail == "following the dump, 10.0 MB behind"


def test_the_figures_say_when_all_have_it_and_what_is_waited_for() -> None:
    run = running(bytes_out=52 * MB, stages={Stage.DUMP: StageState("done")}, seconds_left=90.0)
    run.destinations = {"nas": row(said(UPLOADING, MB, total=52 * MB))}
    assert figures(run) == "52.0 MB dumped · stored at 0 of 1 · 1 min 30 s left"
    restore = LiveRun("e1", "", "restore", Status.RUNNING, stage=Stage.FETCH)
    assert figures(restore) == "Fetch: no byte yet"


def test_a_check_says_why_it_proved_nothing_and_what_to_do() -> None:
    outcomes = [
        {"outcome": "passed", "reason": None},
        {"outcome": "unknown", "reason": "server: Connection refused."},
        {"outcome": "unknown", "reason": "server: Connection refused."},
    ]
    record = Execution("e1", 3, "verify", Status.PARTIAL, NOW, labels={"outcomes": outcomes})
    run = LiveRun("e1", "", "verify", Status.PARTIAL, error="1 of 3 passed, 2 could not be verified.")
    problem = run_problem(run, record)
    assert problem is not None and problem.message == run.error
    assert problem.remedy == f"Server: Connection refused. {UNSEEN}"
    outcomes.append({"outcome": "failed", "reason": "its checksum differs"})
    assert (again := run_problem(run, record)) is not None and again.remedy.endswith(DAMAGED)
