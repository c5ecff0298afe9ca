"""Where a job's backups go: destinations in the order of their priority, each with its own retention."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QMenu, QVBoxLayout, QWidget

from desktop.forms.retention import RetentionInput
from desktop.theme import Size
from desktop.widgets import ElidedLabel, button, column, label, row
from engine.records import Endpoint, JobDestination


class _DestinationCard(QFrame):
    """One destination of the job."""

    moved = Signal(object, int)
    removed = Signal(object)

    def __init__(self, destination: JobDestination) -> None:
        super().__init__()
        self.setObjectName("card")
        self.destination = destination
        self.rank = label("", "strong", muted=True)
        self.retention = RetentionInput(destination.name)
        self.retention.set_value(destination.retention)
        name = destination.name
        self.up = button("", lambda: self.moved.emit(self, -1), icon="up", name=f"Move {name} up")
        self.down = button("", lambda: self.moved.emit(self, 1), icon="down", name=f"Move {name} down")
        self.remove = button("", lambda: self.removed.emit(self), icon="cross", name=f"Leave {name} out")
        for its, tip in ((self.up, "Earlier"), (self.down, "Later"), (self.remove, "Leave out")):
            its.setFixedWidth(Size.CONTROL)
            its.setToolTip(tip)
        head = row(self.rank)
        head.addWidget(ElidedLabel(name, "strong"), 1)  # a long one must not push the buttons out
        for its in (self.up, self.down, self.remove):
            head.addWidget(its)
        layout = column(head, self.retention, gap=Size.GAP)
        layout.setContentsMargins(Size.CARD_PADDING, Size.GAP + 2, Size.CARD_PADDING, Size.GAP + Size.GRID)
        self.setLayout(layout)


class DestinationsInput(QWidget):
    """The list, and a box to add from what is not in it yet."""

    changed = Signal()

    def __init__(self, available: Sequence[Endpoint], chosen: Sequence[JobDestination] = ()) -> None:
        super().__init__()
        self._available = list(available)
        self._cards: list[_DestinationCard] = []
        # A menu, since a box would add one with every press of an arrow key.
        self.add_button = button("Add a destination…", icon="plus")
        self.add_menu = QMenu(self.add_button)
        self.add_button.setMenu(self.add_menu)
        self._list = QVBoxLayout()
        self._list.setSpacing(Size.GAP)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Size.GAP)
        layout.addLayout(self._list)
        layout.addLayout(row(self.add_button, 1))
        for destination in sorted(chosen, key=lambda its: its.priority):
            self._add(destination)
        if not chosen and len(self._available) == 1:
            self.add(self._available[0].id)
        self._show()

    def value(self) -> tuple[JobDestination, ...]:
        """The destinations with their priority, which is their place, and their retention."""
        return tuple(
            JobDestination(card.destination.destination_id, card.destination.name, at, card.retention.value())
            for at, card in enumerate(self._cards)
        )

    def focus_widget(self) -> QWidget:
        """Where the keyboard goes when something is wrong here."""
        return self.add_button

    def add(self, destination_id: str) -> None:
        """Add a destination at the end."""
        endpoint = next(its for its in self._available if its.id == destination_id)
        self._add(JobDestination(endpoint.id, endpoint.name))
        self._show()

    def retention_of(self, name: str) -> RetentionInput:
        """The retention of the destination of that name."""
        return next(card.retention for card in self._cards if card.destination.name == name)

    def _add(self, destination: JobDestination) -> None:
        card = _DestinationCard(destination)
        card.moved.connect(self._move)
        card.removed.connect(self._remove)
        card.retention.changed.connect(self.changed)
        self._cards.append(card)
        self._list.addWidget(card)

    def _move(self, card: _DestinationCard, by: int) -> None:
        here = self._cards.index(card)
        there = here + by
        if 0 <= there < len(self._cards):
            self._cards.insert(there, self._cards.pop(here))
            self._list.removeWidget(card)
            self._list.insertWidget(there, card)
            self._show()

    def _remove(self, card: _DestinationCard) -> None:
        self._cards.remove(card)
        self._list.removeWidget(card)
        card.hide()
        card.deleteLater()
        self._show()

    def _show(self) -> None:
        for at, card in enumerate(self._cards):
            card.rank.setText(f"{at + 1}.")
            card.up.setEnabled(at > 0)
            card.down.setEnabled(at < len(self._cards) - 1)
        chosen = {card.destination.destination_id for card in self._cards}
        left = [its for its in self._available if its.id not in chosen]
        self.add_menu.clear()
        for its in left:
            self.add_menu.addAction(its.name.replace("&", "&&"), partial(self.add, its.id))
        self.add_button.setEnabled(bool(left))
        self.changed.emit()
