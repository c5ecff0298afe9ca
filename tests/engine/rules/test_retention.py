"""Retention: borg's rules against an oracle of another make, and each guard that stands around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ConfigError
from engine.rules.retention import BackupSet, Decision, Plan, Retention, SetBackup, parse_retention, plan

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
ALL = Retention("smart", keep_last=2, hourly=3, daily=7, weekly=4, monthly=12, yearly=2)


def one(at: datetime, name: str = "", **changes: Any) -> BackupSet:
    name = name or at.strftime("%Y-%m-%d %H:%M")
    made = BackupSet(name, at, True, (SetBackup(f"{name}/shop", "shop", 1000),))
    return replace(made, **changes)


def ago(days: float, name: str = "", **changes: Any) -> BackupSet:
    return one(NOW - timedelta(days=days), name or f"-{days:g}", **changes)


def two_databases(days: float, *databases: str) -> BackupSet:
    backups = tuple(SetBackup(f"-{days:g}/{name}", name, 1000) for name in databases)
    return ago(days, complete=len(databases) == 2, backups=backups)


def planned(sets: Sequence[BackupSet], retention: Retention, **how: Any) -> Plan:
    return plan(sets, retention, **{"now": NOW, "zone": UTC, **how})


def kept(found: Plan) -> list[str]:
    return [each.set_id for each in found.kept]


def reason(found: Plan, name: str) -> str:
    return next(each.reason for each in found.decisions if each.backup_set.set_id == name)


def simple(number: int) -> Retention:
    return Retention("simple", keep=number)


# -- the rules -----------------------------------------------------------------------------------------


def borg(times: list[datetime], retention: Retention, zone: ZoneInfo) -> set[datetime]:
    """borg's prune by another way: periods are grouped first, then the rules walk over the groups."""
    units = {
        "keep_last": lambda at: at.timestamp(),
        "hourly": lambda at: (at.date(), at.hour, at.utcoffset()),
        "daily": lambda at: at.date(),
        "weekly": lambda at: at.isocalendar()[:2],
        "monthly": lambda at: (at.year, at.month),
        "yearly": lambda at: at.year,
    }
    stay: set[datetime] = set()
    local = sorted({time.astimezone(zone) for time in times}, key=lambda at: at.timestamp())
    rules = (
        [("keep_last", retention.keep)]
        if retention.mode == "simple"
        else [(name, getattr(retention, name)) for name in units]
    )
    for rule, most in rules:
        if not most:
            continue
        newest = [max(group, key=lambda at: at.timestamp()) for _, group in groupby(local, units[rule])]
        wanted = [at for at in reversed(newest) if at not in stay][:most]
        stay.update(wanted)
        if len(wanted) < most and local:
            stay.add(local[0])
    return {at.astimezone(UTC) for at in stay}


TIMES = st.lists(
    st.datetimes(datetime(2024, 6, 1), datetime(2026, 11, 24), timezones=st.just(UTC))
    | st.datetimes(datetime(2026, 10, 24, 20), datetime(2026, 10, 25, 6), timezones=st.just(UTC))
    | st.datetimes(datetime(2026, 3, 28, 20), datetime(2026, 3, 29, 6), timezones=st.just(UTC)),
    max_size=40,
    unique=True,
)
NUMBERS = st.integers(0, 6)
RETENTIONS = st.builds(simple, st.integers(1, 8)) | st.builds(
    Retention, st.just("smart"), st.just(0), *[NUMBERS] * 6
).filter(lambda retention: retention.rules)
ZONES = st.sampled_from([ZoneInfo("UTC"), BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata")])


@settings(max_examples=500, deadline=None)
@given(times=TIMES, retention=RETENTIONS, zone=ZONES)
def test_complete_sets_are_kept_as_borg_keeps_archives(
    times: list[datetime], retention: Retention, zone: ZoneInfo
) -> None:
    sets = [one(at, str(number)) for number, at in enumerate(times)]
    found = planned(sets, retention, zone=zone)
    assert {each.created_at for each in found.kept} == borg(times, retention, zone)
    assert found.paused is None


def test_the_example_of_borgs_documentation() -> None:
    """docs/misc/prune-example.txt of borg: one backup a day at 02:00 through 2015, seen on 1 January 2016,
    with 14 daily, 6 monthly and 1 yearly; the year's first backup is kept as the oldest."""
    days = [datetime(2015, 1, 1, 2, tzinfo=UTC) + timedelta(days=number) for number in range(366)]
    found = plan(
        [one(at, at.strftime("%m-%d") if at.year == 2015 else "2016") for at in days],
        Retention("smart", daily=14, monthly=6, yearly=1),
        now=datetime(2016, 1, 1, 3, tzinfo=UTC),
        zone=UTC,
    )
    assert kept(found) == [
        "2016",
        *(f"12-{day}" for day in range(31, 18, -1)),
        *("11-30", "10-31", "09-30", "08-31", "07-31", "06-30"),
        "01-01",
    ]


def test_simple_keeps_the_last_so_many() -> None:
    found = planned([ago(days) for days in range(5)], simple(2))
    assert kept(found) == ["-0", "-1"]
    assert reason(found, "-1") == "last 2 of 2"
    assert reason(found, "-2") == "2 newer sets are kept"


def test_each_rule_gives_its_reason() -> None:
    found = planned([ago(days) for days in range(60)], Retention("smart", keep_last=1, daily=2, monthly=3))
    assert {name: reason(found, name) for name in kept(found)} == {
        "-0": "last 1 of 1",
        "-1": "daily 1 of 2, the newest of 2026-11-23",
        "-2": "daily 2 of 2, the newest of 2026-11-22",
        "-24": "monthly 1 of 3, the newest of 2026-10",
        "-55": "monthly 2 of 3, the newest of 2026-09",
        "-59": "monthly 3 of 3, the oldest, until there are enough",
    }
    assert reason(found, "-3") == "no rule keeps it"


def test_what_one_rule_keeps_the_next_does_not_count() -> None:
    """The example of docs/retention.md."""
    sets = [one(at, at.strftime("%a %d")) for at in (NOW - timedelta(days=days) for days in range(20))]
    found = planned(sets, Retention("smart", daily=3, weekly=2))
    assert {name: reason(found, name) for name in kept(found)} == {
        "Tue 24": "daily 1 of 3, the newest of 2026-11-24",
        "Mon 23": "daily 2 of 3, the newest of 2026-11-23",
        "Sun 22": "daily 3 of 3, the newest of 2026-11-22",
        "Sun 15": "weekly 1 of 2, the newest of 2026-W46",
        "Sun 08": "weekly 2 of 2, the newest of 2026-W45",
    }


def test_days_end_at_midnight_of_the_jobs_zone() -> None:
    late = one(datetime(2026, 11, 22, 22, 30, tzinfo=UTC), "late")
    later = one(datetime(2026, 11, 22, 23, 30, tzinfo=UTC), "later")
    in_utc = planned([late, later, ago(0), ago(9)], Retention("smart", daily=3))
    assert kept(in_utc) == ["-0", "later", "-9"]
    both = planned([late, later, ago(0), ago(9)], Retention("smart", daily=3), zone=BERLIN)
    assert kept(both) == ["-0", "later", "late"]  # in Berlin, 22:30 UTC is of the 22nd and 23:30 of the 23rd
    assert "2026-11-23" in reason(both, "later") and "2026-11-22" in reason(both, "late")


def test_the_hour_that_autumn_repeats_is_two_hours() -> None:
    first = one(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "02:30 summer")
    second = one(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "02:30 winter")
    found = planned([first, second, ago(0)], Retention("smart", hourly=3), zone=BERLIN)
    assert len(kept(found)) == 3
    assert "02:00+0100" in reason(found, "02:30 winter")


def test_weeks_are_those_of_iso_8601_over_the_turn_of_the_year() -> None:
    now = datetime(2027, 1, 5, tzinfo=UTC)
    days = [datetime(2026, 12, 27, tzinfo=UTC) + timedelta(days=number) for number in range(9)]
    found = plan([one(at, at.strftime("%d")) for at in days], Retention("smart", weekly=2), now=now, zone=UTC)
    # 28 December 2026 to 3 January 2027 is one week: 2026-W53.
    assert kept(found) == ["04", "03"]
    assert "2026-W53" in reason(found, "03")


def test_none_keeps_everything() -> None:
    found = planned([ago(days) for days in range(400)], Retention())
    assert found.deleted == () and reason(found, "-399") == "everything is kept here"


def test_no_sets_are_no_trouble() -> None:
    assert planned([], ALL) == Plan(())


def test_decisions_come_newest_first() -> None:
    found = planned([ago(3), ago(1), ago(2)], ALL)
    assert [each.backup_set.set_id for each in found.decisions] == ["-1", "-2", "-3"]
    assert all(isinstance(each, Decision) and each.reason for each in found.decisions)


# -- the guards ----------------------------------------------------------------------------------------


def test_a_locked_set_stays_and_counts() -> None:
    found = planned([ago(0), ago(1), ago(2), ago(3, locked=True)], simple(2))
    assert kept(found) == ["-0", "-1", "-3"]
    assert reason(found, "-3") == "locked"
    assert kept(planned([ago(0), ago(1, locked=True), ago(2)], simple(2))) == ["-0", "-1"]


@given(times=TIMES, retention=RETENTIONS, data=st.data())
def test_a_lock_changes_nothing_but_its_own_set(
    times: list[datetime], retention: Retention, data: st.DataObject
) -> None:
    sets = [one(at, str(number)) for number, at in enumerate(times)]
    locked = data.draw(st.sets(st.sampled_from(sets) if sets else st.nothing()))
    before = set(kept(planned(sets, retention)))
    after = set(kept(planned([replace(each, locked=each in locked) for each in sets], retention)))
    assert after == before | {each.set_id for each in locked}


def test_a_set_with_an_unreadable_sidecar_stays_and_does_not_count() -> None:
    found = planned([ago(0, readable=False), ago(1), ago(2), ago(3)], simple(2))
    assert kept(found) == ["-0", "-1", "-2"]
    assert "cannot be read" in reason(found, "-0")
    lost = BackupSet("?", NOW + timedelta(days=9), False, (), readable=False)
    found = planned([lost, ago(0), ago(1)], simple(1))
    assert kept(found) == ["?", "-0"] and found.paused is None


def test_a_set_that_nobody_proves_to_be_ours_stays_and_does_not_count() -> None:
    planted = [
        ago(days, f"planted {days}", backups=(SetBackup("x", "shop", 1000, proven=False),))
        for days in (0, 0.1, 0.2)
    ]
    found = planned([*planted, ago(1), ago(2), ago(3)], simple(2))
    assert [each.set_id for each in found.deleted] == ["-3"]
    assert "not proven" in reason(found, "planted 0")


def test_a_partial_set_takes_no_place() -> None:
    sets = [
        two_databases(0, "a"),
        two_databases(1, "a", "b"),
        two_databases(2, "a", "b"),
        two_databases(3, "a", "b"),
    ]
    found = planned(sets, simple(2))
    assert kept(found) == ["-0", "-1", "-2"]


def test_a_partial_set_goes_when_a_whole_one_would() -> None:
    sets = [
        two_databases(0, "a", "b"),
        two_databases(1, "a", "b"),
        two_databases(2, "a"),
        two_databases(3, "a", "b"),
    ]
    found = planned(sets, simple(2))
    assert kept(found) == ["-0", "-1"]
    assert reason(found, "-2") == "partial, and no rule would keep it"


def test_a_partial_set_that_would_be_kept_is_kept_beside() -> None:
    sets = [two_databases(0, "a"), two_databases(1, "a"), two_databases(2, "a", "b")]
    found = planned(sets, simple(2))
    assert kept(found) == ["-0", "-1", "-2"]
    assert reason(found, "-0") == "it holds the newest good backup of a"
    assert reason(found, "-1") == "partial, kept beside: last 2 of 2"
    assert reason(found, "-2") == "last 1 of 2"


def test_a_job_that_is_always_partial_does_not_fill_the_disk() -> None:
    found = planned([two_databases(days, "a") for days in range(50)], simple(3))
    assert kept(found) == ["-0", "-1", "-2"]


def test_the_newest_good_backup_of_every_database_stays_whatever_the_sets_say() -> None:
    sets = [two_databases(days, "a", "b") for days in (0, 1)]
    sets += [two_databases(5, "old", "a"), two_databases(6, "old", "a"), two_databases(7, "b")]
    found = planned(sets, simple(1))
    assert kept(found) == ["-0", "-5"]
    assert reason(found, "-5") == "it holds the newest good backup of old"


def test_a_damaged_backup_neither_counts_nor_is_the_newest_good_one() -> None:
    def damaged(days: float) -> BackupSet:
        return ago(days, backups=(SetBackup("x", "shop", 1000, good=False),))

    found = planned([damaged(0), damaged(1), ago(2), ago(3), ago(4)], simple(2))
    assert kept(found) == ["-0", "-1", "-2", "-3"]
    assert reason(found, "-0") == "damaged (shop), kept beside: last 1 of 2"
    found = planned([ago(0), ago(1), damaged(2), ago(3)], simple(2))
    assert reason(found, "-2") == "damaged (shop), and no rule would keep it"


def test_a_list_without_the_backup_that_was_just_made_is_not_trusted() -> None:
    sets = [ago(days) for days in range(5)]
    found = planned(sets, simple(1), expect="new")
    assert found.deleted == ()
    assert found.paused is not None and "just made" in found.paused
    assert planned(sets, simple(1), expect="-0").deleted != ()


def test_a_backup_of_the_future_pauses() -> None:
    found = planned([ago(-1), ago(1), ago(2)], simple(1), zone=BERLIN)
    assert found.deleted == ()
    assert found.paused is not None
    assert "2026-11-25 13:00 CET, which is in the future" in found.paused
    assert reason(found, "-2") == "retention is paused"
    # A minute is what clocks differ by.
    assert planned([one(NOW + timedelta(minutes=1), "soon"), ago(1)], simple(1)).paused is None


def test_a_date_that_is_not_proven_pauses_nothing() -> None:
    planted = ago(-1, "planted", backups=(SetBackup("x", "shop", 1000, proven=False),))
    found = planned([planted, ago(1), ago(2)], simple(1))
    assert found.paused is None and kept(found) == ["planted", "-1"]


def test_a_clock_that_went_back_pauses() -> None:
    sets = [ago(1), ago(2)]
    found = planned(sets, simple(1), last_seen=NOW + timedelta(hours=1))
    assert found.deleted == () and found.paused is not None and "went back" in found.paused
    assert planned(sets, simple(1), last_seen=NOW + timedelta(minutes=1)).paused is None
    assert planned(sets, simple(1), last_seen=NOW - timedelta(hours=1)).paused is None


def sized(*sizes: int, dump_sizes: Sequence[int | None] = ()) -> list[BackupSet]:
    """Sets of these sizes, the newest first."""
    dumps = list(dump_sizes) or [None] * len(sizes)
    return [
        ago(days, backups=(SetBackup(str(days), "shop", size, dump_size=dumps[days]),))
        for days, size in enumerate(sizes)
    ]


def test_a_size_that_collapses_pauses_and_says_what_it_saw() -> None:
    found = planned(sized(499_999, *[1_000_000] * 10), simple(2))
    assert found.deleted == ()
    assert found.paused is not None
    assert "The newest backup of shop has 499,999 bytes, less than 50% of the 1,000,000" in found.paused
    assert planned(sized(500_000, *[1_000_000] * 10), simple(2)).paused is None
    assert planned(sized(1, 1_000_000), simple(1)).paused is not None


def test_the_collapse_is_measured_by_the_median_of_the_last_ten() -> None:
    # One huge one does not make the others look collapsed, and the eleventh does not count.
    assert planned(sized(100, 100, 10_000, 100), simple(1)).paused is None
    assert planned(sized(100, *[150] * 10, *[100_000] * 20), simple(1)).paused is None
    assert planned(sized(100, *[150] * 4, *[100_000] * 6), simple(1)).paused is not None


def test_the_ratio_is_the_jobs_choice() -> None:
    sets = sized(200, 1000)
    assert planned(sets, simple(1), collapse_ratio=0.1).paused is None
    assert planned(sets, simple(1), collapse_ratio=0.0).paused is None
    assert planned(sized(0, 1000), simple(1), collapse_ratio=0.0).paused is None
    assert planned(sized(900, 1000), simple(1), collapse_ratio=1.0).paused is not None


def test_a_change_of_the_compression_is_no_collapse() -> None:
    sets = sized(100, 1000, 1000, dump_sizes=[5000, 5000, 5000])
    assert planned(sets, simple(1)).paused is None
    assert planned(sized(1000, 1000, dump_sizes=[100, 5000]), simple(1)).paused is not None
    # Where one of them is not known, what lies there is all there is to measure.
    assert planned(sized(100, 1000, dump_sizes=[5000, None]), simple(1)).paused is not None


def test_one_database_that_collapses_among_others_pauses() -> None:
    backups = (SetBackup("1", "a", 1000), SetBackup("2", "b", 10))
    before = (SetBackup("3", "a", 1000), SetBackup("4", "b", 1000))
    found = planned([ago(0, backups=backups), ago(1, backups=before)], simple(1))
    assert found.paused is not None and "newest backup of b" in found.paused


def test_damaged_ones_are_no_measure() -> None:
    bad = ago(1, backups=(SetBackup("x", "shop", 1_000_000, good=False),))
    assert (
        planned([*sized(100), bad, ago(2, backups=(SetBackup("y", "shop", 100),))], simple(1)).paused is None
    )


# -- what holds for any sets ---------------------------------------------------------------------------

DATABASES = st.sampled_from(["a", "b", "c"])


@st.composite
def any_sets(draw: st.DrawFn) -> list[BackupSet]:
    found = []
    for number in range(draw(st.integers(0, 12))):
        backups = tuple(
            SetBackup(
                f"{number}/{name}",
                name,
                draw(st.integers(900, 1100)),
                good=draw(st.integers(0, 4)) > 0,
                proven=draw(st.integers(0, 6)) > 0,
            )
            for name in draw(st.sets(DATABASES, max_size=3))
        )
        readable = draw(st.integers(0, 6)) > 0
        at = NOW - timedelta(hours=draw(st.integers(0, 24 * 500)))
        found.append(
            BackupSet(
                str(number),
                at,
                draw(st.booleans()),
                backups,
                locked=draw(st.integers(0, 6)) == 0,
                readable=readable,
            )
        )
    return found


@settings(max_examples=500, deadline=None)
@given(sets=any_sets(), retention=RETENTIONS, zone=ZONES)
def test_no_plan_breaks_a_rule_that_must_never_break(
    sets: list[BackupSet], retention: Retention, zone: ZoneInfo
) -> None:
    found = planned(sets, retention, zone=zone)
    assert sorted(each.backup_set.set_id for each in found.decisions) == sorted(each.set_id for each in sets)
    gone = {each.set_id for each in found.deleted}
    for each in sets:
        if each.set_id in gone:
            assert not each.locked and each.readable
            assert all(backup.proven for backup in each.backups)
    sure = [each for each in sets if each.trustworthy]
    for name in ("a", "b", "c"):
        holding = [each for each in sure if any(b.database == name and b.good for b in each.backups)]
        if holding:
            assert max(holding, key=lambda each: each.order).set_id not in gone
    # What the rules keep of those that count, they keep whatever else lies there.
    alone = planned([each for each in sets if each.counts], retention, zone=zone)
    by_rules = {each.backup_set.set_id for each in alone.decisions if each.keep and " of " in each.reason}
    assert not {name for name in by_rules if "holds the newest" not in reason(alone, name)} & gone


@settings(max_examples=200, deadline=None)
@given(sets=any_sets(), retention=RETENTIONS)
def test_a_second_run_right_after_deletes_nothing_that_counts(
    sets: list[BackupSet], retention: Retention
) -> None:
    first = planned(sets, retention)
    second = planned(first.kept, retention)
    assert not [each for each in second.deleted if each.counts]


@given(sets=any_sets(), retention=RETENTIONS, data=st.data())
def test_the_order_of_the_list_does_not_matter(
    sets: list[BackupSet], retention: Retention, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(sets))
    assert planned(shuffled, retention) == planned(sets, retention)


# -- the configuration ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, Retention()),
        ({"mode": "none"}, Retention()),
        ({"mode": "simple", "keep": 14}, Retention("simple", keep=14)),
        (
            {"mode": "smart", "daily": 7, "weekly": 4, "monthly": 12, "yearly": 2},
            Retention("smart", daily=7, weekly=4, monthly=12, yearly=2),
        ),
        ({"mode": "smart", "keep_last": 3, "hourly": 0}, Retention("smart", keep_last=3)),
    ],
)
def test_a_retention_is_read_from_the_configuration(values: dict[str, Any], expected: Retention) -> None:
    assert parse_retention(values) == expected


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        ({"mode": "gfs"}, "mode", "no retention mode 'gfs'"),
        ({"keep": 5}, "mode", "no mode"),
        ({"mode": "simple", "daily": 5}, "daily", "has no key 'daily'"),
        ({"mode": "smart", "keep": 5}, "keep", "has no key 'keep'"),
        ({"mode": "smart", "dayly": 5}, "dayly", "has no key 'dayly'"),
        ({"mode": "none", "keep": 5}, "keep", "has no key"),
        ({"mode": "simple"}, "keep", "keep nothing"),
        ({"mode": "simple", "keep": 0}, "keep", "keep nothing"),
        ({"mode": "smart"}, "daily", "keep nothing"),
        ({"mode": "smart", "daily": 0, "weekly": 0}, "daily", "keep nothing"),
        ({"mode": "simple", "keep": -1}, "keep", "no number"),
        ({"mode": "simple", "keep": "5"}, "keep", "no number"),
        ({"mode": "simple", "keep": 2.5}, "keep", "no number"),
        ({"mode": "simple", "keep": True}, "keep", "no number"),
        ({"mode": "simple", "keep": 10**9}, "keep", "no number"),
        ({"mode": ["simple"]}, "mode", "no retention mode"),
    ],
)
def test_a_wrong_retention_is_told_by_its_field(values: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_retention(values)
    assert caught.value.field == field
    assert said in caught.value.message
