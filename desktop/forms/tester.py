"""Tester: one connection test at a time, in a thread, with all that shows how it goes and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QHBoxLayout

from desktop.forms.report import report_facts
from desktop.session import Session
from desktop.widgets import Card, ErrorPanel, KeyValueGrid, Spinner, StateChip, button, label, row
from desktop.words import State
from desktop.worker import Problem
from engine.cancellation import CancelToken
from engine.clock import utc_now
from engine.configuration.endpoints import Report

if TYPE_CHECKING:
    from engine.workspace import Workspace

Check = Callable[["Workspace", CancelToken], Report]
NEEDS_TRUST = "NeedsTrust"

TESTING = State("Testing", "●", "accent")
STOPPING = State("Stopping", "○", "quiet")
WORKS = State("Works", "✓", "good")
WORKS_NOT = State("Does not work", "✕", "bad")
NOT_CONFIRMED = State("Not confirmed yet", "!", "risk")


class Tester(QObject):
    """Its parts are placed by whoever owns it: `button`, `line` (how it goes), `found`, `problem`.

    `ask` gives the test to run, or None when there is nothing to test (a form that is not filled in).
    """

    told = Signal(object)
    """The part that tells how the test ended."""
    failed = Signal(object)
    """The `Problem` of a test that did not pass."""
    trust_needed = Signal(object)
    """A server's identity has to be confirmed: a `Problem` with `field` and `value`."""

    def __init__(
        self, session: Session, parent: QObject, ask: Callable[[], Check | None], text: str = "Test"
    ) -> None:
        super().__init__(parent)
        self._session, self._ask, self._text = session, ask, text
        self._token: CancelToken | None = None
        self.told_at: datetime | None = None
        """When the test ended whose result is shown."""
        self.button = button(text, self.press, name="Test connection")
        self.spinner = Spinner("Testing")
        self.chip = StateChip()
        self.line: QHBoxLayout = row(self.spinner, self.chip, 1)
        self.found = Card("The test found")
        self.found_text = label("", "strong", wrap=True)
        self.found_facts = KeyValueGrid()
        self.found.add(self.found_text)
        self.found.add(self.found_facts)
        self.found.hide()
        self.problem = ErrorPanel()

    @property
    def runs(self) -> bool:
        """Whether a test is under way."""
        return self._token is not None

    def press(self) -> None:
        """Test, or stop the test that is under way."""
        if self._token is not None:
            self.chip.show_state(STOPPING)
            self._token.cancel("stopped by hand")
        elif (check := self._ask()) is not None:
            self.start(check)

    def start(self, check: Check) -> None:
        """Run this test."""
        self.forget()
        token = self._token = self._session.token()
        self.chip.show_state(TESTING)
        self.spinner.show()
        self.button.setMinimumWidth(self.button.width())  # what stands beside it stays where it is
        self.button.setText("Stop")
        self._session.ask(
            self,
            lambda workspace: check(workspace, token),
            lambda report: self._passed(token, report),
            lambda problem: self._did_not_pass(token, problem),
        )

    def forget(self) -> None:
        """Take the result away, and stop what is under way: it is about something else by now."""
        if self._token is not None:
            self._token.cancel("something else is looked at")
        self._idle(None)
        self.found.hide()
        self.problem.show_problem(None)

    def _idle(self, state: State | None) -> None:
        self._token = None
        self.told_at = utc_now() if state is not None else None
        self.spinner.hide()
        self.button.setText(self._text)
        self.chip.show_state(state)

    def _passed(self, token: CancelToken, report: Report) -> None:
        if token is not self._token:
            return
        self._idle(WORKS)
        text, facts = report_facts(report)
        self.found_text.setText(text)
        self.found_facts.show_facts(facts)
        self.found.show()
        self.told.emit(self.found)

    def _did_not_pass(self, token: CancelToken, problem: Problem) -> None:
        if token is not self._token:
            return
        if problem.kind == "Cancelled":
            self._idle(None)
            return
        asks = problem.kind == NEEDS_TRUST
        self._idle(NOT_CONFIRMED if asks else WORKS_NOT)
        self.problem.show_problem(problem, partly=asks)
        self.told.emit(self.problem)
        (self.trust_needed if asks else self.failed).emit(problem)
