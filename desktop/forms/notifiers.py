"""Whom a job tells, and on which outcomes."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QGridLayout, QWidget

from desktop.theme import Size
from desktop.widgets import ElidedLabel, label
from desktop.words import state_of
from engine.events import Status
from engine.records import Endpoint, JobNotifier

OUTCOMES = (Status.SUCCESS, Status.PARTIAL, Status.FAILED, Status.CANCELLED)
USUAL = (Status.PARTIAL, Status.FAILED)


class NotifiersInput(QWidget):
    """A row for each notifier: the outcomes that it hears of; none ticked leaves it out."""

    changed = Signal()

    def __init__(self, available: Sequence[Endpoint], chosen: Sequence[JobNotifier] = ()) -> None:
        super().__init__()
        self._available = list(available)
        self._boxes: dict[str, dict[Status, QCheckBox]] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(Size.CARD_GAP)
        grid.setVerticalSpacing(Size.GAP)
        if not available:
            grid.addWidget(
                label("Nobody yet. A notifier is made on the page Notifiers.", muted=True, wrap=True), 0, 0
            )
            return
        by_id = {its.notifier_id: its.statuses for its in chosen}
        for at, endpoint in enumerate(available):
            grid.addWidget(ElidedLabel(endpoint.name), at, 0)
            boxes = {}
            for column, status in enumerate(OUTCOMES, 1):
                box = QCheckBox(state_of(status).word)
                box.setAccessibleName(f"Tell {endpoint.name} when {state_of(status).word.lower()}")
                box.setChecked(status in by_id.get(endpoint.id, ()))
                box.toggled.connect(lambda _: self.changed.emit())
                grid.addWidget(box, at, column)
                boxes[status] = box
            self._boxes[endpoint.id] = boxes
        grid.setColumnStretch(0, 1)

    def box(self, notifier_id: str, status: Status) -> QCheckBox:
        """The box of a notifier and an outcome."""
        return self._boxes[notifier_id][status]

    def value(self) -> tuple[JobNotifier, ...]:
        """The notifiers that hear of anything."""
        found = []
        for endpoint in self._available:
            statuses = tuple(s for s, box in self._boxes[endpoint.id].items() if box.isChecked())
            if statuses:
                found.append(JobNotifier(endpoint.id, endpoint.name, statuses))
        return tuple(found)
