"""The live picture of an execution: its stages, its progress, a row a destination, its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from desktop import words
from desktop.live import LiveRun
from desktop.session import Session
from desktop.theme import Size, Tone
from desktop.views.copies import CopiesCard
from desktop.views.destination_rows import DestinationRows
from desktop.views.run_words import figures, run_problem
from desktop.widgets import Bar, Card, ErrorPanel, LogView, StageStrip, button, label
from engine.clock import utc_now
from engine.events import LogEntry, LogLevel, Stage, Status
from engine.records import Execution, Job

_TONES: dict[Status, Tone] = {
    Status.PENDING: "quiet",
    Status.RUNNING: "accent",
    Status.SUCCESS: "good",
    Status.PARTIAL: "risk",
    Status.FAILED: "bad",
    Status.CANCELLED: "quiet",
}
LOG_HEIGHT = 180
SLOWEST = "As far as the slowest destination is: a backup counts once it has arrived."


class RunPanel(QWidget):
    """All that is known of one execution. `aside` is a card that stands beside the progress."""

    def __init__(self, session: Session, aside: Card) -> None:
        super().__init__()
        self._session = session
        self.error = ErrorPanel()
        self.strip = StageStrip()
        strip_card = Card()
        strip_card.add(self.strip)
        self.figures = label("", "card", muted=True)
        self.progress = Card("Progress", tools=(self.figures,))
        self.bar = Bar()
        self.progress.add(self.bar)
        self.destinations = DestinationRows()
        self.progress.add(self.destinations)
        self.progress.body.addStretch(1)
        self.log = LogView()
        self.log.setMinimumHeight(LOG_HEIGHT)
        self.level = QComboBox()
        self.level.setAccessibleName("Which lines of the log")
        self.level.setProperty("kind", "quiet")
        self.level.addItem("All lines", None)
        self.level.addItem("Warnings and errors", "loud")
        self.level.currentIndexChanged.connect(lambda _: self._show_log())
        log_card = Card(
            "Log",
            tools=(
                self.level,
                button("Copy", self._copy, kind="link", name="Copy the log"),
                button("Save…", self._save, kind="link", name="Save the log"),
            ),
        )
        log_card.add(self.log, 1)
        self._entries: list[LogEntry] = []
        self._record: Execution | None = None
        self.state = Status.PENDING
        self.unneeded: frozenset[Stage] = frozenset()
        middle = QHBoxLayout()
        middle.setSpacing(Size.CARD_GAP)
        middle.addWidget(self.progress, 3)
        middle.addWidget(aside, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Size.CARD_GAP)
        layout.addWidget(self.error)
        layout.addWidget(strip_card)
        layout.addLayout(middle)
        self.copies = CopiesCard()
        layout.addWidget(self.copies)
        layout.addWidget(log_card, 1)

    # ------------------------------------------------------------------------------------ the run

    def show_run(self, run: LiveRun) -> None:
        """Show its stages, progress and destinations."""
        self.state = run.status
        if not run.status.ended:
            self.copies.show_execution(None)
        self.strip.show_order(run.order)
        for stage in run.order:
            state = run.state_of(stage)
            its = "skipped" if stage in self.unneeded and state.state != "failed" else state.state
            seconds = None if its == "skipped" else state.seconds
            self.strip.show_stage(stage, its, state.detail, seconds)
        running = run.status is Status.RUNNING
        unknown = running and run.percent is None
        self.bar.show_percent(None if unknown else run.percent or 0.0, _TONES[run.status])
        self.bar.setToolTip(SLOWEST if running and run.destinations else "")
        self.figures.setText(figures(run))
        ended = run.status.ended and run.finished_at is not None
        self.progress.title.setText(f"Ended {words.ago(run.finished_at, utc_now())}" if ended else "Progress")
        self.progress.title.setToolTip(words.exact(run.finished_at))
        self.destinations.show_run(run)
        record = self._record if self._record is not None and self._record.id == run.id else None
        self.error.show_problem(run_problem(run, record), partly=run.status is Status.PARTIAL)

    def show_record(self, execution: Execution) -> None:
        """Show what the store alone keeps: each copy of a run that has ended, each reason of a check."""
        self._record = execution
        self.copies.show_execution(execution)

    def show_job(self, job: Job | None) -> None:
        """Leave out the stages that this job does not need."""
        unneeded = set()
        if job is not None and job.compression == "none":
            unneeded.add(Stage.COMPRESS)
        if job is not None and job.encryption == "none":
            unneeded.add(Stage.ENCRYPT)
        if job is not None and all(_keeps_all(its.retention) for its in job.destinations):
            unneeded.add(Stage.RETENTION)
        self.unneeded = frozenset(unneeded)

    def show_nothing(self) -> None:
        """There is no execution (yet)."""
        run = LiveRun("", kind="run")
        self.show_run(run)
        self.figures.setText("Not run yet")
        self.show_log([])

    # ------------------------------------------------------------------------------------ the log

    def show_log(self, entries: Sequence[LogEntry]) -> None:
        """Show this log."""
        self._entries = list(entries)
        self._show_log()

    def add_log(self, entries: Sequence[LogEntry]) -> None:
        """Append lines."""
        self._entries.extend(entries)
        self.log.add(self._wanted(entries))

    def _show_log(self) -> None:
        self.log.show_log(self._wanted(self._entries))

    def _wanted(self, entries: Sequence[LogEntry]) -> list[LogEntry]:
        if self.level.currentData() is None:
            return list(entries)
        return [its for its in entries if its.level in (LogLevel.WARNING, LogLevel.ERROR)]

    def _copy(self) -> None:
        self.log.copy_all()

    def _save(self) -> None:
        text = self.log.text() + "\n"
        dialog = QFileDialog(self, "Save the log", "strongroom.log")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.fileSelected.connect(lambda path: save_text(self._session, self, path, text))
        dialog.open()


def _keeps_all(retention: Mapping[str, object]) -> bool:
    return str(retention.get("mode", "none")).lower() == "none"


def save_text(session: Session, owner: QWidget, path: str, text: str) -> None:
    """Write a file in a thread."""
    from pathlib import Path

    session.background.run(owner, lambda: Path(path).write_text(text, encoding="utf-8"), lambda _: None)
