"""The job editor: what, where to, when, how, and whom to tell, on one page that scrolls."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from desktop.forms.artifact import CompressionInput, EncryptionInput
from desktop.forms.destinations import DestinationsInput
from desktop.forms.dialog import FormDialog
from desktop.forms.inputs import BooleanInput, Field, LongTextInput, NumberInput, TextInput, calm
from desktop.forms.notifiers import NotifiersInput
from desktop.forms.schedule import ScheduleInput
from desktop.session import Session
from desktop.theme import Size
from desktop.widgets import Card, button, row
from desktop.worker import Problem
from engine.records import Job, JobOptions

if TYPE_CHECKING:
    from engine.workspace import Workspace

NO_LIMIT = 0


class JobDialog(FormDialog):
    """Makes a job, or changes one."""

    saved = Signal(object)

    def __init__(self, parent: QWidget | None, session: Session, job: Job | None = None) -> None:
        super().__init__(parent, f"Edit {job.name}" if job else "New job", "Save")
        self._session, self._job = session, job
        snapshot = session.snapshot
        self.name = TextInput("shop-nightly")
        self.source = QComboBox()
        calm(self.source)
        for endpoint in snapshot.sources:
            self.source.addItem(endpoint.name, endpoint.id)
        self.source.setPlaceholderText("None yet: make one first, on the page Sources")
        self.enabled = BooleanInput("Run on schedule")
        self.enabled.set_value(True)
        self.destinations = DestinationsInput(snapshot.destinations, job.destinations if job else ())
        self.schedule = ScheduleInput(session.background)
        self.compression = CompressionInput()
        self.encryption = EncryptionInput(snapshot.keys, job.encryption if job else None)
        self.notifiers = NotifiersInput(snapshot.notifiers, job.notifiers if job else ())
        options = job.options if job else JobOptions()
        self.naming = TextInput("{job}/{database}_{date:%Y-%m-%d_%H-%M-%S}")
        self.uploads = _number(options.parallel_uploads or NO_LIMIT, 64, none="all at once")
        self.attempts = _number(options.upload_attempts, 50, least=1)
        self.stall = _number(options.stall_after, 86400, least=1, suffix=" s")
        self.retries = _number(options.retries, 20, none="never")
        self.retry_wait = _number(options.retry_wait, 86400, suffix=" s")
        self.dumps = _number(options.parallel_dumps, 16, least=1)
        self.before, self.after = LongTextInput("docker compose stop app"), LongTextInput()
        self.before.set_value(options.before)
        self.after.set_value(options.after)
        self.hooks_on = QComboBox()
        calm(self.hooks_on)
        self.hooks_on.addItem("The source's host", "source")
        self.hooks_on.addItem("This machine", "local")
        self.hooks_on.setCurrentIndex(self.hooks_on.findData(options.hooks_on))
        self.hook_limit = _number(options.hook_time_limit, 86400, least=1, suffix=" s")
        self.limit = _number((options.time_limit or 0) // 60, 30 * 1440, suffix=" min", none="none")
        self.fingerprint = BooleanInput("Count tables and rows, so that a drill can compare")
        self.fingerprint.set_value(options.fingerprint)
        self._fields = {
            "name": Field("Name", self.name, required=True),
            "source": Field("Source", self.source, required=True),
            "destinations": Field("Destinations", self.destinations, required=True),
            "schedule": Field("Schedule", self.schedule),
            "enabled": Field("", self.enabled, named=False),
            "compression": Field("Compression", self.compression),
            "encryption": Field("Encryption", self.encryption),
            "notifiers": Field("Tell", self.notifiers),
            "naming": Field(
                "File names",
                self.naming,
                "Words in braces are filled in: {job}, {source}, {database}, {date:...}, {token}.",
            ),
            "parallel_uploads": Field(
                "Uploads at once", self.uploads, "1 sends to one destination after another, in their order."
            ),
            "parallel_dumps": Field("Dumps at once", self.dumps, "How many databases at a time."),
            "before": Field(
                "Command before",
                self.before,
                "Lines for a shell, run ahead of everything. When they fail, so does the run.",
            ),
            "after": Field(
                "Command after",
                self.after,
                "Run at the end in every outcome; $STRONGROOM_STATUS says which.",
            ),
            "hooks_on": Field("Commands run on", self.hooks_on),
            "hook_time_limit": Field("Time for each", self.hook_limit),
            "upload_attempts": Field(
                "Upload attempts",
                self.attempts,
                "How often an upload is tried in all when the network or the server fails. The database is "
                "not dumped again for it.",
            ),
            "stall_after": Field(
                "Stalled after",
                self.stall,
                "An upload that gives no sign of life for so long is broken off, and tried again.",
            ),
            "retries": Field("Repeat the run", self.retries, "How often a failed run is repeated by itself."),
            "retry_wait": Field("Wait before", self.retry_wait),
            "time_limit": Field("Time limit", self.limit),
            "fingerprint": Field("", self.fingerprint, named=False),
        }
        self._lay_out()
        if job is not None:
            self._fill(job)
        self.fit(Size.FORM + Size.FIELD_LABEL // 2, 720)
        self.name.setFocus()

    def field(self, name: str) -> Field:
        """The field of that name."""
        return self._fields[name]

    def job(self) -> Job:
        """The job as it was entered."""
        line, zone = self.schedule.value()
        base = self._job or Job("", "", "", "", ())
        return replace(
            base,
            name=self.name.value() or "",
            source_id=str(self.source.currentData() or ""),
            source_name=self.source.currentText(),
            destinations=self.destinations.value(),
            notifiers=self.notifiers.value(),
            enabled=self.enabled.value(),
            schedule=line,
            timezone=zone,
            compression=self.compression.value(),
            encryption=self.encryption.value(),
            naming=self.naming.value(),
            options=replace(
                base.options,
                parallel_uploads=self.uploads.value() or None,
                parallel_dumps=self.dumps.value(),
                before=(self.before.value() or "").strip(),
                after=(self.after.value() or "").strip(),
                hooks_on=self.hooks_on.currentData(),
                hook_time_limit=self.hook_limit.value(),
                upload_attempts=self.attempts.value(),
                stall_after=self.stall.value(),
                retries=self.retries.value(),
                retry_wait=self.retry_wait.value(),
                time_limit=self.limit.value() * 60 or None,
                fingerprint=self.fingerprint.value(),
            ),
        )

    def entered(self) -> object:
        return self.job()

    def submit(self) -> None:
        """Check and save in a thread; errors stand beside their fields."""
        for its in self._fields.values():
            its.show_error("")
        job = self.job()
        missing = {
            "name": "" if job.name else "Please fill this in.",
            "source": "" if job.source_id else "Make a source first, on the page Sources.",
            "destinations": ""
            if job.destinations
            else "Choose at least one."
            if self._session.snapshot.destinations
            else "Make a destination first, on the page Destinations.",
        }
        for name, text in missing.items():
            self._fields[name].show_error(text)
        first = next((name for name, text in missing.items() if text), None)
        if first is not None:
            self.point_at(self._fields[first])
            return
        self.show_problem(None)
        makes_key = self.encryption.makes_key

        def work(workspace: Workspace) -> Job:
            if makes_key and not any(key.name == job.encryption for key in workspace.keys.list()):
                workspace.keys.new(job.encryption)
            return workspace.jobs.save(job)

        self.save(self._session, work, job.name, self._is_saved, self._not_saved)

    def _is_saved(self, job: Job) -> None:
        self.saved.emit(job)
        self._session.refresh()
        self.accept()

    def _not_saved(self, problem: Problem) -> None:
        field = "schedule" if problem.field == "timezone" else problem.field.partition(".")[0]
        if field == "retention":
            field = "destinations"
        if field in self._fields:
            self._fields[field].show_error(problem.message)
            if field in _ADVANCED:
                self._unfold(True)
            self.point_at(self._fields[field])
        self.show_problem(problem)

    def _fill(self, job: Job) -> None:
        self.name.set_value(job.name)
        self.source.setCurrentIndex(self.source.findData(job.source_id))
        self.enabled.set_value(job.enabled)
        self.schedule.set_value(job.schedule, job.timezone)
        self.compression.set_value(job.compression)
        self.naming.set_value(job.naming)

    def _lay_out(self) -> None:
        for title, names in (
            ("What", ("name", "source")),
            ("Where to", ("destinations",)),
            ("When", ("schedule", "enabled")),
            ("How", ("compression", "encryption")),
            ("Whom to tell", ("notifiers",)),
        ):
            card = Card(title)
            for name in names:
                card.add(self._fields[name])
            self.form.addWidget(card)
        self._fold = button("More settings", self._toggle, kind="link")
        self._folded = Card("More settings")
        for name in _ADVANCED:
            self._folded.add(self._fields[name])
        folded = QVBoxLayout()
        folded.addLayout(row(self._fold, 1))
        folded.addWidget(self._folded)
        self.form.addLayout(folded)
        self._folded.hide()

    def _toggle(self) -> None:
        self._unfold(self._folded.isHidden())

    def _unfold(self, shown: bool) -> None:
        self._folded.setVisible(shown)
        self._fold.setText("Fewer settings" if shown else "More settings")


_ADVANCED = (
    "naming",
    "parallel_uploads",
    "upload_attempts",
    "stall_after",
    "retries",
    "retry_wait",
    "time_limit",
    "fingerprint",
    "parallel_dumps",
    "before",
    "after",
    "hooks_on",
    "hook_time_limit",
)


def _number(value: int, most: int, *, least: int = 0, suffix: str = "", none: str = "") -> NumberInput:
    made = NumberInput(least, most)
    made.setSuffix(suffix)
    made.setSpecialValueText(none)
    made.setValue(value)
    return made
