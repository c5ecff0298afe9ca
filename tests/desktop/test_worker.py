"""Work off the UI thread: results come back to it, in order of asking, and only to who still wants them."""

from __future__ import annotations

import logging
import threading
import time

import pytest
from PySide6.QtCore import QObject, QThread, QTimer
from pytestqt.qtbot import QtBot

from desktop.worker import Background, Problem, QtExecutor
from engine.errors import Cancelled, ConfigError, ConnectionFailed


@pytest.fixture
def background(qtbot: QtBot) -> Background:
    return Background()


def test_a_result_comes_back_to_the_ui_thread(background: Background, qtbot: QtBot) -> None:
    found: list[tuple[int, int, bool]] = []
    here = threading.get_ident()
    owner = QObject()
    background.run(
        owner,
        threading.get_ident,
        lambda there: found.append((there, threading.get_ident(), owner.thread().isCurrentThread())),
    )
    qtbot.waitUntil(lambda: bool(found))
    there, back, is_ui = found[0]
    assert there != here
    assert back == here
    assert is_ui


def test_a_problem_comes_back_with_what_to_do(background: Background, qtbot: QtBot) -> None:
    problems: list[Problem] = []
    owner = QObject()

    def fail() -> None:
        raise ConnectionFailed("db1 does not answer.", remedy="Is it on?")

    background.run(owner, fail, lambda _: None, problems.append)
    qtbot.waitUntil(lambda: bool(problems))
    assert problems == [Problem("db1 does not answer.", "Is it on?", "ConnectionFailed")]


def test_a_problem_that_nobody_handles_is_told_to_all(background: Background, qtbot: QtBot) -> None:
    owner = QObject()

    def fail() -> None:
        raise ConfigError("wrong", field="port")

    with qtbot.waitSignal(background.problem) as told:
        background.run(owner, fail, lambda _: None)
    assert told.args is not None and told.args[0].field == "port"


def test_an_answer_for_who_is_gone_is_dropped(background: Background, qtbot: QtBot) -> None:
    found: list[object] = []
    gate = threading.Event()
    owner = QObject()
    background.run(owner, lambda: gate.wait(10), found.append)
    with qtbot.waitSignal(owner.destroyed):
        owner.deleteLater()
    del owner
    with qtbot.waitSignal(background.busy_changed):
        gate.set()
    assert background.busy == 0
    assert found == []


def test_an_answer_that_a_later_question_overtook_is_dropped(background: Background, qtbot: QtBot) -> None:
    found: list[str] = []
    gate = threading.Event()
    owner = QObject()

    def slow() -> str:
        gate.wait(10)
        return "old"

    background.run(owner, slow, found.append, key="list")
    background.run(owner, lambda: "new", found.append, key="list")
    qtbot.waitUntil(lambda: found == ["new"])
    gate.set()
    qtbot.waitUntil(lambda: background.busy == 0)
    assert found == ["new"]


def test_it_cannot_be_used_from_another_thread(background: Background) -> None:
    errors: list[str] = []

    def elsewhere() -> None:
        try:
            background.run(background, lambda: None, lambda _: None)
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert errors == ["Background.run belongs to the UI thread"]


def test_the_event_loop_spins_while_work_waits(background: Background, qtbot: QtBot) -> None:
    ticks: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start(10)
    gate = threading.Event()
    done: list[object] = []
    background.run(timer, lambda: gate.wait(10), done.append)
    qtbot.waitUntil(lambda: len(ticks) > 20)
    assert done == []
    gate.set()
    qtbot.waitUntil(lambda: bool(done))
    timer.stop()


def test_an_unexpected_error_is_told_without_pretending_to_know_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.CRITICAL, "strongroom.desktop"):
        problem = Problem.of(ZeroDivisionError("division by zero"))
    assert problem.kind == "ZeroDivisionError"
    assert "division by zero" in problem.details
    assert problem.remedy


def test_a_cancel_is_no_failure() -> None:
    assert Problem.of(Cancelled("by hand")).kind == "Cancelled"


def test_executions_run_beside_each_other_off_the_ui_thread(qtbot: QtBot) -> None:
    executor = QtExecutor()
    meeting = threading.Barrier(9, timeout=10)
    threads: list[QThread] = []

    def work() -> None:
        threads.append(QThread.currentThread())
        meeting.wait()

    for _ in range(8):
        executor.submit(work)
    meeting.wait()  # ends only when all eight are there at once
    assert executor.wait(10)
    assert len(threads) == 8


def test_an_execution_that_raises_leaves_the_pool_usable(
    qtbot: QtBot, caplog: pytest.LogCaptureFixture
) -> None:
    executor = QtExecutor()
    done = threading.Event()

    def fail() -> None:
        raise ValueError("nobody handled this")

    with caplog.at_level(logging.ERROR, "strongroom.desktop"):
        executor.submit(fail)
        assert executor.wait(10)
    executor.submit(done.set)
    assert done.wait(10)
    assert "nobody handled" in caplog.text
    assert executor.wait(10)
