"""One window an installation: the second start raises the first, also over a crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from desktop.single import LONGEST_PATH, SingleInstance
from engine.home import Home

SECOND = """
import sys
from PySide6.QtCore import QCoreApplication
from desktop.single import SingleInstance
from engine.home import Home
from pathlib import Path
app = QCoreApplication([])
its = SingleInstance(Home(Path(sys.argv[1])))
if its.take():
    print("first", flush=True)
    sys.stdin.read()
else:
    print("raised" if its.ask_first_to_raise() else "no answer", flush=True)
"""


@pytest.fixture
def first(home: Home, qtbot: QtBot) -> Iterator[SingleInstance]:
    its = SingleInstance(home)
    assert its.take()
    yield its
    its.release()


def start(home: Home) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SECOND, str(home.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def test_a_second_process_raises_the_first(home: Home, first: SingleInstance, qtbot: QtBot) -> None:
    with qtbot.waitSignal(first.raise_asked, timeout=20_000):
        second = start(home)
    said, _ = second.communicate(timeout=20)
    assert said == "raised\n"


def test_a_crash_leaves_no_lock(home: Home, qtbot: QtBot) -> None:
    crashed = start(home)
    assert crashed.stdout is not None and crashed.stdout.readline() == "first\n"
    crashed.send_signal(signal.SIGKILL)
    crashed.communicate(timeout=20)
    its = SingleInstance(home)
    assert its.take()
    its.release()


def test_another_installation_has_a_window_of_its_own(first: SingleInstance, tmp_path: Path) -> None:
    other = SingleInstance(Home(tmp_path / "other").make())
    assert other.take()
    other.release()


def test_a_folder_with_a_long_path_works_too(tmp_path: Path, qtbot: QtBot) -> None:
    home = Home(tmp_path / ("long" * 30)).make()
    assert len(str(home.root)) > LONGEST_PATH
    its = SingleInstance(home)
    assert its.take()
    with qtbot.waitSignal(its.raise_asked, timeout=20_000):
        second = start(home)
    assert second.communicate(timeout=20)[0] == "raised\n"
    its.release()


def test_an_old_first_that_let_go_is_replaced(home: Home, qtbot: QtBot) -> None:
    one, two = SingleInstance(home), SingleInstance(home)
    assert one.take()
    assert not two.take()
    one.release()
    assert two.take()
    two.release()
