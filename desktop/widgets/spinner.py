"""Spinner: says that something is being waited for. It turns only while it is seen."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QHideEvent, QPainter, QPaintEvent, QPen, QShowEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop.theme import Size, theme

STEP_MS = 40
STEP_DEGREES = 14
ARC_DEGREES = 100
THICK = 2.0


class Spinner(QWidget):
    """A turning arc. Hidden until it is started."""

    def __init__(self, name: str = "Working") -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._angle = 0
        self._timer = QTimer(self)
        self._timer.setInterval(STEP_MS)
        self._timer.timeout.connect(self._step)
        self.hide()

    @property
    def turns(self) -> bool:
        """Whether it is turning just now."""
        return self._timer.isActive()

    def sizeHint(self) -> QSize:
        return QSize(Size.ICON, Size.ICON)

    def showEvent(self, event: QShowEvent) -> None:
        self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:
        self._timer.stop()

    def _step(self) -> None:
        self._angle = (self._angle - STEP_DEGREES) % 360
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        p = theme().palette
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(THICK, THICK, -THICK, -THICK)
        painter.setPen(QPen(QColor(p.track), THICK))
        painter.drawEllipse(box)
        pen = QPen(QColor(p.accent), THICK)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        painter.drawArc(box, self._angle * 16, ARC_DEGREES * 16)
        painter.end()
