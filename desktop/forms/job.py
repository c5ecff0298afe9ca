"""The job editor: what, where to, when, how, and whom to tell, on one page that scrolls."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QSpinBox, QVBoxLayout, QWidget

from desktop.forms.destinations import DestinationsInput
from desktop.forms.dialog import FormDialog
from desktop.forms.inputs import BooleanInput, Field, NumberInput, TextInput, calm
from desktop.forms.notifiers import NotifiersInput
from desktop.forms.schedule import ScheduleInput
from desktop.session import Session
from desktop.theme import Size
from desktop.widgets import Card, button, row
from desktop.worker import Problem
from engine.records import Job, JobOptions, Key

LEVELS: dict[str, tuple[int, int, int]] = {"zstd": (1, 22, 3), "gzip": (1, 9, 6), "brotli": (0, 11, 5)}
"""Lowest, highest and usual level; the engine has the last word."""
NO_LIMIT = 0


class CompressionInput(QWidget):
    """An algorithm and its level."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.algorithm = QComboBox()
        self.algorithm.setAccessibleName("Compression")
        calm(self.algorithm)
        for text, value in (
            ("zstd: quick and small", "zstd"),
            ("gzip: opens everywhere", "gzip"),
            ("brotli: smallest, slow", "brotli"),
            ("None", "none"),
        ):
            self.algorithm.addItem(text, value)
        self.level = QSpinBox()
        self.level.setAccessibleName("Compression level")
        self.level.setPrefix("level ")
        calm(self.level)
        self.setLayout(row(self.algorithm, self.level, 1))
        self.algorithm.currentIndexChanged.connect(lambda _: self._choose())
        self._choose()

    def value(self) -> str:
        """As the configuration has it: `zstd`, `zstd:9`, `none`."""
        name = str(self.algorithm.currentData())
        if name not in LEVELS or self.level.value() == LEVELS[name][2]:
            return name
        return f"{name}:{self.level.value()}"

    def set_value(self, value: str) -> None:
        """Show a compression."""
        name, _, level = value.partition(":")
        self.algorithm.setCurrentIndex(max(0, self.algorithm.findData(name)))
        if level.isdigit():
            self.level.setValue(int(level))

    def focus_widget(self) -> QWidget:
        """The control that takes the keyboard."""
        return self.algorithm

    def _choose(self) -> None:
        name = self.algorithm.currentData()
        self.level.setVisible(name in LEVELS)
        if name in LEVELS:
            least, most, usual = LEVELS[name]
            self.level.setRange(least, most)
            self.level.setValue(usual)
        self.changed.emit()


class EncryptionInput(QWidget):
    """A key by name, or none; where there is no key yet, one can be made here."""

    def __init__(self, session: Session, keys: tuple[Key, ...], chosen: str | None) -> None:
        super().__init__()
        self._session = session
        self.key = QComboBox()
        self.key.setAccessibleName("Encryption key")
        calm(self.key)
        for key in keys:
            self.key.addItem(f"age, key {key.name}", key.name)
        self.key.addItem("Not encrypted: anybody who has the file can read it", "none")
        self.make = button("Make the key default", self._make)
        if any(key.name == "default" for key in keys):
            self.make.hide()
        layout = row(self.key, self.make)
        layout.setStretch(0, 1)
        self.setLayout(layout)
        if chosen is not None:
            at = self.key.findData(chosen)
            if at < 0:
                self.key.insertItem(0, f"{chosen} (there is no such key)", chosen)
                at = 0
            self.key.setCurrentIndex(at)
        elif (at := self.key.findData("default")) >= 0:
            self.key.setCurrentIndex(at)

    def value(self) -> str:
        """The name of the key, or `none`."""
        return str(self.key.currentData())

    def focus_widget(self) -> QWidget:
        """The control that takes the keyboard."""
        return self.key

    def _make(self) -> None:
        self.make.setEnabled(False)
        self._session.ask(self, lambda workspace: workspace.keys.new("default"), self._made, self._not_made)

    def _made(self, key: Key) -> None:
        self.make.hide()
        at = self.key.findData(key.name)
        if at < 0:
            self.key.insertItem(0, f"age, key {key.name}", key.name)
            at = 0
        self.key.setItemText(at, f"age, key {key.name}")
        self.key.setCurrentIndex(at)
        self._session.refresh()

    def _not_made(self, problem: Problem) -> None:
        self.make.setEnabled(True)
        self._session.problem.emit(problem)


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
        self.encryption = EncryptionInput(session, snapshot.keys, job.encryption if job else None)
        self.notifiers = NotifiersInput(snapshot.notifiers, job.notifiers if job else ())
        options = job.options if job else JobOptions()
        self.naming = TextInput("{job}/{database}_{date:%Y-%m-%d_%H-%M-%S}")
        self.uploads = _number(options.parallel_uploads or NO_LIMIT, 64, none="all at once")
        self.retries = _number(options.retries, 20, none="never")
        self.retry_wait = _number(options.retry_wait, 86400, suffix=" s")
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
            "parallel_uploads": Field("Uploads", self.uploads, "1 sends to one destination after another."),
            "retries": Field("Try again", self.retries, "How often a failed run is repeated by itself."),
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
                retries=self.retries.value(),
                retry_wait=self.retry_wait.value(),
                time_limit=self.limit.value() * 60 or None,
                fingerprint=self.fingerprint.value(),
            ),
        )

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
            self._fields[first].control.setFocus()
            return
        self.show_problem(None)
        self.set_busy(True)
        self._session.ask(self, lambda workspace: workspace.jobs.save(job), self._is_saved, self._not_saved)

    def _is_saved(self, job: Job) -> None:
        self.saved.emit(job)
        self._session.refresh()
        self.accept()

    def _not_saved(self, problem: Problem) -> None:
        self.set_busy(False)
        field = "schedule" if problem.field == "timezone" else problem.field.partition(".")[0]
        if field == "retention":
            field = "destinations"
        if field in self._fields:
            self._fields[field].show_error(problem.message)
            self._fields[field].control.setFocus()
            if field in _ADVANCED:
                self._unfold(True)
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


_ADVANCED = ("naming", "parallel_uploads", "retries", "retry_wait", "time_limit", "fingerprint")


def _number(value: int, most: int, *, suffix: str = "", none: str = "") -> NumberInput:
    made = NumberInput(0, most)
    made.setSuffix(suffix)
    made.setSpecialValueText(none)
    made.setValue(value)
    return made
