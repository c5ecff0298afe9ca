"""Testing a connection: it can be stopped, and a server that nobody knows is a question to a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPushButton

from desktop.forms import EndpointDialog
from desktop.forms.trust import TrustDialog
from desktop.views.confirm import ConfirmDialog
from desktop.views.destinations import DestinationsView
from desktop.views.execution import ExecutionView
from desktop.widgets import ValueLabel
from engine.contract.registry import Registry
from engine.events import Status
from engine.records import Endpoint
from engine.workspace import Workspace
from tests.conftest import make_shop
from tests.desktop.driver import Driver
from tests.desktop.guarded import KEY, OTHER_KEY, GuardedFolder, guarded_registry
from tests.parts.faulty import GATES, Gate


@pytest.fixture
def registry() -> Registry:
    return guarded_registry()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Holds the test of a destination until the test opens it."""
    GATES["check"] = Gate()
    yield GATES["check"]
    GATES.pop("check").opened.set()


def form(driver: Driver, **values: str) -> EndpointDialog:
    """The form of a new destination, filled in but not saved."""
    driver.go("destinations")
    driver.press("New destination")
    dialog = driver.dialog(EndpointDialog)
    driver.choose(dialog.adapter, "Guarded folder")
    driver.write(dialog.name, "vault")
    assert dialog.fields is not None
    driver.write(dialog.fields.field("path"), str(driver.folder / "vault"))
    driver.write(dialog.fields.field("host"), "backup.example.net")
    for name, value in values.items():
        dialog.fields.set_value(name, value)
    return dialog


def host_key(dialog: EndpointDialog) -> object:
    assert dialog.fields is not None
    return dialog.fields.values().get("host_key")


def test_a_server_that_nobody_knows_is_asked_about_and_trusted_by_a_person(driver: Driver) -> None:
    dialog = form(driver)
    driver.press("Test connection", dialog)
    question = driver.dialog(TrustDialog)
    assert question.facts.value("Server") == "backup.example.net, port 22"
    assert question.facts.value("Key type") == "ssh-ed25519"
    assert question.fingerprint.value == KEY.split()[1]
    assert "ssh-keygen -lf" in question.remedy.text()
    assert question.cancel_button.isDefault() and question.cancel_button.hasFocus()
    driver.press("Trust this key", question)
    driver.until(lambda: dialog.tester.chip.text() == "✓ Works")
    assert host_key(dialog) == KEY
    driver.press("Save", dialog)
    driver.until(lambda: len(driver.session.snapshot.destinations) == 1)
    assert driver.session.snapshot.destinations[0].config["host_key"] == KEY


def test_the_fingerprint_can_be_copied_as_it_is(driver: Driver) -> None:
    dialog = form(driver)
    driver.press("Test connection", dialog)
    question = driver.dialog(TrustDialog)
    shown = question.fingerprint
    assert isinstance(shown, ValueLabel)
    assert shown.font().styleHint() == shown.font().StyleHint.Monospace
    shown.setFocus()
    driver.qtbot.keyClick(shown, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == KEY.split()[1]


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Escape])
def test_enter_and_escape_trust_nobody(driver: Driver, key: Qt.Key) -> None:
    dialog = form(driver)
    driver.press("Test connection", dialog)
    question = driver.dialog(TrustDialog)
    driver.qtbot.keyClick(question.cancel_button, key)
    driver.until(lambda: not dialog.findChildren(TrustDialog))
    assert host_key(dialog) is None
    panel = dialog.tester.problem
    driver.until(lambda: panel.visibleRegion().boundingRect().height() == panel.height())
    assert dialog.tester.chip.text() == "! Not confirmed yet"
    assert "Nobody has confirmed yet" in dialog.tester.problem.message.value


def test_a_changed_key_is_refused_loudly_and_cannot_be_trusted(driver: Driver) -> None:
    dialog = form(driver, host_key=OTHER_KEY)
    driver.press("Test connection", dialog)
    driver.until(lambda: dialog.tester.chip.text() == "✕ Does not work")
    assert "REFUSED" in dialog.tester.problem.message.value
    assert not dialog.findChildren(TrustDialog)
    assert not [its for its in driver.window.findChildren(QPushButton) if "Trust" in its.text()]
    assert host_key(dialog) == OTHER_KEY


def test_a_key_that_changes_after_it_was_confirmed_does_not_pass(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = form(driver)
    driver.press("Test connection", dialog)
    question = driver.dialog(TrustDialog)
    monkeypatch.setattr(GuardedFolder, "shows", OTHER_KEY)
    driver.press("Trust this key", question)
    driver.until(lambda: dialog.tester.chip.text() == "✕ Does not work")
    assert "REFUSED" in dialog.tester.problem.message.value


def test_a_test_turns_and_can_be_stopped(driver: Driver, gate: Gate) -> None:
    dialog = form(driver, host_key=KEY, gate="check")
    driver.press("Test connection", dialog)
    driver.until(gate.reached.is_set)
    assert dialog.tester.spinner.isVisible() and dialog.tester.spinner.turns
    assert dialog.tester.chip.text() == "● Testing"
    assert dialog.tester.button.text() == "Stop"
    driver.click(dialog.tester.button)
    driver.until(lambda: not dialog.tester.runs)
    assert dialog.tester.spinner.isHidden() and not dialog.tester.spinner.turns
    assert dialog.tester.chip.isHidden()
    assert dialog.tester.button.text() == "Test connection"


def test_a_form_that_is_changed_forgets_the_test_under_way(driver: Driver, gate: Gate) -> None:
    dialog = form(driver, host_key=KEY, gate="check")
    driver.press("Test connection", dialog)
    driver.until(gate.reached.is_set)
    assert dialog.fields is not None
    driver.write(dialog.fields.field("host"), "other.example.net")
    assert not dialog.tester.runs
    driver.until(gate.opened.is_set)  # its cancel let it go
    driver.until(lambda: driver.session.background.busy == 0)
    assert dialog.tester.chip.isHidden(), "the answer was about the server before"


def test_the_page_of_a_destination_asks_too_and_keeps_the_answer(driver: Driver) -> None:
    dialog = form(driver)
    driver.press("Save", dialog)
    view = driver.go("destinations")
    assert isinstance(view, DestinationsView)
    driver.until(lambda: len(view.model.rows) == 1)
    driver.press("Test connection")
    driver.press("Trust this key", driver.dialog(TrustDialog))
    driver.until(lambda: view.tester.chip.text() == "✓ Works")
    driver.until(lambda: view.model.rows[0].endpoint.config.get("host_key") == KEY)
    driver.until(lambda: driver.session.background.busy == 0)
    assert view.tester.chip.text() == "✓ Works", "the result stays when the list is read again"
    assert view.facts.value("Host key") == KEY


def test_another_row_forgets_what_was_found_about_the_first(driver: Driver, tmp_path: Path) -> None:
    driver.make_destination("elsewhere", tmp_path / "elsewhere")
    dialog = form(driver, host_key=KEY)
    driver.press("Save", dialog)
    view = driver.go("destinations")
    assert isinstance(view, DestinationsView)
    driver.until(lambda: len(view.model.rows) == 2)
    view.choose(next(row.endpoint.id for row in view.model.rows if row.endpoint.name == "vault"))
    driver.press("Test connection")
    driver.until(lambda: view.tester.chip.text() == "✓ Works")
    view.choose(next(row.endpoint.id for row in view.model.rows if row.endpoint.name == "elsewhere"))
    driver.until(view.tester.chip.isHidden)
    assert view.tester.found.isHidden()


def test_a_run_that_nobody_trusted_the_server_for_is_told_on_its_page_and_can_be_mended_there(
    driver: Driver,
) -> None:
    driver.make_source("shop", make_shop(driver.folder / "shop.sqlite"))
    dialog = form(driver)
    driver.press("Save", dialog)
    driver.until(lambda: len(driver.session.snapshot.destinations) == 1)
    driver.make_job("nightly")
    page = driver.run_job("nightly")
    assert page.panel.state is Status.FAILED
    assert "Compare this fingerprint" in page.panel.destinations.row("vault").problem.value
    view = driver.go("destinations")
    assert isinstance(view, DestinationsView)
    driver.until(view.last.isVisible)
    assert view.last_chip.text() == "✕ Failed"
    assert "Nobody has confirmed yet" in view.last_text.value
    driver.press("Test it now")
    driver.press("Trust this key", driver.dialog(TrustDialog))
    driver.until(lambda: view.tester.chip.text() == "✓ Works")
    page = driver.run_job("nightly")
    assert page.panel.state is Status.SUCCESS
    driver.go("destinations")
    driver.until(lambda: view.last_chip.text() == "✓ Stored")
    assert not view.test_now.isVisible()
    driver.press("Show the last run")
    driver.view(ExecutionView)


def asked(driver: Driver) -> tuple[DestinationsView, Endpoint, TrustDialog]:
    """The question on the page of a destination that nobody has confirmed yet."""
    driver.press("Save", form(driver))
    view = driver.go("destinations")
    assert isinstance(view, DestinationsView)
    driver.until(lambda: len(view.model.rows) == 1)
    driver.press("Test connection")
    return view, view.model.rows[0].endpoint, driver.dialog(TrustDialog)


def changed(driver: Driver, endpoint: Endpoint, name: str, **values: str) -> None:
    """What another process makes of a destination meanwhile."""
    config = {**endpoint.config, **values}
    driver.read(
        lambda workspace: cast(Workspace, workspace).endpoints.save(
            "destination", name, endpoint.adapter, config, id=endpoint.id
        )
    )


def test_a_key_is_kept_with_the_destination_as_it_is_by_then(driver: Driver) -> None:
    view, endpoint, question = asked(driver)
    changed(driver, endpoint, "renamed", path=str(driver.folder / "moved"))
    driver.press("Trust this key", question)
    driver.until(lambda: view.model.rows[0].endpoint.config.get("host_key") == KEY)
    kept = view.model.rows[0].endpoint
    assert (kept.name, kept.config["path"]) == ("renamed", str(driver.folder / "moved"))


def test_a_key_is_not_kept_for_another_server_than_the_one_that_was_asked_about(driver: Driver) -> None:
    view, endpoint, question = asked(driver)
    changed(driver, endpoint, "vault", host="other.example.net")
    driver.press("Trust this key", question)
    driver.until(view.problem.isVisible)
    assert "names another server by now" in view.problem.message.value
    assert not view.model.rows[0].endpoint.config.get("host_key")


def test_a_key_for_a_destination_that_is_gone_is_said_to_be_for_nothing(driver: Driver) -> None:
    _, endpoint, question = asked(driver)
    driver.read(lambda workspace: cast(Workspace, workspace).endpoints.delete("destination", endpoint.id))
    driver.session.refresh()
    driver.until(lambda: not driver.session.snapshot.destinations)
    driver.press("Trust this key", question)
    driver.until(lambda: "vault is not there any more" in driver.window.toast.text())


def test_what_a_test_found_goes_when_a_later_run_fails(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.make_source("shop", make_shop(driver.folder / "shop.sqlite"))
    driver.press("Save", form(driver, host_key=KEY))
    driver.until(lambda: len(driver.session.snapshot.destinations) == 1)
    driver.make_job("nightly", encrypted=False)
    view = driver.go("destinations")
    assert isinstance(view, DestinationsView)
    driver.press("Test connection")
    driver.until(lambda: view.tester.chip.text() == "✓ Works")
    monkeypatch.setattr(GuardedFolder, "shows", OTHER_KEY)
    assert driver.run_job("nightly").panel.state is Status.FAILED
    driver.go("destinations")
    driver.until(lambda: view.last_chip.text() == "✕ Failed")
    driver.until(view.tester.chip.isHidden)
    assert view.tester.found.isHidden()


def test_a_long_name_leaves_its_verb_on_the_button(driver: Driver) -> None:
    name = "Monthly archive of the customer database at the offsite provider in Frankfurt"
    driver.make_destination(name, driver.folder / "nas")
    driver.go("destinations")
    driver.press("Delete")
    question = driver.dialog(ConfirmDialog)
    [yes] = [its for its in question.findChildren(QPushButton) if its.text().startswith("Delete ")]
    assert yes.fontMetrics().horizontalAdvance(yes.text()) < yes.width()
    assert question.width() < 600
    question.reject()


def test_closing_the_window_ends_a_test_of_a_server_that_says_nothing(driver: Driver, gate: Gate) -> None:
    dialog = form(driver, host_key=KEY, gate="check")
    driver.press("Test connection", dialog)
    driver.until(gate.reached.is_set)
    driver.window.close()
    driver.until(lambda: driver.closed)
    driver.until(lambda: driver.session.background.busy == 0)
