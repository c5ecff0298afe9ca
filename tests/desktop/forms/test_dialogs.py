"""The dialogs on a fresh installation, by keyboard, and with names that are longer than anybody likes."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QScrollArea, QWidget

from desktop.forms import EndpointDialog, JobDialog
from desktop.forms.dialog import FormDialog
from desktop.views.confirm import ConfirmDialog
from tests.conftest import make_shop
from tests.desktop.driver import Driver


def assert_fits(dialog: QWidget) -> None:
    area = dialog.findChildren(QScrollArea)[0]
    assert area.widget().width() <= area.viewport().width()


def test_tab_goes_from_the_type_through_its_fields_to_the_test(driver: Driver) -> None:
    driver.go("sources")
    driver.press("New source")
    dialog = driver.dialog(EndpointDialog)
    dialog.adapter.setCurrentIndex(dialog.adapter.findData("sqlite"))
    fields = dialog.fields
    assert fields is not None
    path = fields.field("path").control
    driver.until(path.isVisible)
    dialog.adapter.setFocus()
    seen: list[QWidget | None] = []
    for _ in range(5):
        driver.qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        seen.append(QApplication.focusWidget())
    assert seen[0] is path
    # The path, its button, further files, the fold, the test.
    assert seen.index(dialog.tester.button) == 4


def test_an_error_about_the_name_goes_when_the_name_is_mended(driver: Driver) -> None:
    path = make_shop(driver.folder / "shop.sqlite")
    driver.make_source("shop", path)
    driver.go("sources")
    driver.press("New source")
    dialog = driver.dialog(EndpointDialog)
    dialog.adapter.setCurrentIndex(dialog.adapter.findData("sqlite"))
    assert dialog.fields is not None
    dialog.fields.field("path").input.set_value(str(path))  # type: ignore[attr-defined]
    driver.write(dialog.name, "shop")
    dialog.submit()
    driver.until(lambda: dialog.problem.isVisible())
    assert "'shop' already" in dialog.name_field.error.text()
    driver.until(dialog.name.hasFocus)
    driver.write(dialog.name, "shop-2")
    assert not dialog.problem.isVisible() and not dialog.name_field.error.text()


def test_the_first_job_s_form_is_shown_whole_and_says_what_to_make_first(driver: Driver) -> None:
    driver.go("jobs")
    driver.press("New job")
    dialog = driver.dialog(JobDialog)
    driver.until(lambda: dialog.isVisible())
    assert_fits(dialog)
    assert "Sources" in dialog.source.placeholderText()
    dialog.submit()
    assert "Destinations" in dialog.field("destinations").error.text()


def test_a_long_name_does_not_make_the_form_wider_than_its_dialog(driver: Driver) -> None:
    driver.make_source("a-name-that-is-made-by-a-script-" * 4, make_shop(driver.folder / "shop.sqlite"))
    driver.go("jobs")
    driver.press("New job")
    dialog = driver.dialog(JobDialog)
    driver.until(lambda: dialog.isVisible())
    assert_fits(dialog)


def in_sight(dialog: FormDialog, its: QWidget) -> bool:
    seen = its.visibleRegion().boundingRect()
    return not seen.isEmpty() and seen.height() == its.height()


def scrolled_down(driver: Driver, dialog: FormDialog) -> None:
    """The form in a window that is too low for it, looked at from its end."""
    dialog.resize(dialog.width(), 360)
    bar = dialog._area.verticalScrollBar()
    driver.until(lambda: bar.maximum() > 100)
    bar.setValue(bar.maximum())


def filled_in(driver: Driver) -> EndpointDialog:
    driver.go("destinations")
    driver.press("New destination")
    dialog = driver.dialog(EndpointDialog)
    dialog.adapter.setCurrentIndex(dialog.adapter.findData("sftp"))
    assert dialog.fields is not None
    for name, value in {"host": "backup.example.net", "user": "strongroom", "path": "backups"}.items():
        dialog.fields.set_value(name, value)
    dialog.name.set_value("offsite")
    dialog.fields._unfold(True)
    return dialog


@pytest.mark.parametrize("wrong", ["name", "host"])
def test_save_shows_the_first_wrong_field_however_far_away_it_is(driver: Driver, wrong: str) -> None:
    dialog = filled_in(driver)
    assert dialog.fields is not None
    field = dialog.name_field if wrong == "name" else dialog.fields.field("host")
    field.control.clear()  # type: ignore[attr-defined]
    scrolled_down(driver, dialog)
    assert not in_sight(dialog, field.control)
    driver.press("Save", dialog)
    driver.until(lambda: in_sight(dialog, field.control) and in_sight(dialog, field.error))
    assert field.control.hasFocus()


def test_the_test_shows_the_first_wrong_field_too(driver: Driver) -> None:
    dialog = filled_in(driver)
    assert dialog.fields is not None
    field = dialog.fields.field("host")
    field.control.clear()  # type: ignore[attr-defined]
    scrolled_down(driver, dialog)
    driver.press("Test connection", dialog)
    driver.until(lambda: in_sight(dialog, field.control) and in_sight(dialog, field.error))


def test_a_job_without_a_name_shows_where_it_is_missing(driver: Driver) -> None:
    driver.make_source("shop", make_shop(driver.folder / "shop.sqlite"))
    driver.make_destination("nas", driver.folder / "nas")
    driver.go("jobs")
    driver.press("New job")
    dialog = driver.dialog(JobDialog)
    scrolled_down(driver, dialog)
    driver.press("Save", dialog)
    field = dialog.field("name")
    driver.until(lambda: in_sight(dialog, field.control) and in_sight(dialog, field.error))
    assert dialog.name.hasFocus()


def test_long_names_push_no_button_out_of_the_job_s_form(driver: Driver) -> None:
    name = "a-destination-whose-name-was-made-by-a-script-in-frankfurt-am-main"
    driver.make_source("shop", make_shop(driver.folder / "shop.sqlite"))
    driver.make_destination(name, driver.folder / "nas")
    driver.make_job("nightly " * 20 + "end", encrypted=False)
    driver.window.resize(900, 600)
    driver.open_job("nightly " * 20 + "end")
    driver.press("Edit")
    dialog = driver.dialog(JobDialog)
    driver.until(lambda: dialog.isVisible())
    assert_fits(dialog)
    assert dialog.width() <= driver.window.width()
    out = driver.button(f"Leave {name} out", dialog)
    assert out.visibleRegion().boundingRect().width() == out.width()


def test_escape_asks_before_it_throws_away_what_was_entered(driver: Driver) -> None:
    driver.go("destinations")
    driver.press("New destination")
    dialog = driver.dialog(EndpointDialog)
    driver.qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    driver.until(lambda: not driver.window.findChildren(EndpointDialog))
    driver.press("New destination")
    dialog = driver.dialog(EndpointDialog)
    driver.write(dialog.name, "lots of work")
    driver.qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    question = driver.dialog(ConfirmDialog)
    driver.qtbot.keyClick(question, Qt.Key.Key_Escape)
    driver.until(lambda: not driver.window.findChildren(ConfirmDialog))
    assert dialog.isVisible() and dialog.name.value() == "lots of work"
    driver.qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    driver.press("Close without saving", driver.dialog(ConfirmDialog))
    driver.until(lambda: not driver.window.findChildren(EndpointDialog))
