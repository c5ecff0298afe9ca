"""When a job runs: cron lines read as wall-clock time in the job's time zone. Pure.

Clock changes are met as Debian's cron meets them: what falls into the hour that is left out in spring
runs right after it, what falls into the hour that comes twice in autumn runs once; lines whose minute or
hour begins with a star run whenever the clock shows such a time, so twice, or not at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from engine.errors import ConfigError

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
MOST_COUNTED = 1000
"""Missed runs are counted up to here; a line for each minute misses half a million in a year."""

_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_EXAMPLE = 'An example: "0 3 * * *" is every day at 03:00; "@hourly", "@daily", "@weekly" do too.'
# How far back to look for the latest planned time; 29 February is up to eight years off.
_LOOK_BACK = (timedelta(hours=1), timedelta(days=1), timedelta(days=32), timedelta(days=367))
_CHANGE = timedelta(hours=3)
"""More than any clock was put back at once."""


@dataclass(frozen=True, slots=True)
class Missed:
    """Planned times that passed without a run, both ends in UTC. `more` when there were too many to count."""

    first: datetime
    latest: datetime
    count: int
    more: bool = False

    @property
    def words(self) -> str:
        """How many, for people: "1 run", "more than 1000 runs"."""
        return f"{'more than ' if self.more else ''}{self.count} run{'' if self.count == 1 else 's'}"


def parse_cron(line: str) -> str:
    """The line in its plain form: five fields, single spaces, no alias.

    Raises `ConfigError` that names the field that is wrong, also for a line whose day never comes.
    """
    from cronsim import CronSim, CronSimError

    text = " ".join(line.split())
    if text.startswith("@"):
        if text.lower() not in ALIASES:
            raise _wrong(f"There is no schedule {text!r}.", f"There are {', '.join(ALIASES)}.")
        text = ALIASES[text.lower()]
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise _wrong(
            f"A cron line has five fields ({', '.join(_FIELDS)}), and this one has {len(fields)}.", _EXAMPLE
        )
    try:
        # From a moment in a leap year, so that a line for 29 February is found in any case.
        next(CronSim(text, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise _wrong(f"{_kindly(str(error), fields)}.", _EXAMPLE) from error
    except StopIteration:
        raise _wrong(f"The day of the line {text!r} never comes.", _EXAMPLE) from None
    return text


def next_after(line: str, zone: ZoneInfo, moment: datetime) -> datetime:
    """The first planned time after `moment`, in UTC. Raises `ConfigError`."""
    for planned in _from(line, zone, moment):
        return planned
    raise _wrong(f"The line {line!r} has no time left to run.", _EXAMPLE)


def missed(line: str, zone: ZoneInfo, since: datetime, now: datetime) -> Missed | None:
    """The planned times after `since` and up to `now`; None when there was none. Raises `ConfigError`.

    A clock that went back (`now` before `since`) has missed nothing.
    """
    first = next_after(line, zone, since)
    if first > now:
        return None
    count = 0
    for planned in _from(line, zone, since):
        if planned > now:
            break
        count += 1
        if count > MOST_COUNTED:
            return Missed(first, _latest(line, zone, since, now), MOST_COUNTED, more=True)
        latest = planned
    return Missed(first, latest, count)


def resolve_zone(name: str | None) -> ZoneInfo:
    """The time zone of that IANA name; None or "" for the machine's. Raises `ConfigError`."""
    if not name:
        return _machine_zone()
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # a folder's name gives an OSError, "../x" a ValueError
        raise ConfigError(
            f"There is no time zone {name!r}.",
            field="timezone",
            remedy='Use a name of the IANA database, such as "Europe/Berlin" or "UTC".',
        ) from None


def describe(line: str) -> str:
    """The line in words: "At 03:00 every day". Raises `ConfigError`."""
    from cronsim import CronSim

    explained: str = CronSim(parse_cron(line), datetime(2024, 1, 1, tzinfo=UTC)).explain()
    return explained


def _from(line: str, zone: ZoneInfo, moment: datetime) -> Iterator[datetime]:
    """The planned times after `moment`, in UTC, ascending, each once.

    cronsim gives times of a wall clock that never changes; they are brought into the zone here, since
    it loses one itself where the clock changes by half an hour (Lord Howe, "0 */4 * * *").
    """
    from cronsim import CronSim

    text = parse_cron(line)
    minute, hour, *_ = text.split()
    every = minute.startswith("*") or hour.startswith("*")
    last = moment.astimezone(UTC)
    start = last.astimezone(zone)
    if (last - _CHANGE).astimezone(zone).utcoffset() != (last + _CHANGE).astimezone(zone).utcoffset():
        start -= _CHANGE  # a time that shows twice may be ahead though the wall clock is past it
    again: deque[datetime] = deque()  # second showings, which come after the first ones that follow them
    for wall in CronSim(text, start.replace(tzinfo=None)):
        first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if second < first:  # PEP 495: the wall clock never shows this time
            if every:
                continue
            first = second = _gap_end(wall, zone)
        while again and again[0] < first:
            if (found := again.popleft()) > last:
                yield (last := found)
        if first > last:
            yield (last := first)
        if every and second > first:
            again.append(second)


def _gap_end(wall: datetime, zone: ZoneInfo) -> datetime:
    """When the clock has been put forward over `wall`, in UTC."""
    while (found := wall.replace(tzinfo=zone).astimezone(UTC)).astimezone(zone).replace(tzinfo=None) != wall:
        wall = wall.replace(second=0) + timedelta(minutes=1)
    return found


def _latest(line: str, zone: ZoneInfo, since: datetime, now: datetime) -> datetime:
    """The last planned time up to `now`, which must exist after `since`."""
    for start in (*(now - back for back in _LOOK_BACK if now - back > since), since):
        latest = None
        for planned in _from(line, zone, start):
            if planned > now:
                break
            latest = planned
        if latest is not None:
            return latest
    raise AssertionError("there was no planned time, though one was seen")


def _machine_zone() -> ZoneInfo:
    import tzlocal

    try:
        return tzlocal.get_localzone()
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"This machine does not say clearly which time zone it is in: {error}.",
            field="timezone",
            remedy="Set a time zone for the job, or mend TZ, /etc/timezone or /etc/localtime.",
        ) from error


def _kindly(said: str, fields: list[str]) -> str:
    """cronsim says "Bad day-of-month"; say which value of which field."""
    for number, name in enumerate(_FIELDS):
        if said == f"Bad {name.replace(' ', '-')}":
            return f"The {name} {fields[number]!r} is none"
    return f"The cron line cannot be read: {said}"


def _wrong(message: str, remedy: str) -> ConfigError:
    return ConfigError(message, field="schedule", remedy=remedy)
