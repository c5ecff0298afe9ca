"""Which backup sets are kept, which are deleted, and why. Pure: it takes values and a clock.

The rules are those of `borg prune`; around them stand guards, for whom a backup too many is better than
one too few: whatever cannot be counted on is neither counted nor lightly deleted.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, tzinfo
from typing import Any, Literal

from engine.errors import ConfigError

Mode = Literal["none", "simple", "smart"]

MOST = 100_000
COLLAPSE_HISTORY = 10
"""How many earlier backups of a database the newest one's size is held against."""
CLOCK_TOLERANCE = timedelta(minutes=2)
"""What two clocks may differ by without anybody's having gone back."""

# What two sets share that fall into one period, in the job's time zone. The hour has its offset, for an
# hour that a clock change repeats is two; weeks are ISO 8601's, from Monday on.
_PERIODS: Mapping[str, Callable[[datetime], str]] = {
    "hourly": lambda at: at.strftime("%Y-%m-%d %H:00%z"),
    "daily": lambda at: at.strftime("%Y-%m-%d"),
    "weekly": lambda at: at.strftime("%G-W%V"),
    "monthly": lambda at: at.strftime("%Y-%m"),
    "yearly": lambda at: at.strftime("%Y"),
}


@dataclass(frozen=True, slots=True)
class Retention:
    """What a destination keeps. `none`: everything; `simple`: the last `keep`; `smart`: the other rules."""

    mode: Mode = "none"
    keep: int = 0
    keep_last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0

    @property
    def rules(self) -> tuple[tuple[str, int], ...]:
        """The rules in their order, each with how many sets it keeps; those of 0 are left out."""
        if self.mode == "simple":
            return (("keep_last", self.keep),)
        if self.mode == "none":
            return ()
        return tuple((name, getattr(self, name)) for name in SMART_RULES if getattr(self, name))


SMART_RULES = tuple(field.name for field in fields(Retention) if field.name not in ("mode", "keep"))


@dataclass(frozen=True, slots=True)
class SetBackup:
    """One backup of a set. `size` in bytes as it lies there, `dump_size` before compression if known.

    `good`: nothing is known against it. `proven`: its signature shows that we, or an installation that
    we trust, wrote it; one that is not is never deleted.
    """

    id: str
    database: str
    size: int
    good: bool = True
    dump_size: int | None = None
    proven: bool = True


@dataclass(frozen=True, slots=True)
class BackupSet:
    """The backups of one execution at one destination. `created_at` is the run's start.

    `complete`: every database of the run is in it. `locked`: one of its backups is. `readable`: all of
    its sidecars can be read; where they cannot, `created_at` may be when the file was written.
    """

    set_id: str
    created_at: datetime
    complete: bool
    backups: tuple[SetBackup, ...]
    locked: bool = False
    readable: bool = True

    @property
    def counts(self) -> bool:
        """Whether it may stand for its period: whole, good, and shown to be ours."""
        return self.complete and self.trustworthy and bool(self.backups) and all(b.good for b in self.backups)

    @property
    def trustworthy(self) -> bool:
        """Whether what it says of itself is shown to be true; else it is neither counted nor deleted."""
        return self.readable and all(backup.proven for backup in self.backups)

    @property
    def order(self) -> tuple[float, str]:
        """What sets are sorted by: their time, then their ID."""
        return self.created_at.timestamp(), self.set_id


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one set, and why, as a sentence without its full stop."""

    backup_set: BackupSet
    keep: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The decisions, newest set first. `paused` says why nothing is deleted this time; None when not."""

    decisions: tuple[Decision, ...]
    paused: str | None = None

    @property
    def kept(self) -> tuple[BackupSet, ...]:
        """The sets that stay."""
        return tuple(decision.backup_set for decision in self.decisions if decision.keep)

    @property
    def deleted(self) -> tuple[BackupSet, ...]:
        """The sets that go."""
        return tuple(decision.backup_set for decision in self.decisions if not decision.keep)


def parse_retention(values: Mapping[str, Any]) -> Retention:
    """Read a retention as the configuration file has it; an empty one keeps everything.

    Raises `ConfigError` with the field for an unknown mode or key, for a number that is none, and for
    rules that would keep nothing.
    """
    if not values:
        return Retention()
    mode = values.get("mode")
    if mode not in ("none", "simple", "smart"):
        raise ConfigError(
            "The retention has no mode." if mode is None else f"There is no retention mode {mode!r}.",
            field="mode",
            remedy="The modes are none, simple (keep = N) and smart (daily = N, weekly = N ...).",
        )
    allowed = {"none": (), "simple": ("keep",), "smart": SMART_RULES}[mode]
    numbers: dict[str, int] = {}
    for name, value in values.items():
        if name == "mode":
            continue
        if name not in allowed:
            raise ConfigError(
                f"The retention mode {mode} has no key {name!r}.",
                field=str(name),
                remedy=f"Its keys are {', '.join(allowed)}." if allowed else "It has none.",
            )
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
            raise ConfigError(f"That is no number from 0 to {MOST}.", field=name)
        numbers[name] = value
    found = Retention(mode=mode, **numbers)
    if mode != "none" and not any(number for _, number in found.rules):
        raise ConfigError(
            "This retention would keep nothing.",
            field="keep" if mode == "simple" else "daily",
            remedy="Give at least one number above 0, or the mode none to keep everything.",
        )
    return found


def plan(
    sets: Sequence[BackupSet],
    retention: Retention,
    *,
    now: datetime,
    zone: tzinfo,
    collapse_ratio: float = 0.5,
    expect: str | None = None,
    last_seen: datetime | None = None,
) -> Plan:
    """Decide about all sets of one job at one destination. Deletes nothing itself.

    `zone` is the job's, in which days and weeks are counted. `expect` is the ID of a set that must be
    among them, since it has just been made: without it the list is not to be trusted. `last_seen` is the
    latest time that is known to have passed. A `collapse_ratio` of 0 lets sizes fall as they like.
    """
    ordered = sorted(sets, key=lambda each: each.order, reverse=True)
    if retention.mode == "none":
        return Plan(tuple(Decision(each, True, "everything is kept here") for each in ordered))
    paused = _pause(ordered, now, zone, collapse_ratio, expect, last_seen)
    if paused is not None:
        return Plan(tuple(Decision(each, True, "retention is paused") for each in ordered), paused)

    chosen = _choose([each for each in ordered if each.counts], retention, zone)
    # A set that does not count takes nobody's place, and goes when it would go if it did count.
    beside = _choose([each for each in ordered if each.trustworthy], retention, zone)
    newest_of = _newest_good(ordered)

    def decide(each: BackupSet) -> Decision:
        if each.locked:
            return Decision(each, True, "locked")
        if not each.readable:
            return Decision(each, True, "a sidecar of it cannot be read, so it is not deleted")
        if not each.trustworthy:
            return Decision(each, True, "who wrote it is not proven, so it is not deleted")
        if each.set_id in chosen:
            return Decision(each, True, chosen[each.set_id])
        if each.set_id in newest_of:
            names = ", ".join(newest_of[each.set_id])
            return Decision(each, True, f"it holds the newest good backup of {names}")
        if not each.counts and each.set_id in beside:
            return Decision(each, True, f"{_why_not_counted(each)}, kept beside: {beside[each.set_id]}")
        if not each.counts:
            return Decision(each, False, f"{_why_not_counted(each)}, and no rule would keep it")
        return Decision(each, False, _no_rule(retention))

    return Plan(tuple(map(decide, ordered)))


def _choose(newest_first: Sequence[BackupSet], retention: Retention, zone: tzinfo) -> dict[str, str]:
    """The sets that the rules keep, by ID, with the reason.

    As `borg prune` does it: the rules come in order; in each period of a rule the newest set counts; a set
    that an earlier rule keeps is not counted again, and stands for its period; a rule that finds fewer
    sets than it may keep takes the oldest of all, which so grows into the longer periods.
    """
    kept: dict[str, str] = {}
    for rule, most in retention.rules:
        count, last = 0, None
        for number, each in enumerate(newest_first):
            period = _period(rule, each, number, zone)
            if period == last:
                continue
            last = period
            if each.set_id not in kept:
                count += 1
                of = "" if rule == "keep_last" else f", the newest of {period}"
                kept[each.set_id] = f"{_RULE_NAMES[rule]} {count} of {most}{of}"
                if count == most:
                    break
        if count < most and newest_first and newest_first[-1].set_id not in kept:
            kept[newest_first[-1].set_id] = (
                f"{_RULE_NAMES[rule]} {count + 1} of {most}, the oldest, until there are enough"
            )
    return kept


_RULE_NAMES = {"keep_last": "last"} | {name: name for name in _PERIODS}


def _period(rule: str, each: BackupSet, number: int, zone: tzinfo) -> str:
    if rule == "keep_last":
        return str(number)
    return _PERIODS[rule](each.created_at.astimezone(zone))


def _pause(
    newest_first: Sequence[BackupSet],
    now: datetime,
    zone: tzinfo,
    collapse_ratio: float,
    expect: str | None,
    last_seen: datetime | None,
) -> str | None:
    """Why nothing may be deleted this time, as a sentence; None when all is as it should be."""
    if expect is not None and all(each.set_id != expect for each in newest_first):
        return "The backup that was just made is not in the destination's list, so the list is not trusted."
    if last_seen is not None and now < last_seen - CLOCK_TOLERANCE:
        return f"The clock went back: it says {_text(now, zone)}, and it was {_text(last_seen, zone)} before."
    for each in newest_first:
        if each.trustworthy and each.created_at > now + CLOCK_TOLERANCE:
            return (
                f"The set {each.set_id} is dated {_text(each.created_at, zone)}, which is in the future: "
                f"the clock says {_text(now, zone)}."
            )
    return _collapse(newest_first, collapse_ratio)


def _collapse(newest_first: Sequence[BackupSet], ratio: float) -> str | None:
    """Why the newest set looks like the shadow of the earlier ones; None when it does not."""
    trusted = [each for each in newest_first if each.trustworthy]
    for backup in trusted[0].backups if trusted else ():
        earlier = [
            other
            for each in trusted[1:]
            for other in each.backups
            if other.database == backup.database and other.good
        ][:COLLAPSE_HISTORY]
        if not earlier:
            continue
        # The dump's own size, where it is known of all: compression may have been changed meanwhile.
        by_dump = all(other.dump_size is not None for other in (backup, *earlier))
        sizes = [(other.dump_size or 0) if by_dump else other.size for other in (backup, *earlier)]
        median = statistics.median(sizes[1:])
        if sizes[0] < ratio * median:
            return (
                f"The newest backup of {backup.database} has {sizes[0]:,} bytes, less than "
                f"{ratio:.0%} of the {median:,.0f} bytes that are usual. If that is right, set the job's "
                "collapse_ratio to 0 for a while."
            )
    return None


def _newest_good(newest_first: Sequence[BackupSet]) -> dict[str, list[str]]:
    """The databases whose newest good backup a set holds, by the set's ID."""
    found: dict[str, list[str]] = {}
    seen: set[str] = set()
    for each in newest_first:
        if each.trustworthy:
            databases = sorted({backup.database for backup in each.backups if backup.good} - seen)
            if databases:
                found[each.set_id] = databases
                seen.update(databases)
    return found


def _why_not_counted(each: BackupSet) -> str:
    bad = sorted(backup.database for backup in each.backups if not backup.good)
    if bad:
        return f"damaged ({', '.join(bad)})"
    return "partial"


def _no_rule(retention: Retention) -> str:
    if retention.mode == "simple":
        return f"{retention.keep} newer {'set is' if retention.keep == 1 else 'sets are'} kept"
    return "no rule keeps it"


def _text(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
