"""Jobs: what is backed up, whether it went well, and when it comes next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QStackedLayout, QWidget

from desktop import words
from desktop.forms import JobDialog
from desktop.models.records import Column, RecordsModel
from desktop.navigation import Navigator
from desktop.snapshot import Snapshot
from desktop.views.base import View
from desktop.widgets import EmptyState, RecordTable, button, listing
from desktop.words import State
from engine.clock import utc_now
from engine.records import Execution, Job

WORDS_MS = 30_000
"""How often relative times are painted anew."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as a row."""

    job: Job
    last: Execution | None
    active: Execution | None
    next_at: datetime | None
    percent: int | None = None

    @property
    def state(self) -> State:
        """What it does now, else how it went the last time."""
        if self.active is not None:
            return words.state_of(self.active.status, self.percent)
        return words.state_of(self.last.status) if self.last else words.NEVER_RUN

    @property
    def last_at(self) -> datetime | None:
        """When its last run ended."""
        return self.last.finished_at if self.last else None

    @property
    def next_said(self) -> str:
        """When it runs next."""
        if self.job.schedule and not self.job.enabled:
            return "switched off"
        return words.when(self.next_at, utc_now()) if self.next_at else "by hand"


def _destinations(row: JobRow) -> str:
    return " · ".join(its.name for its in row.job.destinations)


COLUMNS: tuple[Column[JobRow], ...] = (
    Column("Job", lambda row: row.job.name, 150, 3),
    Column("Source", lambda row: row.job.source_name, 110, 2, muted=True, drop=1),
    Column("Destinations", _destinations, 140, 3, muted=True, tip=_destinations, drop=3),
    Column(
        "Last run",
        lambda row: words.ago(row.last_at, utc_now()),
        110,
        1,
        tip=lambda row: words.exact(row.last_at),
        sort=lambda row: row.last_at,
    ),
    Column("State", lambda row: "", 132, 1, state=lambda row: row.state, sort=lambda row: row.state.word),
    Column(
        "Next",
        lambda row: row.next_said,
        120,
        1,
        tip=lambda row: words.exact(row.next_at),
        sort=lambda row: row.next_at,
        muted=True,
        drop=2,
    ),
)


class JobsView(View):
    """The list of jobs."""

    name, title = "jobs", "Jobs"

    def __init__(self, navigator: Navigator) -> None:
        super().__init__(navigator)
        self.model = RecordsModel(COLUMNS, lambda row: row.job.id, self)
        self.table = RecordTable(self.model, "Jobs")
        self.add_search("Search jobs").textChanged.connect(self.table.search)
        self.run_button = button("Run", self.run, icon="play", tip="Run the chosen job now (Ctrl+R)")
        self.new_button = button("New job", self.new, kind="primary", icon="plus", tip="Ctrl+N")
        self.add_tool(self.run_button)
        self.add_tool(self.new_button)
        self.empty = EmptyState(
            "jobs",
            "No job yet",
            "A job says what to back up, where to, and when. It needs a source and a destination.",
            button("Make the first job", self.new),
        )
        page = QWidget()
        page.setObjectName("listing")
        self.stack = QStackedLayout(page)
        self.stack.addWidget(listing(self.table))
        self.stack.addWidget(self.empty)
        self.body.addWidget(page, 1)
        self.table.opened.connect(lambda row: navigator.open_job(row.job.id))
        self.table.chosen.connect(lambda row: self._tend_run())
        self.session.live.changed.connect(self._progress)
        self.session.active_changed.connect(self._foreign_progress)
        self._clock = QTimer(self)
        self._clock.setInterval(WORDS_MS)
        self._clock.timeout.connect(self.model.refresh_words)
        self._clock.start()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self.model.show_rows(
            [
                JobRow(
                    job,
                    snapshot.last.get(job.id),
                    snapshot.active.get(job.id),
                    snapshot.next_runs.get(job.id),
                    self._percent(snapshot.active.get(job.id)),
                )
                for job in snapshot.jobs
            ]
        )
        self.stack.setCurrentIndex(0 if snapshot.jobs else 1)
        if snapshot.jobs:
            self.table.select_first()
        self._tend_run()

    def entered(self) -> None:
        self.table.setFocus()

    def run(self) -> None:
        row = self.table.selected()
        if row is not None and row.active is None:
            self.session.run_job(row.job.id)
            self.navigator.open_job(row.job.id)

    def new(self) -> None:
        """Open the job editor; it says what is missing where there is no source yet."""
        dialog = JobDialog(self.window(), self.session)
        dialog.saved.connect(lambda job: self.navigator.say(f"{job.name} is saved."))
        dialog.open()

    def _tend_run(self) -> None:
        row = self.table.selected()
        self.run_button.setEnabled(row is not None and row.active is None)

    def _percent(self, active: Execution | None) -> int | None:
        if active is None:
            return None
        live = self.session.live.get(active.id)
        percent = live.percent if live is not None else active.percent
        return None if percent is None else int(percent)

    def _progress(self, execution_id: str) -> None:
        for row in self.model.rows:
            if row.active is not None and row.active.id == execution_id:
                self.model.replace(
                    JobRow(row.job, row.last, row.active, row.next_at, self._percent(row.active))
                )

    def _foreign_progress(self, active: tuple[Execution, ...]) -> None:
        by_job = {its.job_id: its for its in active if its.kind == "run"}
        for row in list(self.model.rows):
            now = by_job.get(row.job.id)
            if row.active is not None and now is not None and now.id == row.active.id:
                self.model.replace(JobRow(row.job, row.last, now, row.next_at, self._percent(now)))
