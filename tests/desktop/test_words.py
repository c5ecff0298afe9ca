"""Words and figures as a person says them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from desktop import words
from engine.events import DestinationState, Stage, Status

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (None, "–"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_950, "100 kB"),
        (769_000_000, "769 MB"),
        (999_499_999, "999 MB"),
        (999_600_000, "1.0 GB"),
        (1_900_000_000, "1.9 GB"),
        (4_200_000_000_000_000, "4200 TB"),
    ],
)
def test_sizes_have_three_figures_at_most(count: int | None, said: str) -> None:
    assert words.size(count) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"),
        (0.04, "0.0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (161, "2 min 41 s"),
        (3600, "1 h"),
        (11_100, "3 h 5 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_durations_name_two_units_at_most(seconds: float | None, said: str) -> None:
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (timedelta(seconds=5), "just now"),
        (timedelta(minutes=22), "22 min ago"),
        (timedelta(hours=4), "4 h ago"),
        (timedelta(hours=31), "31 h ago"),
        (timedelta(days=9), "9 d ago"),
        (timedelta(days=90), "3 months ago"),
        (timedelta(days=900), "2 years ago"),
        (-timedelta(minutes=38), "in 38 min"),
    ],
)
def test_how_long_ago_is_said_in_one_unit(before: timedelta, said: str) -> None:
    assert words.ago(NOW - before, NOW) == said


def test_what_never_was_is_said_so() -> None:
    assert words.ago(None, NOW) == "never"


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        (datetime(2026, 11, 24, 2, 0, tzinfo=UTC), "today 03:00"),
        (datetime(2026, 11, 23, 23, 30, tzinfo=UTC), "today 00:30"),
        (datetime(2026, 11, 23, 2, 0, tzinfo=UTC), "yesterday 03:00"),
        (datetime(2026, 11, 25, 2, 0, tzinfo=UTC), "tomorrow 03:00"),
        (datetime(2026, 11, 29, 4, 0, tzinfo=UTC), "Sunday 05:00"),
        (datetime(2026, 7, 1, 1, 0, tzinfo=UTC), "1 Jul 03:00"),
        (datetime(2025, 12, 1, 2, 0, tzinfo=UTC), "1 Dec 2025 03:00"),
    ],
)
def test_moments_are_named_in_the_readers_zone(moment: datetime, said: str) -> None:
    assert words.when(moment, NOW, BERLIN) == said


def test_the_exact_moment_says_local_time_and_utc() -> None:
    said = words.exact(datetime(2026, 11, 24, 2, 0, 5, tzinfo=UTC), BERLIN)
    assert "03:00:05 CET" in said
    assert "2026-11-24 02:00:05 UTC" in said


def test_every_state_has_a_sign_and_a_word_beside_its_colour() -> None:
    for status in Status:
        state = words.state_of(status)
        assert state.sign and state.word and state.text == f"{state.sign} {state.word}"
    for place in DestinationState:
        assert words.DESTINATION_STATES[place].sign and words.DESTINATION_STATES[place].word
    assert len({words.state_of(status).text for status in Status}) == len(Status)


def test_a_running_state_says_how_far_it_is() -> None:
    assert words.state_of(Status.RUNNING, 40.9).word == "Running 40 %"
    assert words.state_of(Status.SUCCESS, 40.9).word == "Success"


def test_a_run_is_not_said_to_be_all_done_before_it_has_ended() -> None:
    assert words.state_of(Status.RUNNING, 100.0).word == "Running 99 %"


def test_every_stage_has_a_word() -> None:
    assert set(words.STAGES) == set(Stage)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({}, "everything"),
        ({"mode": "none"}, "everything"),
        ({"mode": "simple", "keep": 14}, "the last 14"),
        ({"mode": "smart", "daily": 7, "keep_last": 3, "yearly": 0}, "3 last, 7 daily"),
        ({"mode": "smart"}, "everything"),
    ],
)
def test_retention_is_said_in_words(policy: dict[str, object], said: str) -> None:
    assert words.retention(policy) == said


@pytest.mark.parametrize(("percent", "said"), [(0.0, "0 %"), (13.9, "13 %"), (99.6, "99 %"), (100.0, "99 %")])
def test_only_an_end_is_a_hundred_percent(percent: float, said: str) -> None:
    assert words.so_far(percent) == said
    assert words.state_of(Status.RUNNING, percent).word == f"Running {said}"


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    assert words.short("shop-nightly") == "shop-nightly"
    cut = words.short("Monthly archive of the customer database in Frankfurt", 28)
    assert len(cut) <= 28
    assert cut.startswith("Monthly archive") and cut.endswith("rankfurt") and "…" in cut


def test_the_window_names_no_option_of_the_command_line() -> None:
    said = words.in_window("Restore under another name (--as NAME), or replace it (--overwrite).")
    assert said == "Restore under another name (“Under the name”), or replace it (“Replace what is there”)."
