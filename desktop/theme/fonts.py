"""The type: Inter where it is installed, else the system's own font, with figures of one width."""

from __future__ import annotations

from functools import cache
from typing import Literal

from PySide6.QtGui import QFont, QFontDatabase
from PySide6.QtWidgets import QApplication, QWidget

from desktop.theme.tokens import Type

Role = Literal["body", "caption", "strong", "card", "detail", "page", "figure", "mono", "chip"]

_SIZES: dict[Role, tuple[int, int]] = {
    "body": (Type.BODY, QFont.Weight.Normal),
    "caption": (Type.CAPTION, QFont.Weight.Normal),
    "strong": (Type.BODY, Type.BOLD),
    "chip": (Type.CAPTION, Type.BOLD),
    "card": (Type.CAPTION + 1, Type.BOLD),
    "detail": (Type.DETAIL, Type.BOLD),
    "page": (Type.PAGE, Type.BOLD),
    "figure": (Type.KEY_FIGURE, Type.BOLD),
    "mono": (Type.CAPTION + 1, QFont.Weight.Normal),
}


def font(role: Role) -> QFont:
    """The font of a role. Figures are tabular, so that a changing number does not move its neighbours."""
    return QFont(_made(role))


@cache
def _made(role: Role) -> QFont:
    # Kept, since asking for a family costs a millisecond, and every cell of a list asks.
    size, weight = _SIZES[role]
    if role == "mono":
        made = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        families = [name for name in Type.MONO if QFontDatabase.hasFamily(name)]
        if families:
            made.setFamily(families[0])
        made.setStyleHint(QFont.StyleHint.Monospace)
    else:
        made = QFont(QApplication.font())
        if QFontDatabase.hasFamily(Type.FAMILY):
            made.setFamily(Type.FAMILY)
    made.setPixelSize(size)
    made.setWeight(QFont.Weight(weight))
    made.setFeature(QFont.Tag("tnum"), 1)
    return made


def set_role(widget: QWidget, role: Role) -> None:
    """Give a widget the font of a role."""
    widget.setFont(font(role))
