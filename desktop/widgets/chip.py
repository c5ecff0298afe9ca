"""StateChip: a state as a colour, a sign and a word; and the painting that the lists share with it."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QSizePolicy

from desktop.theme import Size, font, theme
from desktop.words import State


def chip_font() -> QFont:
    """The type of a chip's words."""
    return font("chip")


def paint_chip(painter: QPainter, box: QRectF, state: State) -> None:
    """Paint a chip at the left of a box, in its middle, cut off where there is no room."""
    p = theme().palette
    metrics = QFontMetrics(chip_font())
    text = metrics.elidedText(state.text, Qt.TextElideMode.ElideRight, int(box.width()) - 2 * Size.GAP)
    width = metrics.horizontalAdvance(text) + 2 * Size.GAP
    shape = QRectF(box.x(), box.center().y() - Size.CHIP / 2, width, Size.CHIP)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(p.tint(state.tone)))
    painter.drawRoundedRect(shape, Size.CHIP / 2, Size.CHIP / 2)
    painter.setFont(chip_font())
    painter.setPen(QColor(p.ink(state.tone)))
    painter.drawText(shape, Qt.AlignmentFlag.AlignCenter, text)


class StateChip(QLabel):
    """A rounded label in the colour of its state, never in the colour alone."""

    def __init__(self, state: State | None = None) -> None:
        super().__init__()
        self.setFont(chip_font())
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._state: State | None = None
        theme().changed.connect(self.update)
        self.show_state(state)

    @property
    def state(self) -> State | None:
        """What is shown; None while the chip is hidden."""
        return self._state

    def show_state(self, state: State | None, tip: str = "") -> None:
        """Show a state; None hides the chip."""
        self.setToolTip(tip)
        if state == self._state and state is not None:
            return
        self._state = state
        self.setVisible(state is not None)
        if state is not None:
            self.setText(state.text)
            self.setAccessibleName(state.word)
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(QFontMetrics(chip_font()).horizontalAdvance(self.text()) + 2 * Size.GAP + 1, Size.CHIP)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._state is not None:
            painter = QPainter(self)
            paint_chip(painter, QRectF(self.rect()), self._state)
            painter.end()
