"""The destinations of a run: a row each, in words that count down by themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from PySide6.QtCore import QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop import words
from desktop.copies import DestinationRow
from desktop.live import LiveRun
from desktop.theme import Tone
from desktop.widgets import ProgressRow
from desktop.words import State
from engine.clock import Clock, utc_now
from engine.events import DestinationState, Stage, Status

TICK_MS = 250
"""Four looks a second, so that no second of a countdown is left out; only what changed is painted."""
IN_STEP = 4_000_000
"""Bytes behind the dump that are on their way rather than late."""
QUIET = 5.0
"""Seconds without a byte after which that is worth saying."""
STUB = 4.0
"""Percent of a failed row's bar: enough to show its colour, and never like a full one."""


MOST = 2
"""Databases, and reasons, that a row names; the table of the copies names them all."""


@dataclass(frozen=True, slots=True)
class RowWords:
    """A destination's row as it is shown."""

    percent: float | None
    tone: Tone
    figure: str
    state: State
    detail: str = ""
    problem: str = ""


NOTHING_SENT = RowWords(0.0, "quiet", "", State("Nothing was sent", "–", "quiet"))


def row_words(row: DestinationRow, run: LiveRun, now: datetime) -> RowWords:
    """What a row says at this moment."""
    if run.status.ended:
        return _ended(row, run)
    if row.elsewhere and row.state is DestinationState.WAITING:
        state = State("Running in another process", "●", "accent")
        return RowWords(0.0, "accent", "", state, row.message or _so_far(row))
    state = words.DESTINATION_STATES[row.state]
    match row.state:
        case DestinationState.RETRYING:
            text = f"{_countdown(row, now)} (attempt {row.attempt} of {row.attempts})"
            return RowWords(
                row.percent or 0.0, "risk", _sent(row), State(text, "!", "risk"), _joined(row.message, row)
            )
        case DestinationState.UPLOADING:
            speed = words.speed(its) if (its := row.speed(now)) else ""
            whole = _whole(row, run)
            figure = " · ".join(part for part in (_sent(row, whole), speed) if part)
            percent = row.percent
            if whole and row.total is None:  # it has not moved since the dump ended, so nobody told it
                percent = min(99.0, 100.0 * row.bytes_sent / whole)
            return RowWords(percent, "accent", figure, _named(state, row), _under_way(row, run, now))
        case DestinationState.VERIFYING:
            return RowWords(100.0, "accent", _sent(row), _named(state, row), _so_far(row))
        case DestinationState.SUCCESS:
            return _stored(row, run, state)
        case DestinationState.FAILED:
            percent = max(row.percent or 0.0, STUB)
            return RowWords(percent, "bad", _sent(row), state, _so_far(row), _problem(row))
        case _:
            return RowWords(0.0, state.tone, "", state, _so_far(row))


def _stored(row: DestinationRow, run: LiveRun, state: State) -> RowWords:
    """The last copy is there; whether all are, the ones before it say, and the ones that are to come."""
    stored, failed = len(row.stored), len(row.failed)
    if stored + failed < len(run.databases):
        waiting = words.DESTINATION_STATES[DestinationState.WAITING]
        said = (f"{stored} stored before", f"{failed} failed before" if failed else "")
        return RowWords(0.0, waiting.tone, "", waiting, " · ".join(part for part in said if part))
    if failed:
        state = State(f"{stored} of {stored + failed} stored", "!", "risk")
        return RowWords(100.0 * stored / (stored + failed), "risk", _sent(row), state, "", _problem(row))
    return RowWords(100.0, "good", _sent(row), state, _joined(row.message, row))


def _ended(row: DestinationRow, run: LiveRun) -> RowWords:
    """How it ended in sum; where there were several copies, how many of them are there."""
    if row.state is DestinationState.FAILED and not row.failed and row.message == run.error:
        return NOTHING_SENT  # the run failed before it was this one's turn, and says so itself
    state = words.DESTINATION_STATES[row.state]
    stored, failed = len(row.stored), len(row.failed)
    many = stored + failed > 1
    match row.state:
        case DestinationState.SUCCESS:
            if many:
                state = State(f"All {stored} stored", state.sign, state.tone)
            return RowWords(100.0, "good", _size(row), state, row.message)
        case DestinationState.FAILED if many and stored:
            state = State(f"{stored} of {stored + failed} stored", "!", "risk")
            percent = 100.0 * stored / (stored + failed)
            return RowWords(percent, "risk", _size(row), state, "", _problem(row))
        case DestinationState.FAILED:
            return RowWords(max(row.percent or 0.0, STUB), "bad", "", state, "", _problem(row))
        case DestinationState.CANCELLED:
            detail = f"{stored} stored before" if stored else ""
            return RowWords(0.0, "quiet", _size(row) if stored else "", state, detail)
        case _:
            return NOTHING_SENT


def _named(state: State, row: DestinationRow) -> State:
    return State(f"{state.word} {row.database}".strip(), state.sign, state.tone)


def _countdown(row: DestinationRow, now: datetime) -> str:
    left = 0 if row.retry_at is None else math.ceil((row.retry_at - now).total_seconds())
    return f"Trying again in {left} s" if left > 0 else "Trying again now"


def _whole(row: DestinationRow, run: LiveRun) -> int | None:
    """How large its copy is to be; it is told with the bytes that move, and known once the dump has ended."""
    return row.total if row.total is not None else run.size_of(row.database)


def _sent(row: DestinationRow, whole: int | None = None) -> str:
    whole = whole or row.total
    if whole and row.bytes_sent < whole:
        return f"{words.size(row.bytes_sent)} of {words.size(whole)}"
    return _size(row)


def _size(row: DestinationRow) -> str:
    return words.size(row.bytes_sent) if row.bytes_sent else ""


def _under_way(row: DestinationRow, run: LiveRun, now: datetime) -> str:
    """Whether the dump is still being followed, and whether bytes still move."""
    attempt = f"attempt {row.attempt} of {row.attempts}" if row.attempt > 1 else ""
    follows = _whole(row, run) is None
    behind = (run.dumped(row.database) or row.bytes_sent) - row.bytes_sent
    still = row.still(now)
    if follows and behind > IN_STEP:
        pace = f"following the dump, {words.size(behind)} behind"
    elif follows:
        pace = "following the dump"
    else:
        pace = "" if row.bytes_sent or still >= QUIET else "nothing sent yet"
    dumps = run.state_of(Stage.DUMP).state == "active"
    waits_for_dump = follows and dumps and 0 <= behind <= IN_STEP
    silent = f"no byte for {words.duration(int(still))}" if still >= QUIET and not waits_for_dump else ""
    return " · ".join(part for part in (attempt, pace, silent, _so_far(row)) if part)


def _so_far(row: DestinationRow) -> str:
    """The copies before this one."""
    stored = len(row.stored.keys() - {row.database})
    failed = len(row.failed.keys() - {row.database})
    said = (f"{stored} stored before" if stored else "", f"{failed} failed before" if failed else "")
    return " · ".join(part for part in said if part)


def _joined(message: str, row: DestinationRow) -> str:
    return " · ".join(part for part in (message, _so_far(row)) if part)


def _problem(row: DestinationRow) -> str:
    """Why it failed and what to do; of several copies, which, each reason once."""
    reason = row.message.rstrip(".")
    if len(row.failed) + len(row.stored) > 1 and row.failed:
        reasons: dict[str, list[str]] = {}
        for name, why in row.failed.items():
            reasons.setdefault(why.rstrip("."), []).append(name)
        said = [f"{_listed(names)}: {why}" for why, names in reasons.items()]
        reason = ". ".join(said[:MOST])
        if len(said) > MOST:
            reason += f". And {words.count(len(said) - MOST, 'other reason')}"
    return " ".join(part for part in (f"{reason}." if reason else "", row.remedy) if part)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST
    return ", ".join(names[:MOST]) + (f" and {more} more" if more > 0 else "")


class DestinationRows(QWidget):
    """The rows in the order of the job. They count by themselves while they are seen and the run lasts."""

    def __init__(self, clock: Clock = utc_now) -> None:
        super().__init__()
        self.setAccessibleName("Destinations")
        self._clock = clock
        self._run = LiveRun("")
        self._rows: dict[str, ProgressRow] = {}
        self._place = QVBoxLayout(self)
        self._place.setContentsMargins(0, 0, 0, 0)
        self._place.setSpacing(0)
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tell)

    @property
    def names(self) -> list[str]:
        """The destinations that are shown."""
        return list(self._rows)

    def row(self, name: str) -> ProgressRow:
        """The row of one destination."""
        return self._rows[name]

    def show_run(self, run: LiveRun) -> None:
        """Show the destinations of a run."""
        self._run = run
        if list(run.destinations) != list(self._rows):
            for its in self._rows.values():
                self._place.removeWidget(its)
                its.hide()
                its.deleteLater()
            self._rows = {name: ProgressRow(name) for name in run.destinations}
            for its in self._rows.values():
                self._place.addWidget(its)
        self._tell()
        self._tend_timer()

    def _tell(self) -> None:
        now = self._clock()
        for name, row in self._run.destinations.items():
            its, said = self._rows[name], row_words(row, self._run, now)
            its.show_progress(said.percent, said.tone, said.figure)
            its.show_state(said.state, said.detail, said.problem)

    def _tend_timer(self) -> None:
        if self.isVisible() and self._run.status is Status.RUNNING:
            self._timer.start()
        else:
            self._timer.stop()

    def showEvent(self, event: QShowEvent) -> None:
        self._tend_timer()

    def hideEvent(self, event: QHideEvent) -> None:
        self._timer.stop()
