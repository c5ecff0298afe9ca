"""The frame of all dialogs: a title, a body that scrolls, an error that says what to do, buttons below."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import shiboken6
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QKeyEvent, QKeySequence, QShowEvent
from PySide6.QtWidgets import QDialog, QFrame, QPushButton, QVBoxLayout, QWidget

from desktop.forms.inputs import Field
from desktop.session import Session
from desktop.theme import Size
from desktop.views.confirm import ConfirmDialog
from desktop.widgets import ElidedLabel, ErrorPanel, button, row, rule, scrolled
from desktop.words import short
from desktop.worker import Problem

if TYPE_CHECKING:
    from engine.workspace import Workspace

T = TypeVar("T")
GOES_ON = "Saving goes on when this form is closed; the window then says how it ended."


class FormDialog(QDialog):
    """A dialog with one primary action. Cancel leaves it, as does Esc when nothing was entered."""

    def __init__(self, parent: QWidget | None, title: str, action: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setModal(True)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.heading = ElidedLabel(title, "page")
        self.form = QVBoxLayout()
        self.form.setSpacing(Size.CARD_GAP)
        self.problem = ErrorPanel()
        self._action = action
        self._saving: Callable[[], object] | None = None
        self._left = False
        self._at_first: object = None
        self.accept_button: QPushButton = button(action, self.submit, kind="primary")
        self.accept_button.setDefault(True)
        self.cancel_button: QPushButton = button("Cancel", self.reject)
        self.extra = row()  # at the left of the buttons: in sight, however long the form is
        head = QFrame()
        head.setObjectName("header")
        head.setFixedHeight(Size.HEADER)
        head_row = row()
        head_row.addWidget(self.heading, 1)
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

    def entered(self) -> object:
        """What stands in the form, to be compared; None for what is not worth a question."""
        return None

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._at_first is None:
            self._at_first = self.entered()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc is pressed by mistake, or to close a list: it throws away nothing that was entered unasked."""
        leaves = event.matches(QKeySequence.StandardKey.Cancel) and self._saving is None
        if not leaves or self.entered() == self._at_first:
            super().keyPressEvent(event)
            return
        question = ConfirmDialog(self, "Close without saving?", "What was entered here is not kept.")
        question.add("Go on editing", None)
        question.add("Close without saving", self.reject, "danger-primary")
        question.open()

    def submit(self) -> None:
        """Do what the primary button says. Dialogs override this."""
        self.accept()

    def show_problem(self, problem: Problem | None) -> None:
        """Show what went wrong; the dialog stays, with all that was entered."""
        self.problem.show_problem(problem)

    def reveal(self, its: QWidget) -> None:
        """Scroll to something in the form, as soon as it has its place."""
        QTimer.singleShot(0, its, lambda: self._area.ensureWidgetVisible(its, 0, Size.MARGIN))

    def point_at(self, field: Field) -> None:
        """Put the keyboard into a field, and bring it in sight with its error."""
        field.control.setFocus()
        self.reveal(field.control)
        self.reveal(field.error)

    def set_busy(self, busy: bool) -> None:
        """Keep the primary action from being done twice."""
        self.accept_button.setEnabled(not busy)

    def save(
        self,
        session: Session,
        work: Callable[[Workspace], T],
        named: str,
        done: Callable[[T], None],
        failed: Callable[[Problem], None],
    ) -> None:
        """Save in a thread: the keyring may ask for its password, and nothing takes back what was begun.

        So the form can be left meanwhile, but not as if nothing had happened: how it ended is said then.
        """
        name = short(named)
        self._show_saving(lambda: session.said.emit(f"{name} is still being saved."))

        def ended(result: T) -> None:
            if shiboken6.isValid(self) and not self._left:
                self._saving = None
                done(result)
            else:
                session.refresh()
                session.said.emit(f"{name} is saved: saving had begun before its form was closed.")

        def refused(problem: Problem) -> None:
            if shiboken6.isValid(self) and not self._left:
                self._show_saving(None)
                failed(problem)
            else:
                session.said.emit(f"{name} is not saved. {problem.message} {problem.remedy}".strip())

        session.ask(session, work, ended, refused)

    def done(self, result: int) -> None:
        """The end of the dialog, whichever way."""
        self._left = True
        if self._saving is not None:
            self._saving()
        super().done(result)

    def _show_saving(self, when_left: Callable[[], object] | None) -> None:
        self._saving = when_left
        saving = when_left is not None
        self.set_busy(saving)
        self.accept_button.setText("Saving…" if saving else self._action)
        self.cancel_button.setText("Close" if saving else "Cancel")
        self.cancel_button.setToolTip(GOES_ON if saving else "")

    def fit(self, width: int, height: int) -> None:
        """Take this size, but no more than the window behind it has."""
        parent = self.parentWidget()
        if parent is not None:
            room = parent.window().size()
            width, height = min(width, room.width() - 40), min(height, room.height() - 40)
        self.resize(width, height)
