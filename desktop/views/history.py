"""History: what ran, newest first."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtWidgets import QStackedLayout, QWidget

from desktop import words
from desktop.models.records import Column, RecordsModel
from desktop.navigation import Navigator
from desktop.snapshot import Snapshot
from desktop.views.base import View
from desktop.widgets import EmptyState, RecordTable, button
from engine.clock import utc_now
from engine.records import Execution


def _began(execution: Execution) -> datetime:
    return execution.started_at or execution.queued_at


def _size(execution: Execution) -> int:
    return sum(its.size or 0 for its in execution.artifacts)


def _what(execution: Execution) -> str:
    return execution.job_name or str(execution.labels.get("title", "")) or "–"


COLUMNS: tuple[Column[Execution], ...] = (
    Column("No.", lambda its: f"#{its.seq}", 56, sort=lambda its: its.seq, muted=True),
    Column("What", lambda its: words.KINDS.get(its.kind, its.kind), 96, 1),
    Column("Job", _what, 130, 3),
    Column(
        "State",
        lambda its: "",
        120,
        1,
        state=lambda its: words.state_of(its.status, its.percent),
        tip=lambda its: its.error or "",
        sort=lambda its: its.status.value,
    ),
    Column(
        "Started",
        lambda its: words.capital(words.when(_began(its), utc_now())),
        128,
        1,
        tip=lambda its: words.exact(_began(its)),
        sort=_began,
    ),
    Column(
        "Took",
        lambda its: words.duration(its.duration),
        84,
        right=True,
        sort=lambda its: its.duration or 0.0,
        muted=True,
        drop=2,
    ),
    Column(
        "Size", lambda its: words.size(_size(its) or None), 84, right=True, sort=_size, muted=True, drop=3
    ),
    Column(
        "Why",
        lambda its: words.TRIGGERS.get(its.trigger, its.trigger),
        104,
        tip=lambda its: its.trigger_reason,
        muted=True,
        drop=4,
    ),
)


class HistoryView(View):
    """The list of executions."""

    name, title = "history", "History"

    def __init__(self, navigator: Navigator) -> None:
        super().__init__(navigator)
        self.model = RecordsModel(COLUMNS, lambda its: its.id, self)
        self.table = RecordTable(self.model, "Executions")
        self.add_search("Search the history").textChanged.connect(self.table.search)
        self.open_button = button("Show", self._show, kind="primary", tip="Enter")
        self.add_tool(self.open_button)
        empty = EmptyState("history", "Nothing ran yet", "Each run, restore and verification is kept here.")
        page = QWidget()
        page.setObjectName("listing")
        self.stack = QStackedLayout(page)
        self.stack.addWidget(self.table)
        self.stack.addWidget(empty)
        self.body.addWidget(page, 1)
        self.table.opened.connect(lambda its: navigator.open_execution(its.id))
        self.table.chosen.connect(lambda its: self.open_button.setEnabled(its is not None))
        self.session.active_changed.connect(self._progress)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self.model.show_rows(snapshot.executions)
        self.stack.setCurrentIndex(0 if snapshot.executions else 1)
        if snapshot.executions:
            self.table.select_first()
        self.open_button.setEnabled(bool(snapshot.executions))

    def entered(self) -> None:
        self.table.setFocus()

    def _show(self) -> None:
        chosen = self.table.selected()
        if chosen is not None:
            self.navigator.open_execution(chosen.id)

    def _progress(self, active: tuple[Execution, ...]) -> None:
        for execution in active:
            self.model.replace(execution)
