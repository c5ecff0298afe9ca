"""Labels, buttons, rules and boxes: what every view is put together from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from desktop.theme import Role, Size, Tone, set_role, theme

BoxT = TypeVar("BoxT", QVBoxLayout, QHBoxLayout)
ButtonKind = Literal["plain", "primary", "danger", "danger-primary", "link", "danger-link"]


def label(text: str = "", role: Role = "body", *, muted: bool = False, wrap: bool = False) -> QLabel:
    """A label of plain text; nothing in it is read as markup."""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    set_role(made, role)
    if muted:
        made.setProperty("muted", "true")
    if wrap:
        made.setWordWrap(True)
        made.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
    return made


def set_ink(its: QLabel, tone: Tone | None) -> None:
    """Colour a label's words by what they mean."""
    value = tone or ""
    if its.property("ink") != value:
        its.setProperty("ink", value)
        repolish(its)


def repolish(widget: QWidget) -> None:
    """Let the style sheet see a changed property."""
    widget.style().unpolish(widget)
    widget.style().polish(widget)


def button(
    text: str,
    on_click: Callable[[], object] | None = None,
    *,
    kind: ButtonKind = "plain",
    icon: str = "",
    name: str = "",
    tip: str = "",
) -> QPushButton:
    """A button; `name` is its accessible name where the text alone does not say enough."""
    made = QPushButton(text)
    made.setProperty("kind", kind)
    made.setAutoDefault(False)
    made.setCursor(Qt.CursorShape.PointingHandCursor)
    if name:
        made.setAccessibleName(name)
    if tip:
        made.setToolTip(tip)
    if icon:
        tint_button(made, icon, kind)
        # Owned by the button, so that the connection ends with it.
        theme().changed.connect(_Tinter(made, icon, kind).tint)
    if on_click is not None:
        made.clicked.connect(lambda _=False: on_click())
    return made


class _Tinter(QWidget):
    """Keeps a button's icon in the colours of the theme."""

    def __init__(self, its: QPushButton, icon: str, kind: ButtonKind) -> None:
        super().__init__(its)
        self.hide()
        self._its, self._icon, self._kind = its, icon, kind

    def tint(self) -> None:
        tint_button(self._its, self._icon, self._kind)


def tint_button(its: QPushButton, icon: str, kind: ButtonKind) -> None:
    """Put an icon on a button, in the colour of its words."""
    p = theme().palette
    colour = {
        "plain": p.text,
        "primary": p.on_accent,
        "danger": p.bad_ink,
        "danger-primary": p.on_bad,
        "link": p.accent_ink,
        "danger-link": p.bad_ink,
    }[kind]
    its.setIcon(theme().icons.icon(icon, colour, Size.ICON))
    its.setIconSize(QSize(Size.ICON, Size.ICON))


def rule() -> QFrame:
    """A line of one pixel."""
    made = QFrame()
    made.setObjectName("rule")
    made.setFixedHeight(Size.LINE)
    return made


def column(*items: QWidget | QLayout | int, gap: int = Size.GAP, margin: int = 0) -> QVBoxLayout:
    """A vertical layout; an integer is a stretch factor."""
    made = QVBoxLayout()
    return _fill(made, items, gap, margin)


def row(*items: QWidget | QLayout | int, gap: int = Size.GAP, margin: int = 0) -> QHBoxLayout:
    """A horizontal layout; an integer is a stretch factor."""
    made = QHBoxLayout()
    return _fill(made, items, gap, margin)


def _fill(made: BoxT, items: tuple[QWidget | QLayout | int, ...], gap: int, margin: int) -> BoxT:
    made.setSpacing(gap)
    made.setContentsMargins(margin, margin, margin, margin)
    for item in items:
        if isinstance(item, QWidget):
            made.addWidget(item)
        elif isinstance(item, QLayout):
            made.addLayout(item)
        else:
            made.addStretch(item)
    return made


class _Scrolled(QWidget):
    """The inside of a page that scrolls.

    A wrapped label's least height is told for its least width; what counts is the height for the width
    that there is, which the scroll area asks for besides.
    """

    def minimumSizeHint(self) -> QSize:
        least, layout = super().minimumSizeHint(), self.layout()
        if layout is not None and layout.hasHeightForWidth():
            least.setHeight(0)
        return least


def scrolled(content: QLayout, margin: int = Size.MARGIN) -> QScrollArea:
    """A page that scrolls when the window is too low for it."""
    inner = _Scrolled()
    inner.setObjectName("scrolled")
    content.setContentsMargins(margin, margin - Size.GRID, margin, margin - Size.GRID)
    inner.setLayout(content)
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setWidget(inner)
    return area


def listing(*items: QWidget | QLayout) -> QWidget:
    """The surface that a list stands on, with the page's margin at its sides."""
    made = QWidget()
    made.setObjectName("listing")
    inner = column(*items, gap=0)
    inner.setContentsMargins(Size.MARGIN - Size.GAP, 0, Size.MARGIN - Size.GAP, 0)
    made.setLayout(inner)
    return made


def fit_height(dialog: QWidget) -> None:
    """Make a dialog as high as its wrapped words need at the width that it has; Qt guesses too high."""
    layout = dialog.layout()
    if layout is not None and layout.hasHeightForWidth():
        layout.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)
        dialog.setMinimumHeight(0)
        dialog.resize(dialog.width(), layout.totalHeightForWidth(dialog.width()))


def clear(layout: QLayout) -> None:
    """Take everything out of a layout and let it go."""
    while (item := layout.takeAt(0)) is not None:
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.setParent(None)
            widget.deleteLater()
        elif (inner := item.layout()) is not None:
            clear(inner)
