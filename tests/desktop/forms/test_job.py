"""The job editor: what is entered arrives, what is stored is shown, what is wrong is said in its place."""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSpinBox
from pytestqt.qtbot import QtBot

from desktop.forms import JobDialog
from desktop.forms.artifact import EncryptionInput
from desktop.views.job import JobView
from engine.events import Status
from engine.workspace import Workspace
from tests.conftest import make_shop
from tests.desktop.driver import Driver


def configure(workspace: object) -> object:
    its = cast(Workspace, workspace)
    its.keys.new("default")
    its.keys.new("escrow")
    return its.endpoints.save("notifier", "ops", "apprise", {"url": "json://localhost:9/hook"})


def prepared(driver: Driver) -> JobDialog:
    driver.make_source("shop", make_shop(driver.folder / "shop.sqlite"))
    driver.make_destination("nas", driver.folder / "nas")
    driver.make_destination("vault", driver.folder / "vault")
    driver.read(configure)
    driver.session.refresh()
    driver.until(lambda: len(driver.session.snapshot.notifiers) == 1)
    driver.until(lambda: len(driver.session.snapshot.keys) == 2)
    driver.go("jobs")
    driver.press("New job")
    return driver.dialog(JobDialog)


def number(driver: Driver, box: QSpinBox, value: str) -> None:
    box.setFocus()
    box.selectAll()
    driver.qtbot.keyClicks(box, value)


def add(dialog: JobDialog, name: str) -> None:
    next(its for its in dialog.destinations.add_menu.actions() if its.text() == name).trigger()


def test_all_of_a_job_is_entered_saved_and_shown_again(driver: Driver) -> None:
    dialog = prepared(driver)
    driver.write(dialog.name, "nightly")
    add(dialog, "vault")
    add(dialog, "nas")
    vault = dialog.destinations.retention_of("vault")
    driver.choose(vault.mode, "Keep the last")
    number(driver, vault.keep, "9")
    nas = dialog.destinations.retention_of("nas")
    driver.choose(nas.mode, "Keep a mix of ages")
    number(driver, nas.tier("hourly"), "24")
    driver.press("Move nas up", dialog)
    driver.choose(dialog.schedule.usual, "Every day at 03:00")
    dialog.schedule.zone.setEditText("Europe/Berlin")
    driver.choose(dialog.compression.algorithm, "gzip: opens everywhere")
    number(driver, dialog.compression.level, "9")
    driver.choose(dialog.encryption.key, "age, key escrow")
    ops = driver.session.snapshot.notifiers[0].id
    driver.qtbot.keyClick(dialog.notifiers.box(ops, Status.FAILED), Qt.Key.Key_Space)
    driver.qtbot.keyClick(dialog.notifiers.box(ops, Status.SUCCESS), Qt.Key.Key_Space)
    driver.press("More settings", dialog)
    number(driver, dialog.retries, "3")
    number(driver, dialog.limit, "90")
    number(driver, dialog.uploads, "1")
    number(driver, dialog.attempts, "7")
    number(driver, dialog.stall, "45")
    number(driver, dialog.dumps, "3")
    dialog.before.set_value("systemctl stop shop")
    dialog.after.set_value("systemctl start shop")
    driver.choose(dialog.hooks_on, "This machine")
    driver.until(lambda: "Next: " in dialog.schedule.said.text())
    driver.press("Save", dialog)
    driver.until(lambda: len(driver.session.snapshot.jobs) == 1)
    job = driver.session.snapshot.jobs[0]
    smart = {"mode": "smart", "hourly": 24, "daily": 7, "weekly": 4, "monthly": 12, "yearly": 2}
    assert [(its.name, its.priority, dict(its.retention)) for its in job.destinations] == [
        ("nas", 0, smart),
        ("vault", 1, {"mode": "simple", "keep": 9}),
    ]
    assert (job.schedule, job.timezone) == ("0 3 * * *", "Europe/Berlin")
    assert (job.compression, job.encryption) == ("gzip:9", "escrow")
    assert [(its.name, set(its.statuses)) for its in job.notifiers] == [
        ("ops", {Status.SUCCESS, Status.FAILED})
    ]
    assert (job.options.retries, job.options.time_limit, job.options.parallel_uploads) == (3, 5400, 1)
    assert (job.options.upload_attempts, job.options.stall_after) == (7, 45)
    assert (job.options.parallel_dumps, job.options.hooks_on, job.options.hook_time_limit) == (
        3,
        "local",
        300,
    )
    assert (job.options.before, job.options.after) == ("systemctl stop shop", "systemctl start shop")
    driver.open_job("nightly")
    driver.press("Edit")
    again = driver.dialog(JobDialog)
    assert again.job() == job, "what was saved is shown, all of it"
    driver.press("Cancel", again)
    page = driver.view(JobView)
    assert page.facts.value("Tell") == "ops when success, failed"
    assert page.facts.value("Keep").startswith("nas: 24 hourly, 7 daily")


def test_a_wrong_cron_line_is_said_while_it_is_typed_and_is_not_saved(driver: Driver) -> None:
    dialog = prepared(driver)
    driver.write(dialog.name, "nightly")
    dialog.destinations.add(driver.session.snapshot.destinations[0].id)
    driver.choose(dialog.schedule.usual, "Every hour")
    driver.write(dialog.schedule.line, "61 * * * *")
    assert dialog.schedule.usual.currentText() == "Own cron line"
    driver.until(lambda: dialog.schedule.said.text().startswith("✕"))
    driver.press("Save", dialog)
    driver.until(dialog.problem.isVisible)
    assert dialog.field("schedule").error.text()
    assert not driver.session.snapshot.jobs


def test_what_a_job_needs_is_said_beside_each_field(driver: Driver) -> None:
    driver.go("jobs")
    driver.press("New job")
    dialog = driver.dialog(JobDialog)
    driver.press("Save", dialog)
    assert "fill this in" in dialog.field("name").error.text()
    assert "Make a source first" in dialog.field("source").error.text()
    assert "Make a destination first" in dialog.field("destinations").error.text()
    assert dialog.isVisible()


def test_a_change_of_a_job_keeps_what_was_not_touched(driver: Driver) -> None:
    dialog = prepared(driver)
    driver.write(dialog.name, "nightly")
    dialog.destinations.add(driver.session.snapshot.destinations[0].id)
    driver.press("Save", dialog)
    driver.until(lambda: len(driver.session.snapshot.jobs) == 1)
    before = driver.session.snapshot.jobs[0]
    driver.open_job("nightly")
    driver.press("Edit")
    again = driver.dialog(JobDialog)
    driver.write(again.name, "weekly")
    driver.press("Save", again)
    driver.until(lambda: driver.session.snapshot.jobs[0].name == "weekly")
    after = driver.session.snapshot.jobs[0]
    assert after.id == before.id
    assert (after.options, after.encryption, after.destinations) == (
        before.options,
        before.encryption,
        before.destinations,
    )


def first_job(driver: Driver) -> JobDialog:
    driver.make_source("shop", make_shop(driver.folder / "shop.sqlite"))
    driver.make_destination("nas", driver.folder / "nas")
    driver.go("jobs")
    driver.press("New job")
    return driver.dialog(JobDialog)


def test_the_first_job_is_encrypted_and_gets_its_key_made(driver: Driver) -> None:
    dialog = first_job(driver)
    assert dialog.encryption.value() == "default"
    assert "Export it" in dialog.encryption.about.text()
    driver.write(dialog.name, "nightly")
    driver.press("Save", dialog)
    driver.until(lambda: len(driver.session.snapshot.jobs) == 1)
    assert driver.session.snapshot.jobs[0].encryption == "default"
    assert [key.name for key in driver.session.snapshot.keys] == ["default"]
    driver.run_job("nightly")
    assert [its.name for its in (driver.folder / "nas").rglob("*.age")]


def test_a_key_that_was_made_meanwhile_is_not_made_twice(driver: Driver) -> None:
    dialog = first_job(driver)
    driver.read(lambda workspace: cast(Workspace, workspace).keys.new("default"))
    driver.write(dialog.name, "nightly")
    driver.press("Save", dialog)
    driver.until(lambda: len(driver.session.snapshot.jobs) == 1)
    assert len(driver.session.snapshot.keys) == 1


def test_leaving_a_backup_readable_is_a_choice_that_says_so(driver: Driver) -> None:
    dialog = first_job(driver)
    driver.choose(dialog.encryption.key, "Not encrypted")
    assert dialog.encryption.about.text() == "! Whoever gets hold of a backup can read it."
    driver.write(dialog.name, "nightly")
    driver.press("Save", dialog)
    driver.until(lambda: len(driver.session.snapshot.jobs) == 1)
    assert driver.session.snapshot.jobs[0].encryption == "none"
    assert not driver.session.snapshot.keys


def test_a_key_that_is_gone_is_shown_and_not_quietly_replaced(qtbot: QtBot) -> None:
    its = EncryptionInput((), "escrow")
    qtbot.addWidget(its)
    assert its.value() == "escrow" and not its.makes_key
    assert "no such key" in its.key.currentText()
