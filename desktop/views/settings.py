"""Settings: how many jobs run at once, the weekly verification, the look, and the encryption keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QFileDialog, QSpinBox, QVBoxLayout, QWidget

from desktop import words
from desktop.forms.dialog import FormDialog
from desktop.forms.inputs import BooleanInput, Field, TextInput, calm
from desktop.forms.schedule import ScheduleInput
from desktop.navigation import Navigator
from desktop.session import Session
from desktop.snapshot import Snapshot
from desktop.theme import Mode, Size, theme
from desktop.views.base import View
from desktop.widgets import Card, ErrorPanel, button, clear, column, label, row, rule, scrolled
from engine.clock import utc_now
from engine.records import Key
from engine.scheduler import VERIFY_DEFAULT, VERIFY_SETTING

if TYPE_CHECKING:
    from engine.workspace import Workspace

MOST_JOBS = 16
MAX_JOBS = "maxConcurrentJobs"
THEME = "desktop.theme"
VERIFY_USUAL = (
    ("Every Sunday at 04:30", VERIFY_DEFAULT),
    ("Every day at 04:30", "30 4 * * *"),
    ("On the first of each month at 04:30", "30 4 1 * *"),
)
THEMES: tuple[tuple[str, Mode], ...] = (
    ("As the system", "system"),
    ("Light", "light"),
    ("Dark", "dark"),
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the store holds of all this."""

    jobs: int
    verify: str
    """A cron line, or empty for never."""
    theme: Mode


def read_chosen(workspace: Workspace) -> Chosen:
    """Read the settings that this page shows."""
    settings = workspace.store.settings
    mode = settings.get(THEME, "system")
    return Chosen(
        int(settings.get(MAX_JOBS, 1)),
        str(settings.get(VERIFY_SETTING, VERIFY_DEFAULT) or ""),
        mode if mode in ("light", "dark") else "system",
    )


class SettingsView(View):
    """What is chosen counts at once; nothing waits for a button."""

    name, title = "settings", "Settings"

    def __init__(self, navigator: Navigator) -> None:
        super().__init__(navigator)
        self._filling = False
        self.jobs = QSpinBox()
        self.jobs.setRange(1, MOST_JOBS)
        self.jobs.setMaximumWidth(Size.FIELD_LABEL // 2)
        calm(self.jobs)
        self.jobs.valueChanged.connect(lambda value: self._set(MAX_JOBS, value))
        self.verify = BooleanInput("Verify all backups at all destinations on a schedule")
        self.verify_when = ScheduleInput(self.session.background, VERIFY_USUAL, by_hand=False, zoned=False)
        self.verify.toggled.connect(lambda _: self._verify_changed())
        self.verify_when.changed.connect(self._verify_changed)
        self.look = QComboBox()
        calm(self.look)
        for text, mode in THEMES:
            self.look.addItem(text, mode)
        self.look.currentIndexChanged.connect(lambda _: self._look_changed())
        self.problem = ErrorPanel()
        running = Card("Running")
        running.add(Field("Jobs at once", self.jobs, "For window, agent and command line together."))
        proof = Card("Proof")
        proof.add(Field("", self.verify, named=False))
        self.when_field = Field("When", self.verify_when)
        proof.add(self.when_field)
        look = Card("Look")
        look.add(Field("Theme", self.look))
        self.keys = QVBoxLayout()
        self.keys.setSpacing(Size.GAP)
        self.new_key_button = button("New key…", self.new_key)
        keys = Card("Encryption keys", tools=(self.new_key_button,))
        keys.add(
            label(
                "Backups are encrypted to a key. Keep a copy of it elsewhere: without it no backup that it "
                "protects can be restored.",
                muted=True,
                wrap=True,
            )
        )
        keys.add(self.keys)
        page = column(self.problem, running, proof, keys, look, gap=Size.CARD_GAP)
        page.addStretch(1)
        centre = row()
        inner = QWidget()
        inner.setMaximumWidth(Size.FORM + Size.FIELD_LABEL)
        inner.setLayout(page)
        centre.addWidget(inner, 10)
        centre.addStretch(1)
        self.body.addWidget(scrolled(centre), 1)

    def entered(self) -> None:
        self.session.ask(self, read_chosen, self._fill, self.problem.show_problem)
        self.jobs.setFocus()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        clear(self.keys)
        if not snapshot.keys:
            self.keys.addWidget(label("No key yet. Without one, backups are not encrypted."))
        for at, key in enumerate(snapshot.keys):
            if at:
                self.keys.addWidget(rule())
            self.keys.addLayout(self._key_row(key))

    def _key_row(self, key: Key) -> QVBoxLayout:
        kept = (
            f"exported {words.ago(key.exported_at, utc_now())}"
            if key.exported_at
            else "never exported: save a copy elsewhere"
        )
        said = kept if key.has_identity else "public part alone: it encrypts, and cannot restore"
        recipient = label(key.recipient, "caption", muted=True, wrap=True)
        recipient.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        export = button("Export…", lambda: self.export(key), name=f"Export the key {key.name}")
        if not key.has_identity:
            export.hide()  # never shown here: without a parent yet, it would be a window of its own
        line = row()
        line.addLayout(column(label(key.name, "strong"), label(said, muted=True, wrap=True), gap=2), 1)
        line.addWidget(export)
        return column(line, recipient, gap=2)

    # --------------------------------------------------------------------------------------- doing

    def new_key(self) -> None:
        """Ask for a name and make a key."""
        dialog = KeyDialog(self.window(), self.session)
        dialog.open()

    def export(self, key: Key) -> None:
        """Write a key's identity file where the person says; only they may read it."""
        dialog = QFileDialog(self, f"Export the key {key.name}", f"{key.name}.key.txt")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.fileSelected.connect(lambda path: self.export_to(key, path))
        dialog.open()

    def export_to(self, key: Key, path: str) -> None:
        """Write the identity file, in a thread."""
        self.session.ask(
            self,
            lambda workspace: write_private(Path(path), workspace.keys.export(key.name)),
            lambda _: self._exported(key, path),
            self.problem.show_problem,
        )

    def _exported(self, key: Key, path: str) -> None:
        self.navigator.say(f"The key {key.name} is in {Path(path).name}. Keep it safe.")
        self.session.refresh()

    def _fill(self, chosen: Chosen) -> None:
        self._filling = True
        self.jobs.setValue(chosen.jobs)
        self.verify.set_value(bool(chosen.verify))
        self.verify_when.set_value(chosen.verify or VERIFY_DEFAULT, None)
        self.when_field.setEnabled(bool(chosen.verify))
        self.look.setCurrentIndex(self.look.findData(chosen.theme))
        self._filling = False

    def _set(self, key: str, value: object) -> None:
        if not self._filling:
            self.session.ask(
                self,
                lambda workspace: workspace.store.settings.set(key, value),
                lambda _: self.problem.show_problem(None),
                self.problem.show_problem,
            )

    def _verify_changed(self) -> None:
        wanted = self.verify.isChecked()
        self.when_field.setEnabled(wanted)
        line, _ = self.verify_when.value()
        self._set(VERIFY_SETTING, (line or "") if wanted else "")

    def _look_changed(self) -> None:
        mode: Mode = self.look.currentData()
        theme().choose(mode)
        self._set(THEME, mode)


class KeyDialog(FormDialog):
    """Makes an encryption key."""

    made = Signal(object)

    def __init__(self, parent: QWidget | None, session: Session) -> None:
        super().__init__(parent, "New key", "Make the key")
        self._session = session
        has_default = any(key.name == "default" for key in session.snapshot.keys)
        self.name = TextInput("escrow" if has_default else "default")
        self.name.set_value("" if has_default else "default")
        self.name_field = Field("Name", self.name, "Jobs name their key by it.", required=True)
        self.form.addWidget(self.name_field)
        self.fit(Size.FORM - Size.FIELD_LABEL, 300)
        self.name.setFocus()

    def submit(self) -> None:
        """Make it, in a thread: the keyring may ask for its password."""
        name = self.name.value()
        self.name_field.show_error("" if name else "Please fill this in.")
        if not name:
            return
        self.save(
            self._session,
            lambda workspace: workspace.keys.new(name),
            f"The key {name}",
            self._made,
            self.show_problem,
        )

    def _made(self, key: Key) -> None:
        self.made.emit(key)
        self._session.refresh()
        self.accept()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read; never over one that is there. Raises `UsageError`."""
    import os

    from engine.errors import UsageError

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise UsageError(f"{path} is there already.", remedy="Choose another name.") from error
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}.", remedy="Choose another folder."
        ) from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
