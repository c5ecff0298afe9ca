"""How many backups a destination keeps: everything, the last so many, or a smart mix of ages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QSpinBox, QVBoxLayout, QWidget

from desktop.forms.inputs import calm
from desktop.theme import Size
from desktop.widgets import label

TIERS = ("keep_last", "hourly", "daily", "weekly", "monthly", "yearly")
_TITLES = {"keep_last": "newest"}
_USUAL = {"daily": 7, "weekly": 4, "monthly": 12, "yearly": 2}
SIMPLE_USUAL = 14
MOST = 10_000


class RetentionInput(QWidget):
    """Reads and writes a retention as the configuration file has it."""

    changed = Signal()

    def __init__(self, owner: str) -> None:
        super().__init__()
        self.mode = QComboBox()
        calm(self.mode)
        self.mode.setAccessibleName(f"What {owner} keeps")
        for text, value in (
            ("Keep everything", "none"),
            ("Keep the last", "simple"),
            ("Keep a mix of ages", "smart"),
        ):
            self.mode.addItem(text, value)
        self.keep = self._number("How many to keep", SIMPLE_USUAL, least=1)
        self._tiers: dict[str, QSpinBox] = {}
        self._smart = QWidget()
        grid = QGridLayout(self._smart)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(Size.GAP)
        grid.setVerticalSpacing(Size.GRID)
        for at, tier in enumerate(TIERS):
            title = _TITLES.get(tier, tier)
            number = self._number(f"How many {title} backups to keep", _USUAL.get(tier, 0))
            name = label(title, "caption", muted=True)
            name.setBuddy(number)
            grid.addWidget(name, 0, at)
            grid.addWidget(number, 1, at)
            self._tiers[tier] = number
        grid.setColumnStretch(len(TIERS), 1)
        line = QHBoxLayout()
        line.setSpacing(Size.GAP)
        line.addWidget(self.mode)
        line.addWidget(self.keep)
        line.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Size.GAP)
        layout.addLayout(line)
        layout.addWidget(self._smart)
        self.mode.currentIndexChanged.connect(lambda _: self._show())
        self._show()

    def value(self) -> dict[str, Any]:
        """The retention: `{"mode": "smart", "daily": 7, ...}`."""
        mode = self.mode.currentData()
        if mode == "simple":
            return {"mode": "simple", "keep": self.keep.value()}
        if mode == "smart":
            tiers = {tier: number.value() for tier, number in self._tiers.items() if number.value()}
            return {"mode": "smart", **tiers}
        return {"mode": "none"}

    def set_value(self, policy: Mapping[str, Any]) -> None:
        """Show a retention."""
        mode = str(policy.get("mode", "none")).lower()
        self.mode.setCurrentIndex(max(0, self.mode.findData(mode)))
        if mode == "simple":
            self.keep.setValue(int(policy.get("keep", SIMPLE_USUAL)))
        if mode == "smart":
            for tier, number in self._tiers.items():
                number.setValue(int(policy.get(tier, 0) or 0))
        self._show()

    def tier(self, name: str) -> QSpinBox:
        """The number of one tier."""
        return self._tiers[name]

    def _number(self, name: str, value: int, *, least: int = 0) -> QSpinBox:
        made = QSpinBox()
        made.setRange(least, MOST)
        made.setValue(value)
        made.setFixedWidth(Size.CONTROL * 2)
        made.setAlignment(Qt.AlignmentFlag.AlignRight)
        made.setAccessibleName(name)
        calm(made)
        made.valueChanged.connect(lambda _: self.changed.emit())
        return made

    def _show(self) -> None:
        self.keep.setVisible(self.mode.currentData() == "simple")
        self._smart.setVisible(self.mode.currentData() == "smart")
        self.changed.emit()
