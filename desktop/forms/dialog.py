"""The frame of all dialogs: a title, a body that scrolls, an error that says what to do, buttons below."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QDialog, QFrame, QPushButton, QVBoxLayout, QWidget

from desktop.theme import Size
from desktop.widgets import ErrorPanel, button, label, row, rule, scrolled
from desktop.worker import Problem


class FormDialog(QDialog):
    """A dialog with one primary action. Esc leaves it, as does Cancel."""

    def __init__(self, parent: QWidget | None, title: str, action: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setModal(True)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.heading = label(title, "page")
        self.form = QVBoxLayout()
        self.form.setSpacing(Size.CARD_GAP)
        self.problem = ErrorPanel()
        self.accept_button: QPushButton = button(action, self.submit, kind="primary")
        self.accept_button.setDefault(True)
        self.cancel_button: QPushButton = button("Cancel", self.reject)
        self.extra = row()  # at the left of the buttons: in sight, however long the form is
        head = QFrame()
        head.setObjectName("header")
        head.setFixedHeight(Size.HEADER)
        head_row = row(self.heading, 1)
        head_row.setContentsMargins(Size.MARGIN, 0, Size.MARGIN, 0)
        head.setLayout(head_row)
        foot = row(self.extra, 1, self.cancel_button, self.accept_button)
        foot.setContentsMargins(Size.MARGIN, Size.GAP + Size.GRID, Size.MARGIN, Size.GAP + Size.GRID)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(head)
        body = QVBoxLayout()
        body.addLayout(self.form)
        body.addStretch(1)
        self._area = scrolled(body)
        outer.addWidget(self._area, 1)
        error = row(self.problem)
        error.setContentsMargins(Size.MARGIN, 0, Size.MARGIN, Size.GAP)
        outer.addLayout(error)
        outer.addWidget(rule())
        outer.addLayout(foot)

    def submit(self) -> None:
        """Do what the primary button says. Dialogs override this."""
        self.accept()

    def show_problem(self, problem: Problem | None) -> None:
        """Show what went wrong; the dialog stays, with all that was entered."""
        self.problem.show_problem(problem)

    def reveal(self, its: QWidget) -> None:
        """Scroll to something in the form, as soon as it has its place."""
        QTimer.singleShot(0, its, lambda: self._area.ensureWidgetVisible(its, 0, Size.MARGIN))

    def set_busy(self, busy: bool, text: str = "") -> None:
        """Keep the primary action from being done twice."""
        self.accept_button.setEnabled(not busy)
        if text:
            self.accept_button.setText(text)

    def fit(self, width: int, height: int) -> None:
        """Take this size, but no more than the window behind it has."""
        parent = self.parentWidget()
        if parent is not None:
            room = parent.window().size()
            width, height = min(width, room.width() - 40), min(height, room.height() - 40)
        self.resize(width, height)
