"""A run that is under way: seen live, cancelled, waited for, and seen when another process runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from desktop.views.confirm import ConfirmDialog
from desktop.views.execution import ExecutionView
from desktop.views.history import HistoryView
from desktop.views.job import JobView
from desktop.views.jobs import JobsView
from desktop.widgets import RecordTable
from engine.events import Stage, Status
from engine.home import Home
from engine.records import Execution, Job, JobDestination
from engine.workspace import Workspace
from tests.conftest import make_shop
from tests.desktop.driver import Driver
from tests.parts.faulty import GATES, Gate


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Holds the dump of the job `slow` until the test opens it."""
    GATES["dump"] = Gate()
    yield GATES["dump"]
    GATES.pop("dump").opened.set()


def configure(workspace: Workspace, folder: Path) -> Job:
    """A job whose dump waits at the gate, with two destinations."""
    shop = make_shop(folder / "shop.sqlite")
    save = workspace.endpoints.save
    source = save("source", "shop", "faulty-source", {"path": str(shop), "gate": "dump"})
    places = [save("destination", name, "local", {"path": str(folder / name)}) for name in ("nas", "vault")]
    return workspace.jobs.save(
        Job(
            "",
            "slow",
            source.id,
            source.name,
            tuple(JobDestination(its.id, its.name, at) for at, its in enumerate(places)),
            encryption="none",
        )
    )


def slow_job(driver: Driver) -> None:
    driver.read(lambda workspace: configure(cast(Workspace, workspace), driver.folder))
    driver.session.refresh()
    driver.until(lambda: len(driver.session.snapshot.jobs) == 1)


def held(driver: Driver, gate: Gate) -> JobView:
    """The page of the job, its dump held half way."""
    slow_job(driver)
    page = driver.open_job("slow")
    driver.press("Run now")
    driver.until(gate.reached.is_set)
    driver.until(lambda: page.panel.strip.state_of(Stage.DUMP) == "active")
    return page


def stored(open_workspace: Callable[[], Workspace]) -> list[Execution]:
    with open_workspace() as workspace:
        return workspace.store.executions.list()


def test_a_run_is_seen_while_it_runs(driver: Driver, gate: Gate) -> None:
    page = held(driver, gate)
    assert page.chip.text().startswith("● Running")
    assert page.panel.strip.state_of(Stage.INITIALIZE) == "done"
    assert page.panel.strip.state_of(Stage.COMPRESS) == "active"
    assert page.panel.strip.state_of(Stage.ENCRYPT) == "skipped"
    assert page.panel.strip.state_of(Stage.COMPLETION) == "waiting"
    assert page.panel.destinations.names == ["nas", "vault"]
    assert page.panel.log.entries
    assert page.cancel_button.isVisible() and not page.run_button.isVisible()
    jobs = driver.go("jobs")
    assert isinstance(jobs, JobsView)
    driver.until(lambda: jobs.model.rows[0].state.word.startswith("Running"))
    gate.opened.set()
    driver.until(lambda: jobs.model.rows[0].state.word == "Success")


def test_cancel_ends_the_run_as_cancelled_within_five_seconds(driver: Driver, gate: Gate) -> None:
    page = held(driver, gate)
    driver.press("Cancel this run")
    driver.qtbot.waitUntil(lambda: page.panel.state is Status.CANCELLED, timeout=5_000)
    assert page.chip.text() == "– Cancelled"
    driver.until(page.run_button.isVisible)
    for place in ("nas", "vault"):
        assert [its for its in (driver.folder / place).rglob("*") if its.is_file()] == []


def test_the_keyboard_stays_where_it_was_when_a_run_starts_and_ends(driver: Driver, gate: Gate) -> None:
    slow_job(driver)
    page = driver.open_job("slow")
    driver.until(page.run_button.hasFocus)
    seen: list[QWidget] = []

    def look(old: QWidget, new: QWidget) -> None:
        seen.append(new)

    driver.application._app.focusChanged.connect(look)
    driver.key(Qt.Key.Key_Space)
    driver.until(page.cancel_button.hasFocus)
    driver.until(gate.reached.is_set)
    driver.key(Qt.Key.Key_Space)
    driver.until(page.run_button.hasFocus)
    assert page.panel.state is Status.CANCELLED
    driver.application._app.focusChanged.disconnect(look)
    assert not {page.panel.level, page.panel.log} & set(seen), "it wandered off to the log"


def test_a_run_that_could_not_be_queued_can_be_asked_for_again(driver: Driver, gate: Gate) -> None:
    slow_job(driver)
    page = driver.open_job("slow")
    job_id = driver.session.snapshot.jobs[0].id
    driver.read(lambda workspace: cast(Workspace, workspace).jobs.delete(job_id))
    driver.key(Qt.Key.Key_Space)
    driver.until(lambda: "There is no job" in driver.window.toast.text())
    driver.until(page.run_button.isEnabled)


def test_a_list_that_was_read_before_the_run_began_takes_nothing_back(driver: Driver, gate: Gate) -> None:
    slow_job(driver)
    before = driver.session.snapshot
    page = driver.open_job("slow")
    driver.press("Run now")
    driver.until(gate.reached.is_set)
    running = page.follower.execution_id
    page.show_snapshot(before)
    assert page.follower.execution_id == running
    assert page.cancel_button.isVisible() and not page.run_button.isVisible()


def test_a_second_run_of_the_job_cannot_be_asked_for(driver: Driver, gate: Gate) -> None:
    held(driver, gate)
    jobs = driver.go("jobs")
    assert isinstance(jobs, JobsView)
    driver.until(lambda: not jobs.run_button.isEnabled())
    gate.opened.set()
    driver.until(jobs.run_button.isEnabled)


def test_closing_says_what_runs_and_can_wait_for_it(
    driver: Driver, gate: Gate, open_workspace: Callable[[], Workspace]
) -> None:
    held(driver, gate)
    driver.window.close()
    question = driver.dialog(ConfirmDialog)
    assert question.heading.text() == "slow is running"
    driver.press("Wait, then quit", question)
    driver.until(lambda: "Waiting for" in driver.window.toast.text())
    assert driver.window.isVisible() and not driver.closed
    gate.opened.set()
    driver.until(lambda: driver.closed)
    assert not driver.window.isVisible()
    assert [its.status for its in stored(open_workspace)] == [Status.SUCCESS]


def test_closing_can_cancel_what_runs(
    driver: Driver, gate: Gate, open_workspace: Callable[[], Workspace]
) -> None:
    held(driver, gate)
    driver.window.close()
    driver.press("Cancel and quit", driver.dialog(ConfirmDialog))
    driver.until(lambda: driver.closed)
    assert [its.status for its in stored(open_workspace)] == [Status.CANCELLED]


def test_who_waits_may_still_cancel(
    driver: Driver, gate: Gate, open_workspace: Callable[[], Workspace]
) -> None:
    held(driver, gate)
    driver.window.close()
    driver.press("Wait, then quit", driver.dialog(ConfirmDialog))
    driver.window.close()
    question = driver.dialog(ConfirmDialog)
    assert "Still waiting" in question.heading.text()
    driver.press("Cancel it now", question)
    driver.until(lambda: driver.closed)
    assert [its.status for its in stored(open_workspace)] == [Status.CANCELLED]


def test_closing_twice_asks_once(driver: Driver, gate: Gate) -> None:
    page = held(driver, gate)
    driver.window.close()
    first = driver.dialog(ConfirmDialog)
    driver.window.close()
    driver.application.closing.quit()
    assert [its for its in driver.window.findChildren(ConfirmDialog) if its.isVisible()] == [first]
    driver.press("Keep the window open", first)
    driver.window.close()
    driver.press("Keep the window open", driver.dialog(ConfirmDialog))
    gate.opened.set()
    driver.until(lambda: page.panel.state is Status.SUCCESS)


def test_closing_can_be_thought_better_of(driver: Driver, gate: Gate) -> None:
    page = held(driver, gate)
    driver.window.close()
    driver.press("Keep the window open", driver.dialog(ConfirmDialog))
    gate.opened.set()
    driver.until(lambda: page.panel.state is Status.SUCCESS)
    assert driver.window.isVisible()


def test_without_a_tray_closing_says_that_schedules_stand_still(driver: Driver) -> None:
    def schedule(workspace: object) -> object:
        its = cast(Workspace, workspace)
        job = configure(its, driver.folder)
        from dataclasses import replace

        return its.jobs.save(replace(job, schedule="0 3 * * *"))

    driver.read(schedule)
    driver.session.refresh()
    driver.until(lambda: bool(driver.session.snapshot.next_runs))
    driver.window.close()
    question = driver.dialog(ConfirmDialog)
    assert "no tray" in question.text.text() and "slow" in question.text.text()
    driver.press("Quit", question)
    driver.until(lambda: driver.closed)


def test_closing_with_nothing_to_lose_just_closes(driver: Driver) -> None:
    driver.window.close()
    driver.until(lambda: driver.closed)
    assert not driver.window.findChildren(QMessageBox)


OTHER = """
import sys, threading
from pathlib import Path
from engine.home import Home
from engine.secrets import VaultSecrets
from engine.workspace import Workspace
from tests.parts.faulty import GATES, Gate, faulty_registry
gate = GATES["dump"] = Gate()
home = Home(Path(sys.argv[1]))
registry = faulty_registry()
vault = VaultSecrets(home.vault, "a passphrase of the tests")
with Workspace.open(home, secrets=vault, registry=lambda: registry) as workspace:
    its = workspace.run_job("slow")
    gate.reached.wait(60)
    print(its, flush=True)
    threading.Thread(target=lambda: (sys.stdin.readline(), gate.opened.set()), daemon=True).start()
    print(workspace.wait(its, 60).status, flush=True)
"""


@pytest.fixture
def other(home: Home) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts another process that runs the job `slow`, and holds its dump until it is written a line."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", OTHER, str(home.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_run_of_another_process_shows_live_and_can_be_cancelled(
    driver: Driver, other: Callable[[], subprocess.Popen[str]]
) -> None:
    slow_job(driver)
    process = other()
    jobs = driver.go("jobs")
    assert isinstance(jobs, JobsView)
    driver.until(lambda: jobs.model.rows[0].state.word.startswith("Running"))
    page = driver.open_job("slow")
    driver.until(lambda: page.panel.strip.state_of(Stage.DUMP) == "active")
    driver.until(lambda: bool(page.panel.log.entries))
    assert driver.session.live.get(page.follower.execution_id) is None, "it should come from the store"
    rows = page.panel.destinations
    assert rows.names == ["nas", "vault"]
    assert rows.row("vault").state.text() == "● Running in another process"
    driver.press("Cancel this run")
    driver.until(lambda: page.panel.state is Status.CANCELLED)
    said, _ = process.communicate(timeout=30)
    assert said.splitlines()[-1] == "Cancelled"


def test_the_end_of_another_processs_run_shows_with_its_whole_log(
    driver: Driver, other: Callable[[], subprocess.Popen[str]]
) -> None:
    slow_job(driver)
    process = other()
    page = driver.open_job("slow")
    driver.until(lambda: page.panel.strip.state_of(Stage.DUMP) == "active")
    assert process.stdin is not None
    process.stdin.write("go on\n")
    process.stdin.flush()
    driver.until(lambda: page.panel.state is Status.SUCCESS)
    assert page.panel.destinations.row("vault").state.text() == "✓ Stored"
    driver.until(page.run_button.isVisible)
    its = page.follower.execution_id
    lines = cast(
        "list[object]",
        driver.read(lambda workspace: cast(Workspace, workspace).store.logs.list(its)),
    )
    driver.until(lambda: len(page.panel.log.entries) == len(lines))


def test_a_window_that_is_opened_later_shows_what_runs(
    driver: Driver, other: Callable[[], subprocess.Popen[str]]
) -> None:
    slow_job(driver)
    process = other()
    assert process.stdout is not None
    execution_id = process.stdout.readline().strip()
    driver.go("history")
    history = driver.view(HistoryView)
    driver.click_row(cast("RecordTable[object]", history.table), execution_id, twice=True)
    page = driver.view(ExecutionView)
    driver.until(lambda: page.chip.text().startswith("● Running"))
    assert page.cancel_button.isVisible()
