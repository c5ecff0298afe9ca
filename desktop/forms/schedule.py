"""When a job runs: usual times by name or any cron line, and what that means in words and dates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from desktop import words
from desktop.forms.inputs import calm
from desktop.theme import Size
from desktop.widgets import label, set_ink
from desktop.worker import Background, Problem
from engine.clock import utc_now

USUAL: tuple[tuple[str, str], ...] = (
    ("Every hour", "0 * * * *"),
    ("Every day at 03:00", "0 3 * * *"),
    ("Every Sunday at 03:00", "0 3 * * 0"),
    ("On the first of each month at 03:00", "0 3 1 * *"),
)
PREVIEWS = 3
TYPING_MS = 250


@dataclass(frozen=True, slots=True)
class Preview:
    """A schedule in words, and its next times (UTC)."""

    said: str
    next: tuple[datetime, ...]
    zone: tzinfo


def preview(line: str, zone: str | None) -> Preview:
    """What a cron line means. Raises `ConfigError`. Reads zone files, so not for the UI thread."""
    from engine.rules.schedule import describe, next_after, parse_cron, resolve_zone

    parse_cron(line)
    info = resolve_zone(zone)
    moments = []
    moment = utc_now()
    for _ in range(PREVIEWS):
        moment = next_after(line, info, moment)
        moments.append(moment)
    return Preview(describe(line), tuple(moments), info)


def zone_names() -> list[str]:
    """The names of all time zones. Reads the disk, so not for the UI thread."""
    from zoneinfo import available_timezones

    return sorted(name for name in available_timezones() if "/" in name or name == "UTC")


class ScheduleInput(QWidget):
    """Reads and writes a cron line (None: by hand alone) and a time zone (None: the machine's).

    `usual` are times by name; without `by_hand` there is always one, without `zoned` no choice of a zone.
    """

    changed = Signal()

    def __init__(
        self,
        background: Background,
        usual: Sequence[tuple[str, str]] = USUAL,
        *,
        by_hand: bool = True,
        zoned: bool = True,
    ) -> None:
        super().__init__()
        self._background = background
        self.usual = QComboBox()
        self.usual.setAccessibleName("When")
        calm(self.usual)
        if by_hand:
            self.usual.addItem("Only when started by hand", "")
        for text, line in usual:
            self.usual.addItem(text, line)
        self.usual.addItem("Own cron line", None)
        self.line = QLineEdit()
        self.line.setPlaceholderText("minute hour day month weekday")
        self.line.setAccessibleName("Cron line")
        self.zone = QComboBox()
        self.zone.setAccessibleName("Time zone")
        self.zone.setEditable(True)
        self.zone.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        calm(self.zone)
        self.zone.addItem("This machine's time zone", None)
        self.said = label("", "caption", muted=True, wrap=True)
        self._rest = QWidget()
        rest = QHBoxLayout(self._rest)
        rest.setContentsMargins(0, 0, 0, 0)
        rest.setSpacing(Size.GAP)
        rest.addWidget(self.line, 1)
        rest.addWidget(self.zone, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Size.GAP)
        layout.addWidget(self.usual)
        layout.addWidget(self._rest)
        layout.addWidget(self.said)
        self._wanted_zone: str | None = None
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING_MS)
        self._typing.timeout.connect(self._explain)
        self.usual.currentIndexChanged.connect(lambda _: self._choose())
        self.line.textEdited.connect(self._typed)
        self.zone.currentTextChanged.connect(lambda _: self._typing.start())
        self.zone.setVisible(zoned)
        if zoned:
            background.run(self, zone_names, self._fill_zones)
        self._choose()

    def value(self) -> tuple[str | None, str | None]:
        """The cron line and the time zone."""
        zone = self.zone.currentText().strip()
        machine = self.zone.currentIndex() == 0 and zone == self.zone.itemText(0)
        return self.line.text().strip() or None, None if machine or not zone else zone

    def set_value(self, line: str | None, zone: str | None) -> None:
        """Show a schedule."""
        at = self.usual.findData(line or "")
        self.usual.setCurrentIndex(at if at >= 0 else self.usual.count() - 1)
        self.line.setText(line or "")
        self._wanted_zone = zone
        if zone is not None:
            self.zone.setEditText(zone)
        self._explain()

    def focus_widget(self) -> QWidget:
        """Where the keyboard goes when the schedule is wrong."""
        return self.usual if self._rest.isHidden() else self.line

    def _choose(self) -> None:
        chosen = self.usual.currentData()
        if chosen is not None:
            self.line.setText(chosen)
        elif self.isVisible():
            self.line.setFocus()
        self._rest.setHidden(chosen == "")
        self._explain()

    def _typed(self) -> None:
        self.usual.blockSignals(True)
        self.usual.setCurrentIndex(self.usual.count() - 1)
        self.usual.blockSignals(False)
        self._typing.start()

    def _explain(self) -> None:
        self.changed.emit()
        line, zone = self.value()
        if line is None:
            self.said.setText("")
            self.said.setVisible(self.usual.currentData() is None)
            return
        text, its_zone = line, zone
        self._background.run(
            self, lambda: preview(text, its_zone), self._show, self._show_problem, key="preview"
        )

    def _show(self, found: Preview) -> None:
        now = utc_now()
        times = ", ".join(words.when(moment, now, found.zone) for moment in found.next)
        set_ink(self.said, None)
        self.said.setText(f"{words.capital(found.said)}. Next: {times}.")
        self.said.show()

    def _show_problem(self, problem: Problem) -> None:
        set_ink(self.said, "bad")
        self.said.setText(f"✕ {problem.message} {problem.remedy}".strip())
        self.said.show()

    def _fill_zones(self, names: list[str]) -> None:
        text = self.zone.currentText()
        self.zone.blockSignals(True)
        self.zone.addItems(names)
        self.zone.setEditText(self._wanted_zone or text)
        self.zone.blockSignals(False)
