"""Asks once more before something that cannot be taken back; the button says what it does."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from desktop.theme import Size
from desktop.widgets import button, fit_height, label, row
from desktop.widgets.basic import ButtonKind

WIDTH = 440


class ConfirmDialog(QDialog):
    """A question with answers that are named by what they do. Esc is the answer that changes nothing."""

    def __init__(self, parent: QWidget | None, title: str, text: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setModal(True)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(WIDTH)
        self.heading = label(title, "detail", wrap=True)
        self.text = label(text, wrap=True)
        self.setAccessibleDescription(text)
        self._buttons = row(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(Size.MARGIN, Size.MARGIN - Size.GRID, Size.MARGIN, Size.MARGIN - Size.GRID)
        layout.setSpacing(Size.GAP + Size.GRID)
        layout.addWidget(self.heading)
        layout.addWidget(self.text)
        layout.addSpacing(Size.GAP)
        layout.addLayout(self._buttons)

    def add(self, text: str, on_click: Callable[[], object] | None, kind: ButtonKind = "plain") -> None:
        """Add an answer at the right; None only closes."""
        self._buttons.addWidget(button(text, lambda: self._answer(on_click), kind=kind))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        fit_height(self)

    def _answer(self, on_click: Callable[[], object] | None) -> None:
        self.accept()
        if on_click is not None:
            on_click()


def confirm(
    parent: QWidget, title: str, text: str, action: str, on_yes: Callable[[], object], *, danger: bool = True
) -> ConfirmDialog:
    """Ask; `on_yes` runs when the button `action` is pressed."""
    dialog = ConfirmDialog(parent.window(), title, text)
    dialog.add("Keep as it is", None)
    dialog.add(action, on_yes, "danger-primary" if danger else "primary")
    dialog.open()
    return dialog
