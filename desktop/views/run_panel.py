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
from desktop.widgets import Bar, Card, ErrorPanel, LogView, StageStrip, button, label
from desktop.worker import Problem
from engine.clock import utc_now
from engine.events import DestinationState, LogEntry, LogLevel, Stage, Status
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
BESIDE = "Why, and what to do, stands beside each destination below."


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
        self.figures.setText(figures(run))
        ended = run.status.ended and run.finished_at is not None
        self.progress.title.setText(f"Ended {words.ago(run.finished_at, utc_now())}" if ended else "Progress")
        self.progress.title.setToolTip(words.exact(run.finished_at))
        self.destinations.show_run(run)
        self.error.show_problem(run_problem(run), partly=run.status is Status.PARTIAL)

    def show_record(self, execution: Execution) -> None:
        """Show what the store alone keeps: each copy of a run that has ended."""
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


def run_problem(run: LiveRun) -> Problem | None:
    """What a run failed by. What its destinations failed by stands beside each, and is only counted here."""
    if run.status not in (Status.FAILED, Status.PARTIAL) or not run.error:
        return None
    rows = run.destinations.values()
    failed = [its.name for its in rows if its.state is DestinationState.FAILED]
    if not failed or not all(f"{name}: " in run.error for name in failed):
        return Problem(run.error, run.remedy)
    whole = sum(its.state is DestinationState.SUCCESS for its in rows)
    names = ", ".join(failed)
    if not whole:
        return Problem(f"No destination got the whole backup: {names} failed.", BESIDE)
    others = words.count(whole, "other destination holds", "other destinations hold")
    return Problem(f"{names} failed; {others} the whole backup.", BESIDE)


def figures(run: LiveRun) -> str:
    """How far a run is, in words: `1.9 of about 4.8 GB · 212 MB/s · 14 s left`."""
    if run.status is Status.PENDING:
        return "Waiting for its turn"
    if run.status.ended:
        took = (
            words.duration((run.finished_at - run.started_at).total_seconds())
            if run.started_at and run.finished_at
            else ""
        )
        return " · ".join(part for part in (words.size(run.bytes_out) if run.bytes_out else "", took) if part)
    parts = []
    rows = run.destinations.values()
    if run.state_of(Stage.DUMP).state == "done" and rows and not any(its.elsewhere for its in rows):
        stored = sum(its.state is DestinationState.SUCCESS for its in rows)
        return f"{words.size(run.bytes_out)} dumped · stored at {stored} of {len(rows)}"
    if run.bytes_out or run.bytes_in:
        done = words.size(run.bytes_out)
        about = "about " if run.estimated else ""
        parts.append(f"{done} of {about}{words.size(run.total)}" if run.total else done)
    if run.speed:
        parts.append(words.speed(run.speed))
    if left := words.time_left(run.seconds_left):
        parts.append(left)
    if run.database:
        parts.insert(0, run.database)
    return " · ".join(parts) or "Starting"
