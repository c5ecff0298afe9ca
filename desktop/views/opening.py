"""What the window shows while the installation is being opened, and when that fails."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop.session import Session
from desktop.theme import Size
from desktop.widgets import Bar, ErrorPanel, label
from desktop.worker import Problem


class OpeningView(QWidget):
    """A moving bar, or the problem with a way to try again."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.setObjectName("page")
        self._session = session
        self.text = label("Opening Strongroom…", "detail")
        self.bar = Bar("Opening")
        self.bar.show_percent(None)
        self.problem = ErrorPanel(self._again)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(Size.MARGIN * 3, Size.MARGIN, Size.MARGIN * 3, Size.MARGIN)
        layout.setSpacing(Size.CARD_GAP)
        layout.addStretch(2)
        for its in (self.text, self.bar, self.problem):
            layout.addWidget(its)
        layout.addStretch(3)

    def show_problem(self, problem: Problem) -> None:
        """The installation could not be opened."""
        self.text.setText("Strongroom could not be opened")
        self.bar.hide()
        self.problem.show_problem(problem)

    def _again(self) -> None:
        self.text.setText("Opening Strongroom…")
        self.bar.show()
        self.problem.show_problem(None)
        self._session.open()
