"""Drives the real window as a person does: clicks, keys, and waiting for what is to be seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication, QComboBox, QDialog, QLineEdit, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from desktop.app import Application
from desktop.forms import EndpointDialog, JobDialog
from desktop.views.backups import BackupsView
from desktop.views.base import View
from desktop.views.execution import ExecutionView
from desktop.views.job import JobView
from desktop.views.jobs import JobsView
from desktop.widgets import RecordTable

PATIENCE_MS = 30_000
W = TypeVar("W", bound=QWidget)
V = TypeVar("V", bound=View)


class Driver:
    """A person at the window."""

    def __init__(self, qtbot: QtBot, application: Application, folder: Path) -> None:
        self.qtbot = qtbot
        self.application = application
        self.folder = folder
        self.window = application.window
        self.session = application.session
        self.closed = False
        application.session.closed.connect(self._closed)

    def _closed(self) -> None:
        self.closed = True

    # -------------------------------------------------------------------------------- start and end

    def start(self) -> None:
        """Show the window and wait until the installation is open."""
        with self.qtbot.waitSignal(self.session.snapshot_changed, timeout=PATIENCE_MS):
            self.application.start()
        self.until(lambda: self.window.view is not None)

    def end(self) -> None:
        """Close everything, whatever the test left open."""
        for dialog in self.window.findChildren(QDialog):
            dialog.close()
        if not self.closed:
            self.application.closing.end(cancel=True)
            self.until(lambda: self.closed)
        self.until(lambda: self.session.background.busy == 0)
        self.session.background.wait(30)
        self.session.executor.wait(30)
        self.window.close()
        self.application.deleteLater()
        self.window.deleteLater()

    # ------------------------------------------------------------------------------------- waiting

    def until(self, what: Callable[[], bool]) -> None:
        """Wait until something is so."""
        self.qtbot.waitUntil(what, timeout=PATIENCE_MS)

    def read(self, work: Callable[[object], object]) -> object:
        """Ask the engine, off the UI thread as a view does, and wait for the answer."""
        answers: list[object] = []
        self.session.ask(self.session, cast("Callable[..., object]", work), answers.append)
        self.until(lambda: bool(answers))
        return answers[0]

    # ---------------------------------------------------------------------------- clicking and typing

    def click(self, widget: QWidget) -> None:
        """Click the middle of a widget that is to be seen and can be used."""
        self.until(widget.isVisible)
        assert widget.isEnabled(), f"{widget.accessibleName() or widget} cannot be used"
        self.qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)

    def press(self, text: str, within: QWidget | None = None) -> None:
        """Click the button of that text (or that accessible name)."""
        self.click(self.button(text, within))

    def button(self, text: str, within: QWidget | None = None) -> QPushButton:
        """The one button of that text (or that accessible name), when it is to be seen."""

        def found() -> list[QPushButton]:
            return [
                its
                for its in (within or self.window).findChildren(QPushButton)
                if its.isVisible() and text in (its.text(), its.accessibleName())
            ]

        self.until(lambda: bool(found()))
        assert len(found()) == 1, f"{len(found())} buttons {text!r} are to be seen"
        return found()[0]

    def write(self, field: QWidget, text: str) -> None:
        """Type into a field, in place of what it holds."""
        edit = field if isinstance(field, QLineEdit) else field.findChildren(QLineEdit)[0]
        self.click(edit)
        edit.selectAll()
        if text.isascii():
            self.qtbot.keyClicks(edit, text)
        else:  # Qt's own test keyboard has no other keys: it is pasted
            QApplication.clipboard().setText(text)
            self.qtbot.keyClick(edit, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)

    def choose(self, box: QComboBox, text: str) -> None:
        """Choose by keyboard: the arrows until the text is shown."""
        box.setFocus()
        self.qtbot.keyClick(box, Qt.Key.Key_Home)
        for _ in range(box.count()):
            if box.currentText() == text:
                return
            self.qtbot.keyClick(box, Qt.Key.Key_Down)
        raise AssertionError(f"{text!r} cannot be chosen")

    def key(self, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        """Press a key in whatever has the focus, as the window system delivers it."""
        if QApplication.activeWindow() is None:  # a dialog was closed, and no window manager is here
            self.window.activateWindow()
            self.until(self.window.isActiveWindow)
        target = QApplication.focusWidget() or self.window
        self.qtbot.keyClick(target, key, modifier)

    # -------------------------------------------------------------------------------------- places

    def go(self, page: str) -> View:
        """Go to a page by a click in the sidebar."""
        self.click(self.window.sidebar.button(page))
        self.until(lambda: self.window.view is self.window.views[page])
        return self.window.views[page]

    def view(self, kind: type[V]) -> V:
        """The page that is shown, which must be of that kind."""
        self.until(lambda: isinstance(self.window.view, kind))
        assert isinstance(self.window.view, kind)
        return self.window.view

    def dialog(self, kind: type[W]) -> W:
        """The dialog of that kind, when it is to be seen."""
        found: list[W] = []

        def is_shown() -> bool:
            found[:] = [its for its in self.window.findChildren(kind) if its.isVisible()]
            return bool(found)

        self.until(is_shown)
        return found[-1]

    def click_row(self, table: RecordTable[object], key: str, *, twice: bool = False) -> None:
        """Click a row of a list."""
        self.until(lambda: table.records.row_of(key) >= 0)
        point: QPoint = table.point_of(key)
        self.qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=point)
        if twice:
            self.qtbot.mouseDClick(table.viewport(), Qt.MouseButton.LeftButton, pos=point)

    # ------------------------------------------------------------------------- what one often does

    def make_source(self, name: str, path: Path) -> None:
        """Make an SQLite source by its form."""
        self._make_endpoint("sources", "New source", name, "sqlite", "path", path)

    def make_destination(self, name: str, path: Path) -> None:
        """Make a local destination by its form."""
        self._make_endpoint("destinations", "New destination", name, "local", "path", path)

    def _make_endpoint(self, page: str, new: str, name: str, adapter: str, field: str, path: Path) -> None:
        self.go(page)
        self.press(new)
        dialog = self.dialog(EndpointDialog)
        self.choose(dialog.adapter, dialog.adapter.itemText(dialog.adapter.findData(adapter)))
        self.write(dialog.name, name)
        assert dialog.fields is not None
        self.write(dialog.fields.field(field), str(path))
        self.press("Save", dialog)
        self.until(lambda: any(its.name == name for its in self.session.snapshot.endpoints(page[:-1])))

    def make_job(self, name: str, *, encrypted: bool = True) -> None:
        """Make a job by the editor, from the only source to the only destination."""
        self.go("jobs")
        self.press("New job")
        dialog = self.dialog(JobDialog)
        self.write(dialog.name, name)
        if not encrypted:
            self.choose(dialog.encryption.key, "Not encrypted")
        self.press("Save", dialog)
        self.until(lambda: any(job.name == name for job in self.session.snapshot.jobs))

    def open_job(self, name: str) -> JobView:
        """Open a job by a double click in the list."""
        view = self.go("jobs")
        assert isinstance(view, JobsView)
        job = next(job for job in self.session.snapshot.jobs if job.name == name)
        self.click_row(cast("RecordTable[object]", view.table), job.id, twice=True)
        return self.view(JobView)

    def run_job(self, name: str) -> JobView:
        """Open a job, press Run now, and wait for its end."""
        page = self.open_job(name)
        before = page.follower.execution_id
        self.press("Run now")
        self.until(lambda: page.follower.execution_id not in ("", before))
        self.until(page.run_button.isVisible)
        return page

    def backups(self) -> BackupsView:
        """Go to the backups and wait until the destinations were looked at."""
        view = self.go("backups")
        assert isinstance(view, BackupsView)
        self.until(lambda: view.refresh_button.isEnabled())
        return view

    def execution(self) -> ExecutionView:
        """The page of an execution, when it has ended."""
        view = self.view(ExecutionView)
        self.until(lambda: view.panel.state.ended)
        return view
