"""The restore dialog: which backup or set, into which source, under which name, over what is there or not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QWidget

from desktop import words
from desktop.forms.choices import ChoicesForm
from desktop.forms.dialog import FormDialog
from desktop.forms.inputs import BooleanInput, Field, TextInput, calm
from desktop.session import Session
from desktop.theme import Size
from desktop.views.confirm import confirm
from desktop.widgets import KeyValueGrid, Notice
from desktop.worker import Problem
from engine.clock import utc_now
from engine.errors import PluginError
from engine.records import Endpoint
from engine.recovery.requests import RestoreRequest

if TYPE_CHECKING:
    from engine.archive.catalogue import Backup
    from engine.workspace import Workspace


class RestoreDialog(FormDialog):
    """Asks where to; what would replace data is asked for once more."""

    started = Signal(str)
    """The ID of the execution that restores."""

    def __init__(self, parent: QWidget | None, session: Session, backup: Backup) -> None:
        super().__init__(parent, "Restore", "Restore")
        self._session, self._backup = session, backup
        sidecar = backup.sidecar
        self.form.addWidget(
            KeyValueGrid(
                [
                    ("Backup", f"{sidecar.database}, {words.when(sidecar.created_at, utc_now())}"),
                    ("From", f"{backup.destination}, {words.size(backup.size)}"),
                    ("File", backup.artifact),
                ],
                column=Size.FIELD_LABEL,
            )
        )
        self.what = QComboBox()
        calm(self.what)
        self.what.addItem(f"{words.short(sidecar.database, 40)} alone", False)
        self.what.addItem(f"All {len(sidecar.databases)} databases of that run", True)
        self.target = QComboBox()
        calm(self.target)
        for endpoint in _fitting(session, sidecar.engine):
            self.target.addItem(endpoint.name, endpoint.id)
        at = self.target.findText(sidecar.source)
        self.target.setCurrentIndex(max(0, at))
        self.as_name = TextInput(sidecar.database)
        self.overwrite = BooleanInput("Replace what is there")
        self.unproven = BooleanInput("Restore it although nothing proves who wrote it")
        self._fields = {
            "what": Field("Restore", self.what),
            "to": Field("Into the source", self.target, required=True),
            "as": Field(
                "Under the name",
                self.as_name,
                "Left empty, it keeps its own name. A database that is missing is made.",
            ),
            "overwrite": Field(
                "",
                self.overwrite,
                "The new database is built beside the old one and checked first, wherever that is possible.",
                named=False,
            ),
        }
        for its in self._fields.values():
            self.form.addWidget(its)
        self._fields["what"].setVisible(len(sidecar.databases) > 1)
        self.choices = ChoicesForm(session)
        self.form.addWidget(self.choices)
        self.notice = Notice()
        if not backup.verdict.proves:
            self.notice.say(f"This backup {backup.verdict.words}.")
            self._fields["unproven"] = Field("", self.unproven, named=False)
            self.form.addWidget(self.notice)
            self.form.addWidget(self._fields["unproven"])
        if self.target.count() == 0:
            self.show_problem(
                Problem(
                    f"There is no source of the type {sidecar.engine} to restore into.",
                    "Make one on the page Sources.",
                )
            )
            self.set_busy(True)
        self.overwrite.toggled.connect(lambda _: self._name_action())
        self.as_name.textChanged.connect(lambda _: self._name_action())
        self.target.currentIndexChanged.connect(lambda _: self._target_changed())
        self.what.currentIndexChanged.connect(lambda _: self._name_action())
        self._target_changed()
        self.fit(Size.FORM, 520)
        self.target.setFocus()

    def request(self) -> RestoreRequest:
        """What was asked for."""
        return RestoreRequest(
            backup_id=self._backup.id,
            to_source=str(self.target.currentData()),
            as_name=self.as_name.value(),
            overwrite=self.overwrite.value(),
            unproven=self.unproven.value(),
            choices=self.choices.chosen(),
        )

    @property
    def whole_set(self) -> bool:
        """Whether all databases of the run are to be restored."""
        return bool(self.what.currentData())

    def submit(self) -> None:
        """Restore; over what is there only after a second yes."""
        request = self.request()
        if not request.overwrite:
            self._start(request)
            return
        database = request.as_name or self._backup.sidecar.database
        if self.whole_set:
            database = ", ".join(self._backup.sidecar.databases)
        self.question = confirm(
            self,
            f"Replace database {words.short(database, 40)}?",
            f"What {self.target.currentText()} holds as {database} is replaced by the backup of "
            f"{words.when(self._backup.sidecar.created_at, utc_now())}.",
            f"Replace database {words.short(database)}",
            lambda: self._start(request),
        )

    def _start(self, request: RestoreRequest) -> None:
        self.show_problem(None)
        self.set_busy(True)
        self._session.ask(
            self,
            lambda workspace: workspace.restore(*_requests(workspace, request, self.whole_set)),
            self._has_started,
            self._did_not_start,
        )

    def _has_started(self, execution_id: str) -> None:
        self.accept()
        self.started.emit(execution_id)

    def _did_not_start(self, problem: Problem) -> None:
        self.set_busy(False)
        self.show_problem(problem)

    def _target_changed(self) -> None:
        self.choices.show_source(str(self.target.currentData() or ""))
        self._name_action()

    def _name_action(self) -> None:
        self._fields["as"].setVisible(not self.whole_set)
        danger = self.overwrite.isChecked()
        self.accept_button.setText("Replace…" if danger else "Restore")


def _requests(workspace: Workspace, request: RestoreRequest, whole_set: bool) -> list[RestoreRequest]:
    if not whole_set:
        return [request]
    from engine.recovery.sets import of_set

    chosen = workspace.catalogue.get(request.backup_id)
    return of_set(chosen, workspace.catalogue.list(refresh=False), replace(request, as_name=None))


def _fitting(session: Session, engine: str) -> list[Endpoint]:
    """The sources that such a backup can be restored into, those of its own family first."""
    own, other = [], []
    for endpoint in session.snapshot.sources:
        try:
            adapter = session.registry.source(endpoint.adapter)
        except PluginError:
            continue
        if adapter.engine == engine:
            own.append(endpoint)
        elif engine in adapter.accepts:
            other.append(endpoint)
    return [*own, *other]
