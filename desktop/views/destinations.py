"""Destinations: where backups are kept, and how the last run ended at each."""

from __future__ import annotations

from PySide6.QtCore import Qt

from desktop import words
from desktop.navigation import Navigator
from desktop.snapshot import Arrival
from desktop.views.endpoints import EndpointsView
from desktop.widgets import Card, StateChip, ValueLabel, button, row
from engine.clock import utc_now
from engine.events import DestinationState, Status
from engine.records import Endpoint

_STATES = {
    Status.SUCCESS: words.DESTINATION_STATES[DestinationState.SUCCESS],
    Status.FAILED: words.DESTINATION_STATES[DestinationState.FAILED],
    Status.CANCELLED: words.DESTINATION_STATES[DestinationState.CANCELLED],
}


class DestinationsView(EndpointsView):
    """The list of destinations."""

    name, title, kind, icon = "destinations", "Destinations", "destination", "destination"
    empty_title = "No destination yet"
    empty_text = "A destination keeps backups. Two kinds, one of them elsewhere, are safer than one."
    new_text = "New destination"

    def __init__(self, navigator: Navigator) -> None:
        super().__init__(navigator)
        self._execution_id = ""
        self.last_chip = StateChip()
        self.last_text = ValueLabel()
        self.test_now = button("Test it now", self.test)
        self.last = Card(
            "The last run",
            tools=(button("Show", self._show_run, kind="link", name="Show the last run"),),
        )
        line = row()
        line.addWidget(self.last_chip, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self.last_text, 1)
        self.last.add(line)
        self.last.add(row(self.test_now, 1))
        self.more.addWidget(self.last)
        self.last.hide()

    def show_more(self, endpoint: Endpoint) -> None:
        arrival = self.session.snapshot.arrivals.get(endpoint.id)
        self.last.setVisible(arrival is not None)
        if arrival is None:
            return
        self._execution_id = arrival.execution.id
        tested, ran = self.tester.told_at, arrival.execution.finished_at
        if tested is not None and ran is not None and ran > tested:
            self.tester.forget()  # what a test found before says nothing beside what happened since
        self.last_chip.show_state(_STATES.get(arrival.result.status))
        self.last_text.show_value(arrival_said(arrival))
        self.last_text.setToolTip(words.exact(arrival.execution.finished_at))
        self.test_now.setVisible(arrival.result.status is Status.FAILED)

    def _show_run(self) -> None:
        self.navigator.open_execution(self._execution_id)


def arrival_said(arrival: Arrival) -> str:
    """What came of the last run there: `shop-nightly, 4 h ago: read back from the disk`."""
    result, execution = arrival.result, arrival.execution
    said = (result.error if result.status is not Status.SUCCESS else result.proof) or ""
    when = f"{execution.job_name}, {words.ago(execution.finished_at, utc_now())}"
    return f"{when}: {said.rstrip('.')}." if said else f"{when}."
