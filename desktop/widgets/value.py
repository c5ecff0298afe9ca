"""ValueLabel: text that can be selected and wraps anywhere, such as a path, a checksum, a command.

A label breaks between words alone, so invisible breaks are put into long ones; what is copied has none.
"""

from __future__ import annotations

import re

from PySide6.QtCore import Qt
from PySide6.QtGui import QContextMenuEvent, QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QLabel, QMenu, QSizePolicy, QWidget

from desktop.theme import Role, set_role

BREAK = "\u200b"
LONG, STEP = 16, 4
"""A word of so many characters may be broken after every so many: a checksum, a key's ID, a bucket. Hardly
a person's word is as long, and one that is takes no harm."""


def breakable(text: str) -> str:
    """The text with an invisible break after each separator, and within very long runs of letters."""
    text = re.sub(r"([/\\_.:,=@-])(?=\S)", rf"\1{BREAK}", text)
    return re.sub(
        rf"[^\s{BREAK}]{{{LONG},}}",
        lambda word: re.sub(rf"(.{{{STEP}}})(?=.)", rf"\1{BREAK}", word.group()),
        text,
    )


class ValueLabel(QLabel):
    """A label whose `value` is what was shown, without the breaks."""

    def __init__(self, value: str = "", role: Role = "body", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        set_role(self, role)
        self.value = ""
        self.show_value(value)

    def show_value(self, value: str) -> None:
        """Show another text."""
        if value != self.value:
            self.value = value
            self.setText(breakable(value))
            self.setAccessibleDescription(value)

    def copy(self) -> None:
        """Put what is selected, or all, on the clipboard."""
        text = self.selectedText().replace(BREAK, "").replace("\u2029", "\n")
        QGuiApplication.clipboard().setText(text or self.value)

    def keyPressEvent(self, ev: QKeyEvent) -> None:
        if ev.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        else:
            super().keyPressEvent(ev)

    def contextMenuEvent(self, ev: QContextMenuEvent) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Copy", self.copy)
        menu.popup(ev.globalPos())
