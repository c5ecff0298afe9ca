"""The forms of the storages that ask for most: complete, in sight, by keyboard, and nobody reads a secret."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QComboBox, QLineEdit, QPushButton, QWidget

from desktop.forms import EndpointDialog
from desktop.forms.inputs import PathInput, SecretInput, expanded
from engine.contract.config import describe
from tests.desktop.driver import Driver
from tests.desktop.forms.test_dialogs import assert_fits

ADAPTERS = ("s3", "sftp")


def form(driver: Driver, adapter: str) -> EndpointDialog:
    driver.go("destinations")
    driver.press("New destination")
    dialog = driver.dialog(EndpointDialog)
    driver.choose(dialog.adapter, dialog.adapter.itemText(dialog.adapter.findData(adapter)))
    assert dialog.fields is not None
    driver.until(dialog.fields.isVisible)
    return dialog


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_every_setting_is_there_and_says_what_it_is_for(driver: Driver, adapter: str) -> None:
    dialog = form(driver, adapter)
    assert dialog.fields is not None
    specs = describe(driver.session.registry.storage(adapter).Config)
    for spec in specs:
        field = dialog.fields.field(spec.name)
        assert field.control.accessibleName() == spec.title
        assert field.isVisible() != spec.advanced, f"{spec.name} is on the wrong side of the fold"
        if spec.kind == "secret":
            assert isinstance(field.input, SecretInput)
            assert field.input.edit.echoMode() is QLineEdit.EchoMode.Password
        elif spec.kind == "file":
            assert isinstance(field.input, PathInput)
            assert field.input.findChildren(QPushButton)[0].text() == "Choose…"
        elif spec.kind == "choice":
            assert isinstance(field.input, QComboBox)
    driver.press("More settings", dialog)
    assert all(dialog.fields.field(spec.name).isVisible() for spec in specs)
    assert_fits(dialog)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_tab_reaches_every_setting_in_its_order(driver: Driver, adapter: str) -> None:
    dialog = form(driver, adapter)
    assert dialog.fields is not None
    driver.press("More settings", dialog)
    dialog.adapter.setFocus()
    seen: list[QWidget | None] = []
    while QApplication.focusWidget() is not dialog.tester.button and len(seen) < 80:
        driver.qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        seen.append(QApplication.focusWidget())
    specs = describe(driver.session.registry.storage(adapter).Config)
    folded = [*(its for its in specs if not its.advanced), *(its for its in specs if its.advanced)]
    controls = [dialog.fields.field(spec.name).control for spec in folded]
    places = [seen.index(control) for control in controls]
    assert places == sorted(places)


def test_the_errors_of_fields_that_belong_together_stand_beside_them(driver: Driver) -> None:
    dialog = form(driver, "s3")
    fields = dialog.fields
    assert fields is not None
    driver.write(fields.field("bucket"), "backups")
    driver.write(fields.field("endpoint"), "s3.example.com")
    driver.write(fields.field("access_key_id"), "AKIA")
    driver.press("Test connection", dialog)
    assert fields.error_of("endpoint") == "✕ Write the address with its scheme, like https://s3.example.com."
    assert "go together" in fields.error_of("secret_access_key")
    assert fields.field("endpoint").control.hasFocus()
    assert not dialog.tester.runs


def test_an_error_below_the_fold_unfolds_it(driver: Driver) -> None:
    dialog = form(driver, "sftp")
    fields = dialog.fields
    assert fields is not None
    for name, text in (("host", "backup.example.com"), ("user", "backup"), ("path", "backups")):
        driver.write(fields.field(name), text)
    fields.set_value("host_key", "nonsense")
    driver.press("Test connection", dialog)
    assert fields.field("host_key").isVisible()
    assert fields.error_of("host_key") == "✕ This is not of the form ssh-ed25519 SHA256:…."


def test_a_picker_begins_where_such_files_lie() -> None:
    assert not expanded("~/.ssh/known_hosts").startswith("~")
    assert expanded("/etc/ssl/ca.pem") == "/etc/ssl/ca.pem"
