"""ElidedLabel: one line, cut off with an ellipsis where there is no room, and whole in its tool tip.

TitleLabel is one that is as wide as its words while there is room.
"""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy

from desktop.theme import Role, set_role

LEAST = 24


class ElidedLabel(QLabel):
    """A label whose `value` is what was said, however much of it can be shown."""

    def __init__(self, value: str = "", role: Role = "body", *, muted: bool = False) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        set_role(self, role)
        if muted:
            self.setProperty("muted", "true")
        self.value = ""
        self.say(value)

    def say(self, value: str) -> None:
        """Show another text."""
        if value != self.value:
            self.value = value
            self.setAccessibleName(value)
            self._cut()

    def sizeHint(self) -> QSize:
        return QSize(LEAST, self.fontMetrics().height())  # it takes what is left, whatever it has to say

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._cut()

    def _cut(self) -> None:
        line = " ".join(self.value.split())
        cut = self.fontMetrics().elidedText(line, Qt.TextElideMode.ElideRight, self.width())
        if cut != self.text():
            self.setText(cut)
        self.setToolTip(self.value if cut != line else "")


class TitleLabel(ElidedLabel):
    """A title with something beside it: whole where it can be, and never wider than what is left."""

    def say(self, value: str) -> None:
        """Show another title."""
        super().say(value)
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        line = " ".join(self.value.split())
        return QSize(self.fontMetrics().horizontalAdvance(line) + 1, self.fontMetrics().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(LEAST, self.fontMetrics().height())
