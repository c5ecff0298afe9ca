"""History: what ran, newest first."""

from __future__ import annotations

from PySide6.QtWidgets import QStackedLayout, QWidget

from desktop.models.executions import COLUMNS, ExecutionRow, subject
from desktop.models.records import RecordsModel
from desktop.navigation import Navigator
from desktop.snapshot import Snapshot
from desktop.views.base import View
from desktop.widgets import EmptyState, RecordTable, button, listing
from engine.records import Execution


class HistoryView(View):
    """The list of executions."""

    name, title = "history", "History"

    def __init__(self, navigator: Navigator) -> None:
        super().__init__(navigator)
        self.model = RecordsModel(COLUMNS, lambda row: row.execution.id, self)
        self.table = RecordTable(self.model, "Executions")
        self.add_search("Search the history").textChanged.connect(self.table.search)
        self.open_button = button("Show", self._show, kind="primary", tip="Enter")
        self.add_tool(self.open_button)
        empty = EmptyState("history", "Nothing ran yet", "Each run, restore and verification is kept here.")
        page = QWidget()
        page.setObjectName("listing")
        self.stack = QStackedLayout(page)
        self.stack.addWidget(listing(self.table))
        self.stack.addWidget(empty)
        self.body.addWidget(page, 1)
        self.table.opened.connect(lambda row: navigator.open_execution(row.execution.id))
        self.table.chosen.connect(lambda its: self.open_button.setEnabled(its is not None))
        self.session.active_changed.connect(self._progress)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self.model.show_rows([ExecutionRow(its, subject(its, snapshot)) for its in snapshot.executions])
        self.stack.setCurrentIndex(0 if snapshot.executions else 1)
        if snapshot.executions:
            self.table.select_first()
        self.open_button.setEnabled(bool(snapshot.executions))

    def entered(self) -> None:
        self.table.setFocus()

    def _show(self) -> None:
        chosen = self.table.selected()
        if chosen is not None:
            self.navigator.open_execution(chosen.execution.id)

    def _progress(self, active: tuple[Execution, ...]) -> None:
        for execution in active:
            self.model.replace(ExecutionRow(execution, subject(execution, self.session.snapshot)))
