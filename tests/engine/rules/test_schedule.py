"""Cron lines in a job's time zone: clock changes, missed runs, and what people are told."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ConfigError
from engine.rules.schedule import (
    describe,
    missed,
    next_after,
    parse_cron,
    resolve_zone,
)

ROOT = Path(__file__).parents[3]
BERLIN, NEW_YORK, LORD_HOWE = (
    ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
)
ZONES = [ZoneInfo("UTC"), BERLIN, NEW_YORK, LORD_HOWE, ZoneInfo("Asia/Kolkata"), ZoneInfo("Pacific/Apia")]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def following(line: str, zone: ZoneInfo, moment: datetime, count: int) -> list[datetime]:
    found = []
    for _ in range(count):
        moment = next_after(line, zone, moment)
        found.append(moment)
    return found


def test_the_wall_clock_of_the_zone_counts() -> None:
    assert next_after("0 3 * * *", BERLIN, utc("2026-11-24T01:59")) == utc("2026-11-24T02:00")
    assert next_after("0 3 * * *", BERLIN, utc("2026-07-24T00:59")) == utc("2026-07-24T01:00")
    assert next_after("0 3 * * *", NEW_YORK, utc("2026-11-24T02:00")) == utc("2026-11-24T08:00")


def test_the_next_time_is_after_the_moment_never_at_it() -> None:
    at = utc("2026-11-24T03:00")
    zone = ZoneInfo("UTC")
    assert next_after("0 3 * * *", zone, at) == at + timedelta(days=1)
    assert next_after("0 3 * * *", zone, at + timedelta(microseconds=1)) == at + timedelta(days=1)
    assert next_after("0 3 * * *", zone, at - timedelta(microseconds=1)) == at
    assert next_after("0 3 * * *", zone, at).tzinfo is UTC


def test_a_time_that_spring_leaves_out_runs_right_after_and_once() -> None:
    # In Berlin, 2026-03-29 has no 02:00 to 03:00.
    found = following("30 2 * * *", BERLIN, utc("2026-03-28T00:00"), 3)
    assert found == [utc("2026-03-28T01:30"), utc("2026-03-29T01:00"), utc("2026-03-30T00:30")]


def test_a_time_that_autumn_repeats_runs_once() -> None:
    # In Berlin, 2026-10-25 has 02:00 to 03:00 twice: from 00:00 and from 01:00 UTC.
    found = following("30 2 * * *", BERLIN, utc("2026-10-24T12:00"), 2)
    assert found == [utc("2026-10-25T00:30"), utc("2026-10-26T01:30")]
    # Also when asked within the second pass of the hour.
    for minute in ("01:05", "01:30", "01:45"):
        assert next_after("30 2 * * *", BERLIN, utc(f"2026-10-25T{minute}")) == utc("2026-10-26T01:30")


def test_hourly_lines_go_by_elapsed_time_over_a_clock_change() -> None:
    spring = following("0 * * * *", BERLIN, utc("2026-03-29T00:00"), 3)
    assert spring == [utc(f"2026-03-29T0{hour}:00") for hour in (1, 2, 3)]
    autumn = following("0 * * * *", BERLIN, utc("2026-10-24T23:00"), 4)
    assert autumn == [utc(f"2026-10-25T0{hour}:00") for hour in (0, 1, 2, 3)]


def test_a_clock_that_changes_by_half_an_hour_leaves_no_time_out() -> None:
    # On Lord Howe Island, 2026-04-05 has 01:30 to 02:00 twice. cronsim alone would go on at 08:00.
    for minute in ("14:45", "15:00", "15:15"):
        assert next_after("0 */4 * * *", LORD_HOWE, utc(f"2026-04-04T{minute}")) == utc("2026-04-04T17:30")


LINES = st.sampled_from(
    [
        "0 3 * * *",
        "30 2 * * *",
        "15 1,2,3 * * *",
        "0 0 * * *",
        "59 23 * * 0",
        "*/15 * * * *",
        "* * * * *",
        "5 * * * *",
        "0 */4 * * *",
        "0 4 1 * *",
        "0 4 L * *",
        "30 0 * * MON-FRI",
        "0 12 13 * FRI",
        "7 2 29 2 *",
    ]
)
# Most clocks stand still for most of the year, so ask near their changes as often as anywhere.
CHANGES = (
    "2026-03-29T01",
    "2026-10-25T01",
    "2026-03-08T07",
    "2026-11-01T06",
    "2026-04-04T15",
    "2011-12-30T10",
)
MOMENTS = st.datetimes(datetime(2011, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC)) | st.builds(
    lambda change, off: utc(f"{change}:00") + off,
    st.sampled_from(CHANGES),
    st.timedeltas(timedelta(hours=-30), timedelta(hours=30)),
)


@settings(max_examples=400, deadline=None)
@given(line=LINES, zone=st.sampled_from(ZONES), moment=MOMENTS)
def test_times_ascend_and_none_is_left_out_between(line: str, zone: ZoneInfo, moment: datetime) -> None:
    first = next_after(line, zone, moment)
    assert first > moment
    # Nothing lies between: asked from anywhere in the gap, the answer is the same.
    for part in (250, 500, 999):
        assert next_after(line, zone, moment + (first - moment) * part // 1000) == first
    second = next_after(line, zone, first)
    assert second > first


@settings(max_examples=200, deadline=None)
@given(
    line=st.sampled_from(["*/15 * * * *", "*/20 1-3 * * *", "0 */4 * * *", "30 */2 * * *", "45 * * * 0"]),
    zone=st.sampled_from(ZONES),
    moment=MOMENTS,
)
def test_a_line_with_a_star_runs_whenever_the_clock_shows_its_time(
    line: str, zone: ZoneInfo, moment: datetime
) -> None:
    minutes, hours, weekdays = {
        "*/15 * * * *": ({0, 15, 30, 45}, set(range(24)), set(range(7))),
        "*/20 1-3 * * *": ({0, 20, 40}, {1, 2, 3}, set(range(7))),
        "0 */4 * * *": ({0}, set(range(0, 24, 4)), set(range(7))),
        "30 */2 * * *": ({30}, set(range(0, 24, 2)), set(range(7))),
        "45 * * * 0": ({45}, set(range(24)), {6}),
    }[line]
    at = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while True:
        shown = at.astimezone(zone)
        if shown.minute in minutes and shown.hour in hours and shown.weekday() in weekdays:
            break
        at += timedelta(minutes=1)
    assert next_after(line, zone, moment) == at


@settings(max_examples=300, deadline=None)
@given(
    minutes=st.sets(st.integers(0, 59), min_size=1, max_size=3),
    hours=st.sets(st.integers(0, 23), min_size=1, max_size=3),
    day=st.none() | st.integers(1, 31),
    month=st.none() | st.integers(1, 12),
    weekday=st.none() | st.integers(0, 6),
    moment=MOMENTS,
)
def test_in_utc_each_time_is_what_a_plain_search_finds(
    minutes: set[int],
    hours: set[int],
    day: int | None,
    month: int | None,
    weekday: int | None,
    moment: datetime,
) -> None:
    if day is not None and (month is not None or day > 28):
        month = None
        day = min(day, 28)
    words = [",".join(map(str, sorted(minutes))), ",".join(map(str, sorted(hours)))]
    words += ["*" if value is None else str(value) for value in (day, month, weekday)]

    def fits(at: datetime) -> bool:
        days = [] if day is None else [at.day == day]
        days += [] if weekday is None else [(at.weekday() + 1) % 7 == weekday]
        return (month is None or at.month == month) and (any(days) if days else True)

    at = (moment + timedelta(minutes=1)).replace(second=0, microsecond=0)
    if at - timedelta(minutes=1) > moment:
        at -= timedelta(minutes=1)
    while not (fits(at) and at.hour in hours and at.minute in minutes):
        if not fits(at):
            at = at.replace(hour=0, minute=0) + timedelta(days=1)
        elif at.hour not in hours:
            at = at.replace(minute=0) + timedelta(hours=1)
        else:
            at += timedelta(minutes=1)
    assert next_after(" ".join(words), ZoneInfo("UTC"), moment) == at


@settings(max_examples=60, deadline=None)
@given(
    line=LINES.filter(lambda line: line.partition(" ")[0] not in ("*", "*/15")),
    zone=st.sampled_from(ZONES),
    since=MOMENTS,
    length=st.timedeltas(timedelta(0), timedelta(8)),
)
def test_missed_runs_are_counted_one_by_one(
    line: str, zone: ZoneInfo, since: datetime, length: timedelta
) -> None:
    found = []
    at = next_after(line, zone, since)
    while at <= since + length:
        found.append(at)
        at = next_after(line, zone, at)
    result = missed(line, zone, since, since + length)
    if not found:
        assert result is None
    else:
        assert result is not None
        assert (result.first, result.latest) == (found[0], found[-1])
        assert (result.count, result.more) == (len(found), False)


def test_nothing_is_missed_before_the_first_time_or_by_a_clock_that_went_back() -> None:
    at = utc("2026-11-24T03:00")
    utc_zone = ZoneInfo("UTC")
    assert missed("0 3 * * *", utc_zone, at - timedelta(hours=1), at - timedelta(seconds=1)) is None
    assert missed("0 3 * * *", utc_zone, at, at + timedelta(hours=23)) is None
    assert missed("0 3 * * *", utc_zone, at, at - timedelta(days=3)) is None
    one = missed("0 3 * * *", utc_zone, at - timedelta(hours=1), at)
    assert one is not None and (one.latest, one.count, one.words) == (at, 1, "1 run")


def test_a_machine_that_was_off_for_years_is_answered_soon() -> None:
    now = utc("2026-11-24T03:00:30")
    start = time.monotonic()
    result = missed("* * * * *", BERLIN, now - timedelta(days=4000), now)
    assert time.monotonic() - start < 5
    assert result is not None
    assert (result.latest, result.more) == (utc("2026-11-24T03:00"), True)
    assert result.words == "more than 1000 runs"
    rare = missed("0 0 29 2 *", BERLIN, now - timedelta(days=4000), now)
    assert rare is not None
    assert (rare.count, rare.words, rare.latest) == (3, "3 runs", utc("2024-02-28T23:00"))


def test_a_line_is_brought_into_its_plain_form() -> None:
    assert parse_cron("  0   3 *  * MON-FRI ") == "0 3 * * MON-FRI"
    assert parse_cron("@Daily") == "0 0 * * *"
    assert parse_cron("@weekly") == "0 0 * * 0"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "five fields (minute, hour, day of month, month, day of week), and this one has 0"),
        ("0 3 * *", "has 4"),
        ("0 0 3 * * *", "has 6"),
        ("60 3 * * *", "The minute '60' is none"),
        ("0 24 * * *", "The hour '24' is none"),
        ("0 3 32 * *", "The day of month '32' is none"),
        ("0 3 * 13 *", "The month '13' is none"),
        ("0 3 * * 8", "The day of week '8' is none"),
        ("0 3 * * FOO", "The day of week 'FOO' is none"),
        ("*/0 3 * * *", "The minute '*/0' is none"),
        ("5-1 3 * * *", "The minute '5-1' is none"),
        ("0 3 30 2 *", "The day of month '30' is none"),
        ("0 3 31 4 *", "The day of month '31' is none"),
        ("every day", "has 2"),
        ("@reboot", "There is no schedule '@reboot'"),
        ("0 3 * * ١", "The day of week '١' is none"),
    ],
)
def test_a_wrong_line_is_told_by_its_field(line: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_cron(line)
    assert said in caught.value.message
    assert caught.value.field == "schedule"
    assert caught.value.remedy


@settings(max_examples=400, deadline=None)
@given(line=st.text("0123456789*/,-#LW @", max_size=14) | st.text(max_size=14))
def test_no_text_raises_anything_else(line: str) -> None:
    try:
        plain = parse_cron(line)
    except ConfigError:
        return
    assert parse_cron(plain) == plain
    assert describe(plain)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0 3 * * *", "At 03:00 every day"),
        ("0 * * * *", "At the start of every hour"),
        ("@daily", "At 00:00 every day"),
        ("30 2 * * MON-FRI", "At 02:30 on Monday through Friday"),
        ("0 4 1 * *", "At 04:00 on the first day of every month"),
    ],
)
def test_common_lines_are_told_in_words(line: str, words: str) -> None:
    assert describe(line) == words


def test_a_zone_is_found_by_its_name() -> None:
    assert resolve_zone("Europe/Berlin") is BERLIN


@pytest.mark.parametrize(
    "name", ["Europe/Atlantis", "../etc/passwd", "Europe", "/etc/localtime", "a\0b", " "]
)
def test_a_zone_that_is_none_is_told(name: str) -> None:
    with pytest.raises(ConfigError, match="no time zone") as caught:
        resolve_zone(name)
    assert caught.value.field == "timezone"
    assert "Europe/Berlin" in caught.value.remedy


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps its zone in the registry")
@pytest.mark.parametrize(
    ("tz", "printed"), [("America/New_York", "America/New_York"), ("Neverland/Here", "ConfigError timezone")]
)
def test_without_a_name_the_machines_zone_counts(tz: str, printed: str) -> None:
    program = (
        "from engine.rules.schedule import resolve_zone\n"
        "try: print(resolve_zone(None).key)\n"
        "except Exception as error: print(type(error).__name__, error.field)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TZ": tz},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == printed
