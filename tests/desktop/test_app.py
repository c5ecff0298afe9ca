"""The application as a whole: one window, raised by a second start; an installation that does not open."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.app import Application, main
from desktop.single import SingleInstance
from desktop.theme import theme
from desktop.worker import QtExecutor
from engine.clock import utc_now
from engine.errors import StoreError
from engine.events import Status
from engine.home import Home
from engine.records import Job, JobDestination
from engine.workspace import Workspace
from tests.conftest import make_shop
from tests.desktop.driver import Driver

PATIENCE = 60


def environment(home: Home) -> dict[str, str]:
    return {
        **os.environ,
        "STRONGROOM_HOME": str(home.root),
        "STRONGROOM_VAULT": "file",
        "STRONGROOM_VAULT_PASSPHRASE": "a passphrase of the tests",
        "QT_QPA_PLATFORM": "offscreen",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }


def test_a_second_start_raises_the_first_window_and_ends(
    home: Home, qapp: QApplication, qtbot: QtBot
) -> None:
    first = SingleInstance(home)
    assert first.take()
    application = Application(qapp, instance=first, mode="light", scheduled=False, with_tray=False)
    assert not application.window.isVisible()
    second = subprocess.Popen([sys.executable, "-m", "desktop"], env=environment(home))
    qtbot.waitUntil(application.window.isVisible, timeout=PATIENCE * 1000)
    assert second.wait(PATIENCE) == 0
    application.window.hide()
    first.release()
    application.window.deleteLater()
    application.deleteLater()


def test_the_command_opens_a_window_that_lives_until_it_is_ended(home: Home) -> None:
    started = subprocess.Popen([sys.executable, "-m", "desktop"], env=environment(home))
    second = subprocess.run(
        [sys.executable, "-c", ASK, str(home.root)], env=environment(home), timeout=PATIENCE, check=True
    )
    assert second.returncode == 0
    assert started.poll() is None
    started.terminate()
    started.wait(PATIENCE)


ASK = """
import sys, time
from pathlib import Path
from PySide6.QtCore import QCoreApplication
from desktop.single import SingleInstance
from engine.home import Home
app = QCoreApplication([])
its = SingleInstance(Home(Path(sys.argv[1])))
until = time.monotonic() + 50
while not its.ask_first_to_raise():
    if time.monotonic() > until:
        sys.exit("nobody answered")
    time.sleep(0.05)
"""


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="there is always a screen here")
@pytest.mark.parametrize("screen", [{}, {"DISPLAY": ":59171"}], ids=["none", "one that does not answer"])
@pytest.mark.parametrize("command", [["-m", "desktop"], ["-m", "engine.cli.main"]], ids=["window", "command"])
def test_without_a_screen_it_says_what_works_instead(
    home: Home, command: list[str], screen: dict[str, str]
) -> None:
    bare = {
        name: value
        for name, value in environment(home).items()
        if name not in ("QT_QPA_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY")
    }
    done = subprocess.run(
        [sys.executable, *command], env=bare | screen, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 2
    assert "There is no screen for the desktop" in done.stderr and "strongroom agent" in done.stderr
    assert "qt.qpa" not in done.stderr


def test_a_folder_that_cannot_be_made_is_said_without_a_traceback(
    qapp: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STRONGROOM_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    assert main([]) != 0
    said = capsys.readouterr().err
    assert "cannot be made" in said and "STRONGROOM_HOME" in said


def test_an_installation_that_does_not_open_says_so_and_can_be_tried_again(
    qapp: QApplication, qtbot: QtBot, home: Home
) -> None:
    tries: list[int] = []

    def opener(executor: QtExecutor) -> Workspace:
        tries.append(1)
        raise StoreError("The store is of a newer Strongroom.", remedy="Update Strongroom.")

    application = Application(qapp, opener, mode="light", scheduled=False, with_tray=False)
    application.start()
    window = application.window
    qtbot.waitUntil(window.opening.problem.isVisible)
    assert "newer Strongroom" in window.opening.problem.message.value
    assert window.opening.problem.remedy.value == "Update Strongroom."
    assert not window.sidebar.isEnabled()
    assert window.opening.problem._retry is not None
    window.opening.problem._retry.click()
    qtbot.waitUntil(lambda: len(tries) == 2)
    qtbot.waitUntil(lambda: application.session.background.busy == 0)
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible())
    window.deleteLater()
    application.deleteLater()


def test_a_schedule_that_was_missed_is_caught_up_once_when_the_window_opens(
    qapp: QApplication,
    qtbot: QtBot,
    opener: Callable[[QtExecutor], Workspace],
    tmp_path: Path,
) -> None:
    with opener(QtExecutor()) as workspace:
        source = workspace.endpoints.save(
            "source", "shop", "sqlite", {"path": str(make_shop(tmp_path / "shop.sqlite"))}
        )
        vault = workspace.endpoints.save("destination", "vault", "local", {"path": str(tmp_path / "vault")})
        places = (JobDestination(vault.id, vault.name),)
        job = workspace.jobs.save(
            Job("", "nightly", source.id, source.name, places, schedule="0 3 * * *", encryption="none")
        )
        since = utc_now() - timedelta(days=3)
        workspace.store.jobs.save(replace(job, scheduled_since=since))
    application = Application(qapp, opener, mode="light", with_tray=False)
    driver = Driver(qtbot, application, tmp_path)
    driver.start()
    driver.until(lambda: bool(driver.session.snapshot.executions))
    driver.until(lambda: driver.session.snapshot.executions[0].status is Status.SUCCESS)
    assert [its.trigger for its in driver.session.snapshot.executions] == ["catch-up"]
    assert "Missed 3 runs" in driver.session.snapshot.executions[0].trigger_reason
    driver.end()


def test_the_theme_that_was_chosen_is_put_on_again(
    qapp: QApplication, qtbot: QtBot, home: Home, opener: Callable[[QtExecutor], Workspace]
) -> None:
    with opener(QtExecutor()) as workspace:
        workspace.store.settings.set("desktop.theme", "dark")
    application = Application(qapp, opener, scheduled=False, with_tray=False)
    driver = Driver(qtbot, application, home.root)
    driver.start()
    qtbot.waitUntil(lambda: theme().palette.dark)
    theme().choose("light")
    driver.end()
