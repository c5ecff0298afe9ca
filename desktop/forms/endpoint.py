"""The form of whatever is configured: which adapter, its fields, and a test for real."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from desktop.forms.dialog import FormDialog
from desktop.forms.form import FieldForm
from desktop.forms.inputs import Field, TextInput, calm
from desktop.forms.tester import Check, Tester
from desktop.forms.trust import TrustDialog, server_in
from desktop.session import Session
from desktop.theme import Size, theme
from desktop.widgets import clear, label
from desktop.worker import Problem
from engine.configuration.hosts import LOCAL
from engine.contract.registry import KindName
from engine.records import Endpoint

ABOUT: dict[KindName, str] = {
    "host": "Where sources' tools run, beside this machine. The test runs something there.",
    "source": "The database to back up. A test that passes means that a backup will work.",
    "destination": "Where backups are kept. The test writes a small file, reads it back and deletes it.",
    "notifier": "Who is told how a run ended. The test sends a real message.",
}

EXAMPLES: dict[KindName, str] = {
    "host": "db-server",
    "source": "shop",
    "destination": "offsite",
    "notifier": "ops",
}


class EndpointDialog(FormDialog):
    """Makes an endpoint, or changes one."""

    saved = Signal(object)

    def __init__(
        self, parent: QWidget | None, session: Session, kind: KindName, endpoint: Endpoint | None = None
    ) -> None:
        verb = "Edit" if endpoint else "New"
        super().__init__(parent, f"{verb} {kind}", "Save")
        self._session, self._kind, self._endpoint = session, kind, endpoint
        self._adapters = {found.adapter.name: found.adapter for found in session.registry.all(kind)}
        self.form.addWidget(label(ABOUT[kind], muted=True, wrap=True))
        self.name = TextInput(EXAMPLES[kind])
        self.name_field = Field("Name", self.name, required=True)
        self.adapter = QComboBox()
        calm(self.adapter)
        for name, adapter in self._adapters.items():
            icon = theme().icons.icon(adapter.icon, theme().palette.muted, Size.ICON)
            self.adapter.addItem(icon, adapter.title, name)
        self.adapter_field = Field("Type", self.adapter)
        self.form.addWidget(self.name_field)
        self.form.addWidget(self.adapter_field)
        self.host = self._hosts(endpoint)
        self.host_field = Field("Runs on" if kind == "source" else "Reached by", self.host)
        self.form.addWidget(self.host_field)
        self.host_field.setVisible(self.host.count() > 1)
        self._place = QVBoxLayout()
        self._place.setContentsMargins(0, 0, 0, 0)
        self.form.addLayout(self._place)
        self.fields: FieldForm | None = None
        self.tester = Tester(session, self, self._check, "Test connection")
        self.tester.failed.connect(self._did_not_pass)
        self.tester.trust_needed.connect(self._ask_trust)
        self.extra.addWidget(self.tester.button)
        self.extra.addLayout(self.tester.line)
        self.tester.told.connect(self.reveal)
        self.form.addWidget(self.tester.found)
        self.form.addWidget(self.tester.problem)
        if endpoint is not None:
            self.name.set_value(endpoint.name)
            self.adapter.setCurrentIndex(max(0, self.adapter.findData(endpoint.adapter)))
            self.adapter.setEnabled(False)
        self.adapter.currentIndexChanged.connect(lambda _: self._show_fields())
        self.host.currentIndexChanged.connect(lambda _: self.tester.forget())
        self.name.changed.connect(self._name_touched)
        self._show_fields()
        self.fit(Size.FORM, 620)
        self.name.setFocus()

    def _hosts(self, endpoint: Endpoint | None) -> QComboBox:
        """This machine, and the hosts that there are, for what has one."""
        box = QComboBox()
        calm(box)
        box.addItem("This machine", LOCAL)
        if self._kind in ("host", "source"):
            for host in self._session.snapshot.hosts:
                if endpoint is None or host.id != endpoint.id:
                    box.addItem(host.name, host.id)
        if endpoint is not None:
            box.setCurrentIndex(max(0, box.findData(endpoint.host)))
        return box

    def entered(self) -> object:
        values = self.fields.values() if self.fields is not None else {}
        return self.name.value(), self.adapter.currentData(), self.host.currentData(), values

    def _show_fields(self) -> None:
        clear(self._place)
        self.fields = None
        name = self.adapter.currentData()
        if name not in self._adapters:
            self.show_problem(
                Problem(
                    f"No {self._kind} type is installed here.",
                    "`strongroom plugins` shows what did not load, and why.",
                )
            )
            self.set_busy(True)
            self.tester.button.setEnabled(False)
            return
        endpoint = self._endpoint if self._endpoint and self._endpoint.adapter == name else None
        self.fields = FieldForm(
            self._adapters[name].Config,
            endpoint.config if endpoint else None,
            endpoint.secret_names if endpoint else (),
        )
        self.fields.changed.connect(self.tester.forget)
        self.fields.pointed_at.connect(self.point_at)
        self._place.addWidget(self.fields)
        self._order_keys(self.fields)
        self.tester.forget()

    def _order_keys(self, fields: FieldForm) -> None:
        """Let Tab go from the type through the fields; they were made after the buttons below them."""
        last: QWidget = self.host
        QWidget.setTabOrder(self.adapter, self.host)
        for its in fields.findChildren(QWidget):
            reached = its.focusPolicy() & Qt.FocusPolicy.TabFocus and its.focusProxy() is None
            if reached and its.window() is self:  # a box's list is a window of its own
                QWidget.setTabOrder(last, its)
                last = its
        QWidget.setTabOrder(last, self.tester.button)

    def _name_touched(self) -> None:
        self.name_field.show_error("")
        self.show_problem(None)

    # ------------------------------------------------------------------------------------- testing

    def test(self) -> None:
        """Test what stands in the form, or stop the test that is under way."""
        self.tester.press()

    def _check(self) -> Check | None:
        if self.fields is None or not self.fields.check():
            return None
        kind, adapter, values = self._kind, str(self.adapter.currentData()), self.fields.values()
        its = self._endpoint.id if self._endpoint else None
        host = str(self.host.currentData())
        return lambda workspace, token: workspace.endpoints.check_values(
            kind, adapter, values, id=its, host=host, cancel=token
        )

    def _did_not_pass(self, problem: Problem) -> None:
        if self.fields is not None and problem.field:
            self.fields.show_errors({problem.field: problem.message})

    def _ask_trust(self, problem: Problem) -> None:
        if self.fields is not None and self.fields.has(problem.field):
            server = server_in(self.fields.values())
            TrustDialog(self, problem, server, lambda: self._trust(problem)).open()

    def _trust(self, problem: Problem) -> None:
        """Fill in what was confirmed, and test again: only a server with this very key passes."""
        if self.fields is not None:
            self.fields.set_value(problem.field, problem.value)
            self.test()

    # -------------------------------------------------------------------------------------- saving

    def submit(self) -> None:
        """Validate and save, in a thread: the keyring may ask for its password."""
        name = self.name.value()
        self.name_field.show_error("" if name else "Please fill this in.")
        fine = self.fields is not None and self.fields.check()
        if not name:
            self.point_at(self.name_field)  # it stands above the others
        if self.fields is None or not fine or not name:
            return
        kind, adapter, values = self._kind, str(self.adapter.currentData()), self.fields.values()
        its = self._endpoint.id if self._endpoint else None
        host = str(self.host.currentData())
        self.show_problem(None)
        self.save(
            self._session,
            lambda workspace: workspace.endpoints.save(kind, name, adapter, values, id=its, host=host),
            name,
            self._is_saved,
            self._not_saved,
        )

    def _is_saved(self, endpoint: Endpoint) -> None:
        self.saved.emit(endpoint)
        self._session.refresh()
        self.accept()

    def _not_saved(self, problem: Problem) -> None:
        if problem.field == "name":
            self.name_field.show_error(problem.message)
            self.point_at(self.name_field)
        elif self.fields is not None and self.fields.has(problem.field):
            self.fields.show_errors({problem.field: problem.message})
            self.point_at(self.fields.field(problem.field))
        self.show_problem(problem)

    def done(self, result: int) -> None:
        self.tester.forget()
        super().done(result)
