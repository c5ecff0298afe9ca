"""The sidebar: the pages with their counts; icons alone where the window is narrow."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QButtonGroup, QFrame, QLabel, QToolButton, QVBoxLayout

from desktop.theme import Size, font, picture, set_role, theme
from desktop.widgets import label, row


class PageButton(QToolButton):
    """One page: its icon, its name, how many it holds."""

    def __init__(self, page: str, title: str, icon: str) -> None:
        super().__init__()
        self.page, self.title, self._icon = page, title, icon
        self.count: int | None = None
        self.setCheckable(True)
        self.setAutoExclusive(False)
        self.setText(f"  {title}")  # the only gap between icon and text that a style sheet allows
        self.setAccessibleName(title)
        self.setFixedHeight(Size.CONTROL + 2)
        self.setIconSize(QSize(Size.ICON, Size.ICON))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        set_role(self, "body")
        theme().changed.connect(self._tint)
        self.toggled.connect(lambda _: self._tint())
        self._tint()

    def narrow(self, narrow: bool) -> None:
        """Show the icon alone, the name as a tool tip."""
        styles = Qt.ToolButtonStyle
        self.setToolButtonStyle(styles.ToolButtonIconOnly if narrow else styles.ToolButtonTextBesideIcon)
        self.setToolTip(self.title if narrow else "")
        width = (Size.SIDEBAR_SMALL if narrow else Size.SIDEBAR) - 2 * Size.GAP - Size.LINE
        self.setFixedWidth(width)

    def show_count(self, count: int | None) -> None:
        """Show a number at the right; None shows none."""
        if count != self.count:
            self.count = count
            self.setAccessibleDescription("" if count is None else str(count))
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self.count is None or self.toolButtonStyle() == Qt.ToolButtonStyle.ToolButtonIconOnly:
            return
        painter = QPainter(self)
        painter.setFont(font("caption"))
        painter.setPen(QColor(theme().palette.muted))
        painter.drawText(
            self.rect().adjusted(0, 0, -Size.GAP - 2, 0),
            Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
            f"{self.count:,}".replace(",", " "),
        )
        painter.end()

    def _tint(self) -> None:
        p = theme().palette
        self.setIcon(theme().icons.icon(self._icon, p.text if self.isChecked() else p.muted, Size.ICON))


class Sidebar(QFrame):
    """The pages. `above` and `below` are (page, title, icon); what is below stands at the foot."""

    chosen = Signal(str)

    def __init__(self, above: Sequence[tuple[str, str, str]], below: Sequence[tuple[str, str, str]]) -> None:
        super().__init__()
        self.setObjectName("sidebar")
        self.setAccessibleName("Pages")
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self._buttons: dict[str, PageButton] = {}
        self._mark = QLabel()
        self._mark.setFixedSize(Size.ICON + 4, Size.ICON + 4)
        self._brand = label("Strongroom", "detail")
        head = row(self._mark, self._brand, 1, gap=Size.GAP)
        head.setContentsMargins(Size.GAP + 3, Size.CARD_GAP + 2, 0, Size.GAP + Size.GRID)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(Size.GAP, 0, Size.GAP, Size.CARD_GAP)
        layout.setSpacing(0)
        layout.addLayout(head)
        for its in above:
            layout.addWidget(self._add(*its))
        layout.addStretch(1)
        for its in below:
            layout.addWidget(self._add(*its))
        self._tint()
        theme().changed.connect(self._tint)
        self.narrow(False)

    def button(self, page: str) -> PageButton:
        """The button of a page."""
        return self._buttons[page]

    def show_page(self, page: str) -> None:
        """Mark the page that is shown."""
        if page in self._buttons:
            self._buttons[page].setChecked(True)

    def choose(self, page: str) -> None:
        """Go to a page as by a click; nothing while the sidebar cannot be used."""
        if self.isEnabled():
            self.chosen.emit(page)

    def show_counts(self, counts: dict[str, int]) -> None:
        """Show how many each page holds."""
        for page, count in counts.items():
            self._buttons[page].show_count(count)

    def narrow(self, narrow: bool) -> None:
        """Show icons alone."""
        self.setFixedWidth(Size.SIDEBAR_SMALL if narrow else Size.SIDEBAR)
        self._brand.setVisible(not narrow)
        for its in self._buttons.values():
            its.narrow(narrow)

    def _add(self, page: str, title: str, icon: str) -> PageButton:
        its = PageButton(page, title, icon)
        its.clicked.connect(lambda _=False: self.chosen.emit(page))
        self._group.addButton(its)
        self._buttons[page] = its
        return its

    def _tint(self) -> None:
        self._mark.setPixmap(picture("strongroom", theme().palette.text, Size.ICON + 4))
