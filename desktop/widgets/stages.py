"""StageStrip: the pipeline of a run, a sign and a word for each stage, with what is known of it below."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from desktop.theme import Size, theme
from desktop.widgets.basic import label
from desktop.words import STAGES, duration
from engine.events import Stage

_SAID = {
    "waiting": "not yet",
    "active": "under way",
    "done": "done",
    "partial": "partly failed",
    "failed": "failed",
    "stopped": "stopped",
    "skipped": "not needed",
}


class StageDot(QWidget):
    """The sign of a stage: a ring, a dot, a check, a cross, an exclamation mark, a square, a dash."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(QSize(Size.DOT + 5, Size.DOT + 5))
        self.state = "waiting"
        theme().changed.connect(self.update)

    def show_state(self, state: str) -> None:
        """Show one of the states of a `StageState`."""
        if state != self.state:
            self.state = state
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        p = theme().palette
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = self.rect().adjusted(3, 3, -3, -3)
        mid = box.center()
        if self.state == "active":
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(p.accent))
            painter.drawEllipse(box)
        elif self.state == "done":
            painter.setPen(_pen(p.good))
            left, right = QPointF(box.left(), mid.y() + 1), QPointF(box.right() + 1, box.top() + 1)
            low = QPointF(box.left() + box.width() * 0.36, box.bottom())
            painter.drawPolyline([left, low, right])
        elif self.state == "failed":
            painter.setPen(_pen(p.bad))
            painter.drawLine(box.topLeft(), box.bottomRight())
            painter.drawLine(box.topRight(), box.bottomLeft())
        elif self.state == "partial":
            painter.setPen(_pen(p.risk))
            painter.drawLine(QPointF(mid.x() + 0.5, box.top()), QPointF(mid.x() + 0.5, mid.y() + 1.5))
            painter.drawPoint(QPointF(mid.x() + 0.5, box.bottom() + 0.5))
        elif self.state == "stopped":
            painter.setPen(_pen(p.muted))
            painter.setBrush(QColor(p.muted))
            painter.drawRect(box.adjusted(2, 2, -2, -2))
        elif self.state == "skipped":
            painter.setPen(_pen(p.faint))
            painter.drawLine(box.left() + 1, mid.y(), box.right() - 1, mid.y())
        else:
            painter.setPen(QPen(QColor(p.faint), 1.4))
            painter.drawEllipse(box)
        painter.end()


def _pen(colour: str) -> QPen:
    pen = QPen(QColor(colour), 1.8)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    return pen


class _StageCell(QWidget):
    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._word = STAGES[stage]
        self.dot = StageDot()
        self.name = label(self._word)
        self.detail = label("", "caption", muted=True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for its in (self.dot, self.name, self.detail):
            layout.addWidget(its, 0, Qt.AlignmentFlag.AlignHCenter)

    def show_state(self, state: str, detail: str, seconds: float | None) -> None:
        self.dot.show_state(state)
        _set(self.detail, duration(seconds) if seconds is not None else ("…" if state == "active" else ""))
        said = f"{self._word}: {_SAID.get(state, state)}"
        tip = f"{said}. {detail}" if detail else said
        self.setToolTip(tip)
        if self.accessibleName() != said:
            self.setAccessibleName(said)


def _set(its: QLabel, text: str) -> None:
    if its.text() != text:
        its.setText(text)


class StageStrip(QWidget):
    """The stages of an execution from left to right."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Stages")
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, Size.GRID, 0, Size.GRID)
        self._row.setSpacing(0)
        self._cells: dict[Stage, _StageCell] = {}
        # As high without stages, and before the first of them has ended: what stands below never jumps.
        self.setMinimumHeight(_StageCell(Stage.DUMP).sizeHint().height() + 2 * Size.GRID)

    @property
    def order(self) -> tuple[Stage, ...]:
        """The stages that are shown."""
        return tuple(self._cells)

    def show_order(self, order: Sequence[Stage]) -> None:
        """Show these stages, in this order."""
        if list(self._cells) == list(order):
            return
        for cell in self._cells.values():
            self._row.removeWidget(cell)
            cell.setParent(None)
            cell.deleteLater()
        self._cells = {stage: _StageCell(stage) for stage in order}
        for cell in self._cells.values():
            self._row.addWidget(cell, 1)

    def show_stage(self, stage: Stage, state: str, detail: str = "", seconds: float | None = None) -> None:
        """Show the state of one stage of the order."""
        if stage in self._cells:
            self._cells[stage].show_state(state, detail, seconds)

    def state_of(self, stage: Stage) -> str:
        """The state that a stage shows."""
        return self._cells[stage].dot.state
