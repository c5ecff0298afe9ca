"""Settings count at once, and for every process."""

from __future__ import annotations

import stat
from typing import cast

from desktop.theme import theme
from desktop.views.settings import KeyDialog, SettingsView
from engine.scheduler import VERIFY_DEFAULT, VERIFY_SETTING
from engine.workspace import Workspace
from tests.desktop.driver import Driver


def setting(driver: Driver, key: str) -> object:
    return driver.read(lambda workspace: cast(Workspace, workspace).store.settings.get(key))


def opened(driver: Driver) -> SettingsView:
    view = driver.go("settings")
    assert isinstance(view, SettingsView)
    driver.until(lambda: driver.session.background.busy == 0)
    return view


def test_how_many_jobs_run_at_once_is_kept(driver: Driver) -> None:
    view = opened(driver)
    assert view.jobs.value() == 1
    view.jobs.setFocus()
    view.jobs.selectAll()
    driver.qtbot.keyClicks(view.jobs, "3")
    driver.until(lambda: setting(driver, "maxConcurrentJobs") == 3)


def test_only_looking_changes_nothing(driver: Driver) -> None:
    opened(driver)
    assert setting(driver, "maxConcurrentJobs") is None
    assert setting(driver, VERIFY_SETTING) is None


def test_the_weekly_verification_is_on_and_can_be_switched_off(driver: Driver) -> None:
    view = opened(driver)
    assert view.verify.isChecked()
    assert view.verify_when.value()[0] == VERIFY_DEFAULT
    view.verify.click()
    driver.until(lambda: setting(driver, VERIFY_SETTING) == "")
    assert not view.when_field.isEnabled()
    view.verify.click()
    driver.until(lambda: setting(driver, VERIFY_SETTING) == VERIFY_DEFAULT)


def test_the_theme_changes_at_once_and_is_kept(driver: Driver) -> None:
    view = opened(driver)
    driver.choose(view.look, "Dark")
    try:
        assert theme().palette.dark
        driver.until(lambda: setting(driver, "desktop.theme") == "dark")
    finally:
        theme().choose("light")


def test_a_key_is_made_and_exported_for_its_owner_alone(driver: Driver) -> None:
    view = opened(driver)
    driver.press("New key…")
    dialog = driver.dialog(KeyDialog)
    assert dialog.name.text() == "default"
    driver.press("Make the key", dialog)
    driver.until(lambda: len(driver.session.snapshot.keys) == 1)
    key = driver.session.snapshot.keys[0]
    path = driver.folder / "default.key.txt"
    view.export_to(key, str(path))
    driver.until(lambda: driver.session.snapshot.keys[0].exported_at is not None)
    assert "AGE-SECRET-KEY-" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    view.export_to(key, str(path))
    driver.until(view.problem.isVisible)
    assert "there already" in view.problem.message.value
