"""The main job by hand, through the real window: made by forms, run, watched, verified, restored."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import cast

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QTableView,
    QWidget,
)

from desktop.forms import EndpointDialog, JobDialog
from desktop.views.backups import BackupsView
from desktop.views.confirm import ConfirmDialog
from desktop.views.execution import ExecutionView
from desktop.views.history import HistoryView
from desktop.views.job import JobView
from desktop.views.jobs import JobsView
from desktop.views.restore import RestoreDialog
from desktop.views.sources import SourcesView
from desktop.widgets import RecordTable
from engine.events import Stage, Status
from engine.workspace import Workspace
from tests.conftest import make_shop, rows_of
from tests.desktop.driver import Driver


def made(driver: Driver) -> Path:
    """A source, a destination and an encrypted job, each made by its form; the database's path."""
    shop = make_shop(driver.folder / "shop.sqlite")
    driver.make_source("shop", shop)
    driver.make_destination("vault", driver.folder / "vault")
    driver.make_job("nightly")
    return shop


def make_changes(shop: Path) -> None:
    with closing(sqlite3.connect(shop)) as database, database:
        database.execute("DELETE FROM orders WHERE id % 2 = 0")


def test_a_backup_is_made_by_clicks_and_watched_to_its_end(driver: Driver) -> None:
    made(driver)
    page = driver.run_job("nightly")
    driver.until(lambda: page.panel.state.ended)
    assert page.panel.state is Status.SUCCESS
    assert page.chip.text() == "✓ Success"
    assert page.panel.strip.state_of(Stage.DUMP) == "done"
    assert page.panel.bar.percent == 100.0
    row = page.panel.destinations.row("vault")
    assert row.bar.tone == "good"
    driver.until(lambda: "read back" in row.detail.value)
    assert any("stored whole" in its.message for its in page.panel.log.entries)
    stored = list((driver.folder / "vault").rglob("*.age"))
    assert len(stored) == 1
    assert stored[0].read_bytes().startswith(b"age-encryption.org/v1")


def test_the_log_of_the_page_is_the_stored_log(driver: Driver) -> None:
    made(driver)
    page = driver.run_job("nightly")
    driver.until(lambda: page.panel.state.ended)
    its = page.follower.execution_id

    def stored(workspace: object) -> object:
        return cast(Workspace, workspace).store.logs.list(its)

    driver.until(lambda: len(page.panel.log.entries) == len(cast("list[object]", driver.read(stored))))


def test_a_backup_is_verified_and_its_proof_is_shown(driver: Driver) -> None:
    made(driver)
    driver.run_job("nightly")
    view = driver.backups()
    driver.until(lambda: len(view.model.rows) == 1)
    assert view.proof_chip.text() == "– not yet"
    driver.press("Verify")
    page = driver.execution()
    assert page.panel.state is Status.SUCCESS
    view = driver.backups()
    driver.until(lambda: view.proof_chip.text() == "✓ whole")
    assert "decoded to the end" in view.proof_text.text()


def test_the_commands_without_strongroom_can_be_copied(driver: Driver) -> None:
    made(driver)
    driver.run_job("nightly")
    view = driver.backups()
    driver.until(lambda: len(view.model.rows) == 1)
    driver.press("Copy the commands")
    copied = QGuiApplication.clipboard().text()
    assert copied == view.model.rows[0].sidecar.restore_hint
    assert copied.startswith("age -d -i ")
    assert "zstd -d" in copied


def test_a_backup_is_restored_under_another_name(driver: Driver) -> None:
    shop = made(driver)
    driver.run_job("nightly")
    view = driver.backups()
    driver.until(lambda: len(view.model.rows) == 1)
    driver.press("Restore…")
    dialog = driver.dialog(RestoreDialog)
    driver.write(dialog.as_name, "shop_again")
    driver.press("Restore", dialog)
    page = driver.execution()
    assert page.panel.state is Status.SUCCESS, page.panel.log.text()
    assert rows_of(driver.folder / "shop_again.sqlite") == rows_of(shop)


def test_what_is_there_is_replaced_only_after_a_second_yes(driver: Driver) -> None:
    shop = made(driver)
    driver.run_job("nightly")
    before = rows_of(shop)
    make_changes(shop)
    assert rows_of(shop) != before
    view = driver.backups()
    driver.until(lambda: len(view.model.rows) == 1)
    driver.press("Restore…")
    dialog = driver.dialog(RestoreDialog)
    driver.qtbot.keyClick(dialog.overwrite, Qt.Key.Key_Space)
    driver.press("Replace…", dialog)
    question = driver.dialog(ConfirmDialog)
    driver.press("Keep as it is", question)
    assert rows_of(shop) != before
    driver.press("Replace…", dialog)
    question = driver.dialog(ConfirmDialog)
    driver.press("Replace database shop", question)
    page = driver.execution()
    assert page.panel.state is Status.SUCCESS, page.panel.log.text()
    assert rows_of(shop) == before


def test_a_restore_over_data_without_that_yes_fails_and_says_why(driver: Driver) -> None:
    shop = made(driver)
    driver.run_job("nightly")
    before = rows_of(shop)
    view = driver.backups()
    driver.until(lambda: len(view.model.rows) == 1)
    driver.press("Restore…")
    driver.press("Restore", driver.dialog(RestoreDialog))
    page = driver.execution()
    assert page.panel.state is Status.FAILED
    assert page.panel.error.isVisible()
    assert page.panel.error.remedy.value
    assert rows_of(shop) == before


def test_a_failed_run_shows_its_error_and_where_it_failed(driver: Driver) -> None:
    shop = made(driver)
    shop.unlink()
    page = driver.run_job("nightly")
    driver.until(lambda: page.panel.state.ended)
    assert page.panel.state is Status.FAILED
    assert str(shop) in page.panel.error.message.value
    assert page.panel.error.remedy.value
    assert page.panel.strip.state_of(Stage.INITIALIZE) == "failed"
    assert page.panel.strip.state_of(Stage.UPLOAD) == "waiting"
    driver.go("history")
    history = driver.view(HistoryView)
    row = history.model.rows[0]
    driver.click_row(cast("RecordTable[object]", history.table), row.execution.id, twice=True)
    stored = driver.execution()
    assert stored.panel.state is Status.FAILED
    assert stored.panel.strip.state_of(Stage.INITIALIZE) == "failed"
    assert stored.panel.strip.state_of(Stage.DUMP) == "waiting"


def test_a_source_is_tested_before_it_is_saved(driver: Driver) -> None:
    driver.go("sources")
    driver.press("New source")
    dialog = driver.dialog(EndpointDialog)
    driver.choose(dialog.adapter, dialog.adapter.itemText(dialog.adapter.findData("sqlite")))
    driver.write(dialog.name, "shop")
    assert dialog.fields is not None
    driver.write(dialog.fields.field("path"), str(driver.folder / "missing.sqlite"))
    driver.press("Test connection", dialog)
    driver.until(dialog.tester.problem.isVisible)
    assert dialog.tester.chip.text() == "✕ Does not work"
    driver.write(dialog.fields.field("path"), str(make_shop(driver.folder / "shop.sqlite")))
    assert dialog.tester.problem.isHidden()
    driver.press("Test connection", dialog)
    driver.until(dialog.tester.found.isVisible)
    assert dialog.tester.chip.text() == "✓ Works"
    assert "a backup will work" in dialog.tester.found_text.text()


def test_a_saved_source_is_tested_from_the_list(driver: Driver) -> None:
    made(driver)
    view = driver.go("sources")
    assert isinstance(view, SourcesView)
    driver.press("Test connection")
    driver.until(lambda: view.tester.chip.text() == "✓ Works")
    driver.until(view.tester.found.isVisible)


def test_what_is_missing_is_said_beside_its_field(driver: Driver) -> None:
    driver.go("sources")
    driver.press("New source")
    dialog = driver.dialog(EndpointDialog)
    driver.choose(dialog.adapter, dialog.adapter.itemText(dialog.adapter.findData("sqlite")))
    driver.press("Save", dialog)
    assert dialog.isVisible()
    assert dialog.fields is not None
    assert "fill this in" in dialog.name_field.error.text()
    assert "fill this in" in dialog.fields.error_of("path")


def test_a_name_that_is_taken_is_said_beside_the_name(driver: Driver) -> None:
    made(driver)
    driver.go("jobs")
    driver.press("New job")
    dialog = driver.dialog(JobDialog)
    driver.write(dialog.name, "nightly")
    driver.press("Save", dialog)
    driver.until(dialog.problem.isVisible)
    assert "nightly" in dialog.problem.message.value


def test_a_source_in_use_is_not_deleted(driver: Driver) -> None:
    made(driver)
    view = driver.go("sources")
    assert isinstance(view, SourcesView)
    driver.press("Delete")
    driver.press("Delete shop", driver.dialog(ConfirmDialog))
    driver.until(view.problem.isVisible)
    assert "nightly" in view.problem.message.value + view.problem.remedy.value
    assert len(view.model.rows) == 1


def test_deleting_a_job_leaves_its_backups_listed(driver: Driver) -> None:
    made(driver)
    driver.run_job("nightly")
    driver.press("Delete")
    driver.press("Delete nightly", driver.dialog(ConfirmDialog))
    jobs = driver.view(JobsView)
    driver.until(lambda: not jobs.model.rows)
    view = driver.backups()
    driver.until(lambda: len(view.model.rows) == 1)


def test_a_backup_is_locked_and_the_newest_one_is_not_deleted(driver: Driver) -> None:
    made(driver)
    driver.run_job("nightly")
    view = driver.backups()
    driver.until(lambda: len(view.model.rows) == 1)
    driver.press("Delete")
    driver.press("Delete this backup", driver.dialog(ConfirmDialog))
    driver.until(view.problem.isVisible)
    assert len(list((driver.folder / "vault").rglob("*.age"))) == 1
    driver.press("Lock")
    driver.until(lambda: view.lock_button.text() == "Unlock" and view.lock_button.isEnabled())
    assert not view.delete_button.isEnabled()
    assert list((driver.folder / "vault").rglob("*.lock.json"))
    driver.press("Unlock")
    driver.until(lambda: view.lock_button.text() == "Lock")
    assert not list((driver.folder / "vault").rglob("*.lock.json"))


def test_a_destination_that_cannot_be_reached_is_named_and_the_rest_is_shown(driver: Driver) -> None:
    made(driver)
    driver.run_job("nightly")
    driver.make_destination("usb", driver.folder / "usb")
    (driver.folder / "usb").mkdir(exist_ok=True)
    (driver.folder / "usb").rmdir()
    (driver.folder / "usb").write_text("a file, where a folder was")
    view = driver.backups()
    driver.until(view.notice.isVisible)
    assert "usb" in view.notice.text.text()
    assert len(view.model.rows) == 1


def test_the_keyboard_reaches_everything(driver: Driver) -> None:
    made(driver)
    window = driver.window
    control = Qt.KeyboardModifier.ControlModifier
    driver.key(Qt.Key.Key_2, control)
    assert window.view is window.views["sources"]
    driver.key(Qt.Key.Key_1, control)
    jobs = driver.view(JobsView)
    driver.key(Qt.Key.Key_F, control)
    assert jobs.search is not None
    driver.until(jobs.search.hasFocus)
    driver.qtbot.keyClicks(jobs.search, "nothing like it")
    assert jobs.table.shown == 0
    driver.key(Qt.Key.Key_Escape)
    assert jobs.table.shown == 1
    jobs.table.setFocus()
    driver.key(Qt.Key.Key_Return)
    page = driver.view(JobView)
    driver.key(Qt.Key.Key_R, control)
    driver.until(lambda: page.panel.state is Status.SUCCESS)
    driver.key(Qt.Key.Key_Escape)
    assert window.view is jobs
    driver.key(Qt.Key.Key_N, control)
    dialog = driver.dialog(JobDialog)
    driver.qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    driver.until(lambda: not dialog.isVisible())


def test_every_control_has_a_name(driver: Driver) -> None:
    made(driver)
    driver.run_job("nightly")
    driver.backups()
    for name, view in driver.window.views.items():
        for kind in (QAbstractButton, QComboBox, QLineEdit, QAbstractSpinBox, QTableView):
            for its in view.findChildren(kind):
                inner = isinstance(its.parentWidget(), QAbstractSpinBox | QComboBox | QLineEdit | QTableView)
                if inner or its.objectName().startswith("qt_"):
                    continue
                said = its.accessibleName() or (its.text() if isinstance(its, QAbstractButton) else "")
                assert said.strip(), f"{kind.__name__} on {name} has no name"


def test_the_page_of_an_execution_is_reached_from_history(driver: Driver) -> None:
    made(driver)
    driver.run_job("nightly")
    driver.go("history")
    history = driver.view(HistoryView)
    driver.until(lambda: len(history.model.rows) == 1)
    driver.press("Show")
    page = driver.view(ExecutionView)
    driver.until(lambda: page.heading.value == "#1 Backup of nightly")
    assert any("stored whole" in its.message for its in page.panel.log.entries)


def test_without_backups_the_page_says_how_to_get_them(driver: Driver) -> None:
    view = driver.backups()
    assert isinstance(view, BackupsView)
    assert view.stack.currentIndex() == 1


class _Windows(QObject):
    """Notes every widget that shows up as a window."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[str] = []

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() is QEvent.Type.Show and isinstance(watched, QWidget) and watched.isWindow():
            self.shown.append(type(watched).__name__)
        return False


def test_nothing_but_the_window_ever_shows_as_a_window(driver: Driver) -> None:
    windows = _Windows()
    application = QApplication.instance()
    assert application is not None
    application.installEventFilter(windows)
    try:
        made(driver)
        for page in driver.window.views:
            driver.window.show_page(page)
        with driver.qtbot.waitSignal(driver.session.snapshot_changed, timeout=10_000):
            driver.session.refresh()
    finally:
        application.removeEventFilter(windows)
    # A popup is a list or a menu that drops from its button; a tip is a label of Qt's own.
    allowed = ("Dialog", "Container", "Menu", "TipLabel")
    assert [shown for shown in windows.shown if not shown.endswith(allowed)] == []
