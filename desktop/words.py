"""Words and figures as a person says them: sizes, times, states. Pure; the moment of now is handed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from desktop.theme.tokens import Tone
from engine.events import DestinationState, Stage, Status
from engine.units import size_text, span_text, speed_text


@dataclass(frozen=True, slots=True)
class State:
    """A state with its colour, its sign and its word; colour never stands alone."""

    word: str
    sign: str
    tone: Tone

    @property
    def text(self) -> str:
        """What a chip shows."""
        return f"{self.sign} {self.word}".strip()


NEVER_RUN = State("Never run", "–", "quiet")

_STATES: dict[Status, State] = {
    Status.PENDING: State("Waiting", "○", "quiet"),
    Status.RUNNING: State("Running", "●", "accent"),
    Status.SUCCESS: State("Success", "✓", "good"),
    Status.PARTIAL: State("Partial", "!", "risk"),
    Status.FAILED: State("Failed", "✕", "bad"),
    Status.CANCELLED: State("Cancelled", "–", "quiet"),
}

DESTINATION_STATES: dict[DestinationState, State] = {
    DestinationState.WAITING: State("Waiting", "○", "quiet"),
    DestinationState.UPLOADING: State("Uploading", "●", "accent"),
    DestinationState.VERIFYING: State("Verifying", "●", "accent"),
    DestinationState.RETRYING: State("Trying again", "!", "risk"),
    DestinationState.SUCCESS: State("Stored", "✓", "good"),
    DestinationState.FAILED: State("Failed", "✕", "bad"),
    DestinationState.CANCELLED: State("Cancelled", "–", "quiet"),
}

STAGES: dict[Stage, str] = {
    Stage.INITIALIZE: "Initialize",
    Stage.DUMP: "Dump",
    Stage.COMPRESS: "Compress",
    Stage.ENCRYPT: "Encrypt",
    Stage.UPLOAD: "Upload",
    Stage.VERIFY: "Verify",
    Stage.FETCH: "Fetch",
    Stage.RESTORE: "Restore",
    Stage.COMPLETION: "Completion",
    Stage.RETENTION: "Retention",
}

KINDS: dict[str, str] = {
    "run": "Backup",
    "restore": "Restore",
    "verify": "Verification",
    "drill": "Drill",
    "retention": "Retention",
}

TRIGGERS: dict[str, str] = {
    "manual": "by hand",
    "schedule": "on schedule",
    "catch-up": "caught up",
    "retry": "tried again",
    "system": "by Strongroom",
}


def state_of(status: Status, percent: float | None = None) -> State:
    """The state of an execution, with its percentage while it runs."""
    state = _STATES[status]
    if status is Status.RUNNING and percent is not None:
        return State(f"{state.word} {so_far(percent)}", state.sign, state.tone)
    return state


def so_far(percent: float) -> str:
    """How far what runs is: `13 %`. All bytes are through before all is proven: only an end is a hundred."""
    return f"{min(99, int(percent))} %"


def size(count: int | None) -> str:
    """Bytes in decimal units, at most three figures: `769 MB`, `1.9 GB`; a dash for None."""
    return "–" if count is None else size_text(count)


def speed(bytes_a_second: float) -> str:
    """`212 MB/s`."""
    return speed_text(bytes_a_second)


def duration(seconds: float | None) -> str:
    """`0.4 s`, `14 s`, `2 min 41 s`, `3 h 5 min`, `2 d 4 h`; a dash for None."""
    return "–" if seconds is None else span_text(seconds)


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago, in the largest unit that says enough: `just now`, `22 min ago`, `4 h ago`."""
    if moment is None:
        return "never"
    seconds = (now - moment).total_seconds()
    if seconds < -60:
        return f"in {_rough(-seconds)}"
    if seconds < 45:
        return "just now"
    return f"{_rough(seconds)} ago"


def _rough(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    if minutes < 90:
        return f"{minutes} min"
    if (hours := round(minutes / 60)) < 36:
        return f"{hours} h"
    if (days := round(minutes / 1440)) < 60:
        return f"{days} d"
    return f"{round(days / 30.4)} months" if days < 700 else f"{round(days / 365)} years"


def when(moment: datetime | None, now: datetime, zone: tzinfo | None = None) -> str:
    """A moment as people name it: `today 03:00`, `yesterday 03:00`, `tomorrow 03:00`, `22 Nov 03:00`."""
    if moment is None:
        return "–"
    local, today = moment.astimezone(zone), now.astimezone(zone).date()
    clock = local.strftime("%H:%M")
    days = (local.date() - today).days
    if days in (-1, 0, 1):
        return f"{ {-1: 'yesterday', 0: 'today', 1: 'tomorrow'}[days] } {clock}"
    if 1 < days < 7:
        return f"{local:%A} {clock}"
    year = "" if local.year == today.year else f" {local.year}"
    return f"{local.day} {local:%b}{year} {clock}"


def capital(text: str) -> str:
    """The text with its first letter large."""
    return text[:1].upper() + text[1:]


def short(name: str, most: int = 28) -> str:
    """A name that may be long, for where there is little room: its beginning and its end."""
    if len(name) <= most:
        return name
    return f"{name[: most * 2 // 3].rstrip()}…{name[-(most // 3 - 1) :].lstrip()}"


_IN_WINDOW = {
    "--as NAME": "“Under the name”",
    "--overwrite": "“Replace what is there”",
    "say --unproven": "choose that in the dialog",
}


def in_window(text: str) -> str:
    """What the engine says to do, with the options of the command line as the dialogs call them."""
    for option, said in _IN_WINDOW.items():
        text = text.replace(option, said)
    return text


def exact(moment: datetime | None, zone: tzinfo | None = None) -> str:
    """The whole moment, for a tool tip: local time and UTC."""
    if moment is None:
        return ""
    local = moment.astimezone(zone)
    return f"{local:%A, %d %B %Y, %H:%M:%S %Z} ({moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC)"


def time_left(seconds: float | None) -> str:
    """`14 s left`; empty while it is not known."""
    return "" if seconds is None else f"{duration(max(1, round(seconds)))} left"


def count(number: int, one: str, many: str = "") -> str:
    """`1 backup`, `3 backups`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def retention(policy: Mapping[str, Any]) -> str:
    """A destination's retention in words: `the last 14`, `7 daily, 4 weekly`, `everything`."""
    mode = str(policy.get("mode", "none")).lower()
    if mode == "simple":
        return f"the last {policy.get('keep', '?')}"
    if mode == "smart":
        tiers = [("keep_last", "last"), *((t, t) for t in ("hourly", "daily", "weekly", "monthly", "yearly"))]
        said = [f"{policy[key]} {word}" for key, word in tiers if policy.get(key)]
        return ", ".join(said) or "everything"
    return "everything"


def compression(value: str) -> str:
    """`zstd:9` as `zstd, level 9`."""
    if value in ("", "none"):
        return "not compressed"
    name, _, level = value.partition(":")
    return f"{name}, level {level}" if level else name


def encryption(value: str) -> str:
    """The name of a key, or that there is none."""
    return "not encrypted" if value == "none" else f"age, key {value}"
