"""A destination that does not answer: its name is said, and whoever waits can stop, or close the window."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from desktop.views.backups import BackupsView
from engine.contract.registry import Registry
from engine.workspace import Workspace
from tests.desktop.driver import Driver
from tests.desktop.guarded import KEY, guarded_registry
from tests.parts.faulty import GATES, Gate


@pytest.fixture
def registry() -> Registry:
    return guarded_registry()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Holds every look at a guarded folder until the test opens it, or somebody cancels."""
    GATES["list"] = Gate()
    yield GATES["list"]
    GATES.pop("list").opened.set()


def looking(driver: Driver, gate: Gate) -> BackupsView:
    """The backups, with a look at a silent server under way."""
    values = {"path": str(driver.folder / "vault"), "host": "backup.example.net", "host_key": KEY}
    driver.read(
        lambda workspace: cast(Workspace, workspace).endpoints.save(
            "destination", "vault", "guarded-folder", values
        )
    )
    driver.session.refresh()
    driver.until(lambda: len(driver.session.snapshot.destinations) == 1)
    view = driver.go("backups")
    assert isinstance(view, BackupsView)
    driver.until(gate.reached.is_set)
    driver.until(view.looking.isVisible)
    return view


def test_the_destination_that_is_looked_at_is_named_and_the_look_can_be_stopped(
    driver: Driver, gate: Gate
) -> None:
    view = looking(driver, gate)
    assert view.looking.label.value == "Looking at vault…"
    assert not view.refresh_button.isEnabled()
    driver.press("Stop looking at the destinations")
    driver.until(view.looking.isHidden)
    assert view.refresh_button.isEnabled()
    assert "Stopped at vault" in view.notice.text.text()
    driver.until(lambda: driver.session.background.busy == 0)


def test_a_look_that_ends_takes_its_line_away(driver: Driver, gate: Gate) -> None:
    view = looking(driver, gate)
    gate.opened.set()
    driver.until(view.looking.isHidden)
    assert view.refresh_button.isEnabled() and "Stopped" not in view.notice.text.text()


def test_closing_the_window_ends_the_look(driver: Driver, gate: Gate) -> None:
    looking(driver, gate)
    driver.window.close()
    driver.until(lambda: driver.closed)
    driver.until(lambda: driver.session.background.busy == 0)
