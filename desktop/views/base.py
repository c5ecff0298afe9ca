"""The frame of all views: a header with a title and its tools, and a body below it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from desktop.navigation import Navigator
from desktop.snapshot import Snapshot
from desktop.theme import Size, theme
from desktop.widgets import TitleLabel, button


class View(QWidget):
    """A page. The window calls `entered` when it comes to the front, and the shortcuts' methods."""

    name = ""
    title = ""

    def __init__(self, navigator: Navigator) -> None:
        super().__init__()
        self.setObjectName("page")
        self.navigator = navigator
        self.session = navigator.session
        self.heading = TitleLabel(self.title, "page")
        self.search: QLineEdit | None = None
        self.side: QFrame | None = None
        self.header = QFrame()
        self.header.setObjectName("header")
        self.header.setFixedHeight(Size.HEADER)
        self._head = QHBoxLayout(self.header)
        self._head.setContentsMargins(Size.MARGIN, 0, Size.MARGIN, 0)
        self._head.setSpacing(Size.GAP + Size.GRID)
        self.crumb: QPushButton | None = None
        self._head.addWidget(self.heading)
        self._head.addStretch(1)
        self.body = QVBoxLayout()
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(0)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(self.header)
        outer.addLayout(self.body, 1)
        self.setAccessibleName(self.title)
        self.session.snapshot_changed.connect(self.show_snapshot)

    # ------------------------------------------------------------------------------- for subclasses

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Show what the store holds now."""

    def entered(self) -> None:
        """The page came to the front."""

    def refresh(self) -> None:
        """F5."""
        self.session.refresh()

    def run(self) -> None:
        """Ctrl+R."""

    def new(self) -> None:
        """Ctrl+N."""

    def escape(self) -> bool:
        """Esc: clear the search, or go back; False when there was nothing to leave."""
        if self.search is not None and self.search.text():
            self.search.clear()
            return True
        if self.crumb is not None:
            self.crumb.click()
            return True
        return False

    def search_now(self) -> None:
        """Ctrl+F."""
        if self.search is not None:
            self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
            self.search.selectAll()

    def make_narrow(self, narrow: bool) -> None:
        """The window became narrow, or wide again."""
        if self.side is not None:
            self.side.setFixedWidth(Size.SIDE_PANEL_SMALL if narrow else Size.SIDE_PANEL)

    def hold(self, its: QPushButton) -> None:
        """Keep a button from being pressed twice, and the keyboard on this page while it waits.

        A button that is switched off hands its focus to whatever comes next, which is where Enter would
        then do something that nobody meant.
        """
        if its.hasFocus():
            self.setFocus()
        its.setEnabled(False)

    # ----------------------------------------------------------------------------------- the header

    def add_tool(self, tool: QWidget) -> None:
        """Put something at the right of the header."""
        self._head.addWidget(tool)

    def add_search(self, placeholder: str) -> QLineEdit:
        """Put a search field into the header."""
        made = QLineEdit()
        made.setObjectName("search")
        made.setPlaceholderText(placeholder)
        made.setAccessibleName(placeholder)
        made.setClearButtonEnabled(True)
        made.setMaximumWidth(Size.SEARCH)
        made.setMinimumWidth(Size.SEARCH // 2)
        self._magnifier = made.addAction(
            theme().icons.icon("search", theme().palette.muted, Size.ICON),
            QLineEdit.ActionPosition.LeadingPosition,
        )
        theme().changed.connect(self._tint_search)
        self.search = made
        self._head.addWidget(made, 2)
        return made

    def add_crumb(self, text: str, page: str) -> None:
        """Put the way back before the title."""
        self.crumb = button(f"{text} ›", lambda: self.navigator.go(page), kind="link", name=f"Back to {text}")
        self._head.insertWidget(0, self.crumb)

    def add_state(self, chip: QWidget) -> None:
        """Put the state of what is shown beside the tools."""
        self._head.addWidget(chip)

    def _tint_search(self) -> None:
        self._magnifier.setIcon(theme().icons.icon("search", theme().palette.muted, Size.ICON))
