"""Bar and ProgressRow: a name, a bar, a figure. A bar without a known end shows that something moves."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from desktop.theme import Size, Tone, theme
from desktop.widgets.basic import label, set_ink
from desktop.widgets.elided import ElidedLabel
from desktop.widgets.value import ValueLabel
from desktop.words import State

STEP_MS = 50
WIDEST = "88.8 MB of 88.8 MB · 88.8 MB/s "
"""The widest figure of a row, which it always has the room for."""
SWEEP = 0.24
"""How much of the bar the moving part fills while the end is not known."""


class Bar(QWidget):
    """A thin bar of 0 to 100 percent; None moves to and fro."""

    def __init__(self, name: str = "Progress") -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._percent: float | None = 0.0
        self._tone: Tone = "accent"
        self._phase = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(STEP_MS)
        self._timer.timeout.connect(self._step)
        theme().changed.connect(self.update)

    @property
    def percent(self) -> float | None:
        """What the bar shows."""
        return self._percent

    @property
    def tone(self) -> Tone:
        """The colour's meaning."""
        return self._tone

    def show_percent(self, percent: float | None, tone: Tone = "accent") -> None:
        """Show how much is done, in the colour of a state."""
        if (percent, tone) == (self._percent, self._tone):
            return
        self._percent, self._tone = percent, tone
        said = "under way" if percent is None else f"{int(percent)} %"
        if self.accessibleDescription() != said:
            self.setAccessibleDescription(said)
        self._tend_timer()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(120, Size.BAR)

    def showEvent(self, event: object) -> None:
        self._tend_timer()

    def hideEvent(self, event: object) -> None:
        self._timer.stop()

    def _tend_timer(self) -> None:
        if self._percent is None and self.isVisible():
            self._timer.start()
        else:
            self._timer.stop()

    def _step(self) -> None:
        self._phase = (self._phase + 0.02) % 2.0
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        p = theme().palette
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        height = min(self.height(), Size.BAR)
        top, radius = (self.height() - height) / 2, height / 2
        whole = QRectF(0, top, self.width(), height)
        painter.setBrush(QColor(p.track))
        painter.drawRoundedRect(whole, radius, radius)
        painter.setBrush(QColor(p.main(self._tone)))
        if self._percent is None:
            position = self._phase if self._phase <= 1 else 2 - self._phase
            left = position * (1 - SWEEP) * self.width()
            painter.drawRoundedRect(QRectF(left, top, SWEEP * self.width(), height), radius, radius)
        elif self._percent > 0:
            width = max(height, self._percent / 100 * self.width())
            painter.drawRoundedRect(QRectF(0, top, width, height), radius, radius)
        painter.end()


class ProgressRow(QWidget):
    """One destination: its name, its bar and its figure, and below them its state in words.

    Its height stays as it is while values change; a problem alone is told in full, and takes its lines.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.name = ElidedLabel(name)
        self.name.setFixedWidth(Size.PROGRESS_NAME)
        self.bar = Bar(name)
        self.figure = label(muted=True)
        self.figure.setFixedWidth(self.figure.fontMetrics().horizontalAdvance(WIDEST))
        self.figure.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.state = label("", "chip")
        self.detail = ElidedLabel("", "caption", muted=True)
        self.problem = ValueLabel()
        self.problem.hide()
        above = QHBoxLayout()
        above.setSpacing(Size.GAP)
        above.addWidget(self.name)
        above.addWidget(self.bar, 1)
        above.addWidget(self.figure)
        below = QHBoxLayout()
        below.setSpacing(Size.GAP)
        below.addWidget(self.state)
        below.addWidget(self.detail, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, Size.GRID + 2, 0, Size.GRID + 2)
        layout.setSpacing(2)
        layout.addLayout(above)
        layout.addLayout(below)
        layout.addWidget(self.problem)

    def show_progress(self, percent: float | None, tone: Tone, figure: str) -> None:
        """Show how far it is; `figure` is the words at the right."""
        self.bar.show_percent(percent, tone)
        _say(self.figure, figure)

    def show_state(self, state: State, detail: str = "", problem: str = "") -> None:
        """Show its state in words: the detail in one line, a problem in as many as it needs."""
        _say(self.state, state.text)
        set_ink(self.state, state.tone)
        self.detail.say(detail)
        self.problem.show_value(problem)
        if self.problem.isHidden() == bool(problem):
            self.problem.setVisible(bool(problem))
        said = ". ".join(part for part in (state.word, self.figure.text(), detail, problem) if part)
        if self.accessibleDescription() != said:
            self.setAccessibleDescription(said)


def _say(its: QLabel, text: str) -> None:
    if its.text() != text:
        its.setText(text)
