"""The dialogs on a fresh installation, by keyboard, and with names that are longer than anybody likes."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QScrollArea, QWidget

from desktop.forms import EndpointDialog, JobDialog
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
    for _ in range(4):
        driver.qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        seen.append(QApplication.focusWidget())
    assert seen[0] is path
    assert seen.index(dialog.tester.button) == 3  # the path, its button, the fold, the test


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
