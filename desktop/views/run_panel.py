"""The live picture of an execution: its stages, its progress, a row a destination, its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from desktop import words
from desktop.live import DestinationRow, LiveRun
from desktop.session import Session
from desktop.theme import Size, Tone
from desktop.widgets import Bar, Card, ErrorPanel, LogView, ProgressRow, StageStrip, button, label
from desktop.worker import Problem
from engine.clock import utc_now
from engine.events import DestinationState, LogEntry, LogLevel, Stage, Status
from engine.records import Job

_TONES: dict[Status, Tone] = {
    Status.PENDING: "quiet",
    Status.RUNNING: "accent",
    Status.SUCCESS: "good",
    Status.PARTIAL: "risk",
    Status.FAILED: "bad",
    Status.CANCELLED: "quiet",
}
LOG_HEIGHT = 180
STUB = 4.0


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
        self._rows: dict[str, ProgressRow] = {}
        self._row_place = QVBoxLayout()
        self._row_place.setSpacing(0)
        self.progress.add(self._row_place)
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
        layout.addWidget(log_card, 1)

    # ------------------------------------------------------------------------------------ the run

    def show_run(self, run: LiveRun) -> None:
        """Show its stages, progress and destinations."""
        self.state = run.status
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
        self._show_destinations(run)
        failed = run.status in (Status.FAILED, Status.PARTIAL) and bool(run.error)
        self.error.show_problem(
            Problem(run.error, run.remedy) if failed else None, partly=run.status is Status.PARTIAL
        )

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

    def _show_destinations(self, run: LiveRun) -> None:
        names = list(run.destinations)
        if names != list(self._rows):
            for its in self._rows.values():
                self._row_place.removeWidget(its)
                its.hide()
                its.deleteLater()
            self._rows = {name: ProgressRow(name) for name in names}
            for its in self._rows.values():
                self._row_place.addWidget(its)
        for name, row in run.destinations.items():
            self._rows[name].show_progress(*destination_progress(row, run))

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


def destination_progress(row: DestinationRow, run: LiveRun) -> tuple[float | None, Tone, str, str]:
    """Percent, colour, figure and tool tip of a destination's row."""
    state = words.DESTINATION_STATES[row.state]
    total = row.total or (run.total if not run.status.ended else None)
    percent: float | None = None
    if row.state is DestinationState.SUCCESS:
        percent = 100.0
    elif row.state in (DestinationState.WAITING, DestinationState.CANCELLED):
        percent = 0.0
    elif total:
        percent = min(100.0, 100.0 * row.bytes_sent / total)
    if row.state is DestinationState.FAILED:
        percent = max(percent or 0.0, STUB)  # enough to show its colour, and never like a full one
    sent = words.size(row.bytes_sent) if row.bytes_sent else ""
    match row.state:
        case DestinationState.RETRYING if row.retry_in is not None:
            figure = f"trying again in {words.duration(row.retry_in)}"
        case DestinationState.UPLOADING:
            behind = run.bytes_out - row.bytes_sent
            pace = words.speed(row.speed) if row.speed else ""
            in_step = 0 <= behind < 4_000_000 and row.bytes_sent > 0
            figure = ", ".join(part for part in (sent, "in step" if in_step else pace) if part) or state.word
        case DestinationState.SUCCESS:
            figure = " ".join(part for part in (state.sign, sent, state.word) if part)
        case DestinationState.FAILED:
            figure = state.text
        case _:
            figure = state.word
    return percent, state.tone, figure, row.message
