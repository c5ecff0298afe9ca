"""The job editor: what is entered arrives, what is stored is shown, what is wrong is said in its place."""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSpinBox

from desktop.forms import JobDialog
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
