"""The tray: its menu, and a real one under a real X server; honest where there is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from PySide6.QtGui import QAction
from pytestqt.qtbot import QtBot

from desktop.tray import Tray
from engine.home import Home
from engine.workspace import Workspace
from tests.conftest import make_shop
from tests.desktop.driver import Driver
from tests.desktop.test_running import configure
from tests.parts.programs import required_program


def actions(tray: Tray) -> dict[str, QAction]:
    return {its.text(): its for its in tray.run_menu.actions()}


def test_the_menu_runs_a_job_now(driver: Driver, qtbot: QtBot) -> None:
    driver.make_source("shop", make_shop(driver.folder / "shop.sqlite"))
    driver.make_destination("vault", driver.folder / "vault")
    driver.make_job("nightly & more")
    tray = driver.application.tray
    assert list(actions(tray)) == ["nightly && more"]
    actions(tray)["nightly && more"].trigger()
    driver.until(lambda: bool(driver.session.snapshot.executions))
    driver.until(lambda: driver.session.snapshot.executions[0].status.ended)
    driver.until(lambda: tray.status.text() == "Nothing is running")


def test_it_says_that_a_run_failed_and_what_to_do_to_whoever_does_not_see_the_window(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop(driver.folder / "shop.sqlite")
    driver.make_source("shop", shop)
    driver.make_destination("vault", driver.folder / "vault")
    driver.make_job("nightly")
    tray, told = driver.application.tray, list[tuple[str, str]]()
    monkeypatch.setattr(tray, "tell", lambda title, text: told.append((title, text)))
    shop.unlink()
    looks = [True]
    monkeypatch.setattr(driver.window, "isActiveWindow", lambda: looks[0])
    actions(tray)["nightly"].trigger()
    driver.until(lambda: any(its.status.ended for its in driver.session.snapshot.executions))
    assert told == [], "the window says so itself"
    looks[0] = False
    actions(tray)["nightly"].trigger()
    driver.until(lambda: bool(told))
    ((title, text),) = told
    assert title == "nightly: the backup failed"
    assert "shop.sqlite" in text
    driver.until(lambda: [its.status.ended for its in driver.session.snapshot.executions] == [True, True])
    last = driver.session.snapshot.executions[0]
    assert last.remedy and last.remedy in text


def test_the_menu_opens_the_window_and_quits(driver: Driver) -> None:
    tray = driver.application.tray
    named = {its.text(): its for its in tray.menu.actions()}
    driver.window.hide()
    named["Open Strongroom"].trigger()
    assert driver.window.isVisible()
    named["Quit"].trigger()
    driver.until(lambda: driver.closed)


def test_without_a_tray_nothing_pretends_that_there_is_one(driver: Driver) -> None:
    assert not driver.application.has_tray()
    driver.window.close()
    driver.until(lambda: driver.closed)


REAL = """
import json, sys
from pathlib import Path
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from desktop.app import Application
from desktop.tray import Tray
from engine.home import Home
from engine.secrets import VaultSecrets
from engine.workspace import Workspace
from tests.parts.faulty import faulty_registry

home = Home(Path(sys.argv[1]))
app = QApplication([])
said = {}
application = Application(
    app,
    lambda executor: Workspace.open(
        home, executor=executor, registry=faulty_registry,
        secrets=VaultSecrets(home.vault, "a passphrase of the tests"),
    ),
    scheduled=False,
)

def wait_for_tray():
    if Tray.is_available():
        application.start()
        timer.stop()

def opened():
    # The tray swallows the icon a moment after it was shown: its size tells.
    if application.tray.icon.geometry().width() > 0 and application.session.snapshot.jobs:
        look.stop()
        said["in the tray"] = application.has_tray()
        application.window.close()
        said["window hidden"] = not application.window.isVisible()
        application.tray.run_menu.actions()[0].trigger()

def finished(*_):
    said["ran while hidden"] = not application.window.isVisible()
    application.tray.open_asked.emit()
    said["window back"] = application.window.isVisible()
    QTimer.singleShot(0, application.closing.quit)

application.session.live.finished.connect(finished)
timer, look = QTimer(interval=50), QTimer(interval=50)
timer.timeout.connect(wait_for_tray)
look.timeout.connect(opened)
timer.start(); look.start()
app.exec()
application.session.background.wait(30)
print(json.dumps(said))
"""


@pytest.fixture
def display(tmp_path: Path) -> Iterator[str]:
    """A real X server with a real tray in it."""
    server, tray = (
        required_program("Xvfb", package="xvfb"),
        required_program("trayer", package="trayer"),
    )
    reading, writing = os.pipe()
    with subprocess.Popen(
        [server, "-displayfd", str(writing), "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
        pass_fds=[writing],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as screen:
        os.close(writing)
        with os.fdopen(reading) as numbers:
            name = f":{numbers.readline().strip()}"
        with subprocess.Popen(
            [tray, "--edge", "bottom", "--align", "right", "--SetDockType", "true"],
            env={**os.environ, "DISPLAY": name},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as dock:
            yield name
            dock.terminate()
        screen.terminate()


def test_a_real_tray_keeps_strongroom_when_its_window_is_closed(
    display: str, home: Home, open_workspace: Callable[[], Workspace], tmp_path: Path
) -> None:
    with open_workspace() as workspace:
        job = configure(workspace, tmp_path)
        source = workspace.endpoints.get("source", job.source_id)
        workspace.endpoints.save(
            "source", source.name, source.adapter, {"path": str(tmp_path / "shop.sqlite")}, id=source.id
        )
    done = subprocess.run(
        [sys.executable, "-c", REAL, str(home.root)],
        env={
            **{name: value for name, value in os.environ.items() if name != "QT_QPA_PLATFORM"},
            "DISPLAY": display,
            "QT_QPA_PLATFORM": "xcb",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    said = cast("dict[str, bool]", json.loads(done.stdout.splitlines()[-1]))
    assert said == {
        "in the tray": True,
        "window hidden": True,
        "ran while hidden": True,
        "window back": True,
    }
