"""Card: a titled box with a line around it; KeyValueGrid: quiet names beside their values."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QLayout, QVBoxLayout, QWidget

from desktop.theme import Size
from desktop.widgets.basic import clear, label, row
from desktop.widgets.value import ValueLabel


class Card(QFrame):
    """A box of the page. `tools` stand at the right of its title."""

    def __init__(self, title: str = "", *, tools: Sequence[QWidget] = ()) -> None:
        super().__init__()
        self.setObjectName("card")
        self.body = QVBoxLayout(self)
        padding = Size.CARD_PADDING
        self.body.setContentsMargins(padding, padding - Size.GRID, padding, padding - Size.GRID)
        self.body.setSpacing(Size.GAP)
        self.title = label(title, "card", muted=True)
        if title or tools:
            self.body.addLayout(row(self.title, 1, *tools))
            self.setAccessibleName(title)

    def add(self, item: QWidget | QLayout, stretch: int = 0) -> None:
        """Put something below what is there."""
        if isinstance(item, QWidget):
            self.body.addWidget(item, stretch)
        else:
            self.body.addLayout(item, stretch)


class KeyValueGrid(QWidget):
    """Facts: a name and a value each. The values can be selected and copied."""

    def __init__(self, facts: Sequence[tuple[str, str]] = (), *, column: int = Size.KEY_COLUMN) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(Size.GAP)
        self._grid.setVerticalSpacing(Size.GAP - 1)
        self._column = column
        self._grid.setColumnStretch(1, 1)
        self._names: tuple[str, ...] = ()
        self._values: dict[str, ValueLabel] = {}
        self.show_facts(facts)

    def show_facts(self, facts: Sequence[tuple[str, str] | tuple[str, str, str]]) -> None:
        """Show these facts: name, value, and a tool tip where there is a third. Rows keep their place."""
        names = tuple(fact[0] for fact in facts)
        if names != self._names:
            clear(self._grid)
            self._names, self._values = names, {}
            for at, name in enumerate(names):
                key = label(name, muted=True, wrap=True)
                key.setFixedWidth(self._column)  # an adapter may give its fields long titles
                key.setAlignment(Qt.AlignmentFlag.AlignTop)
                value = ValueLabel()
                value.setAlignment(Qt.AlignmentFlag.AlignTop)
                value.setAccessibleName(name)
                self._grid.addWidget(key, at, 0)
                self._grid.addWidget(value, at, 1)
                self._values[name] = value
        for fact in facts:
            value = self._values[fact[0]]
            value.show_value(fact[1])
            value.setToolTip(fact[2] if len(fact) > 2 else "")

    def value(self, name: str) -> str:
        """The value of a fact that is shown."""
        return self._values[name].value
