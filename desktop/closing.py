"""What closing the window means: into the tray, or an end, which never leaves a run half said.

With a tray, closing hides the window and the schedule goes on. Without one, closing ends Strongroom. An
end with something running names it, and asks whether to wait for it or to cancel it.
"""

from __future__ import annotations

from collections.abc import Callable

import shiboken6
from PySide6.QtCore import QObject, Signal

from desktop import words
from desktop.live import LiveRun
from desktop.session import Session
from desktop.views.confirm import ConfirmDialog
from desktop.window import MainWindow


class Closing(QObject):
    """Decides, asks, and says when it is done."""

    done = Signal()
    hidden = Signal()
    """The window went into the tray for the first time."""

    def __init__(
        self,
        session: Session,
        window: MainWindow,
        has_tray: Callable[[], bool],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._window = window
        self._has_tray = has_tray
        self._told = False
        self.question: ConfirmDialog | None = None
        """The question that was asked last; Qt may have let go of it since."""
        self._ending = False
        window.close_asked.connect(self.close_window)
        session.closed.connect(self._closed)

    def close_window(self) -> None:
        """The window's close button."""
        if self._ending:
            self._ask_again()
        elif self._has_tray():
            self._window.hide()
            if not self._told:
                self._told = True
                self.hidden.emit()
        else:
            self.quit()

    def quit(self) -> None:
        """End Strongroom; ask first when something runs, or when a schedule would stand still."""
        running = self._session.live.active()
        if self._is_asking():
            return
        if running:
            self._ask_what_runs(running)
        elif not self._has_tray() and self._scheduled():
            self._ask_schedule()
        else:
            self.end(cancel=False)

    def end(self, *, cancel: bool) -> None:
        """Wait for what runs, or cancel it, and end."""
        self._ending = True
        names = _names(self._session.live.active())
        if names:
            word = "Cancelling" if cancel else "Waiting for"
            self._window.raise_up()
            self._window.toast.say(f"{word} {names}, then Strongroom quits.")
        self._session.close(cancel=cancel)

    def _scheduled(self) -> list[str]:
        return [job.name for job in self._session.snapshot.jobs if job.schedule and job.enabled]

    def _ask_what_runs(self, running: list[LiveRun]) -> None:
        many = len(running) > 1
        dialog = self._ask(
            f"{_names(running)} {'are' if many else 'is'} running",
            "Strongroom can wait and quit afterwards, or cancel. A cancelled run leaves no partial file; "
            "what a destination has received and verified before stays.",
        )
        dialog.add("Keep the window open", None)
        dialog.add("Cancel and quit", lambda: self.end(cancel=True), "danger")
        dialog.add("Wait, then quit", lambda: self.end(cancel=False), "primary")
        dialog.open()

    def _ask_schedule(self) -> None:
        names = self._scheduled()
        dialog = self._ask(
            "Quit Strongroom?",
            f"This desktop has no tray to wait in. {words.count(len(names), 'job')} with a schedule "
            f"({', '.join(names[:3])}{', …' if len(names) > 3 else ''}) will not run until Strongroom is "
            "opened again, unless `strongroom agent` runs on this machine.",
        )
        dialog.add("Keep the window open", None)
        dialog.add("Quit", lambda: self.end(cancel=False), "primary")
        dialog.open()

    def _ask_again(self) -> None:
        running = self._session.live.active()
        if not running or self._is_asking():
            return
        dialog = self._ask(f"Still waiting for {_names(running)}", "Strongroom quits when it has ended.")
        dialog.add("Go on waiting", None)
        dialog.add("Cancel it now", self._session.cancel_all, "danger")
        dialog.open()

    def _is_asking(self) -> bool:
        """Whether a question stands already; it then comes to the front. Two would contradict each other."""
        asked = self.question
        if asked is None or not shiboken6.isValid(asked) or not asked.isVisible():
            return False
        if self._window.isHidden():
            self._window.raise_up()
        asked.raise_()
        asked.activateWindow()
        return True

    def _ask(self, title: str, text: str) -> ConfirmDialog:
        if self._window.isHidden():
            self._window.raise_up()
        self.question = ConfirmDialog(self._window, title, text)
        return self.question

    def _closed(self) -> None:
        self._window.may_close = True
        self._window.close()
        self.done.emit()


def _names(running: list[LiveRun]) -> str:
    said = [
        f"{words.short(run.job, 40) or words.KINDS.get(run.kind, 'something').lower()}"
        + (f" ({words.so_far(run.percent)})" if run.percent is not None else "")
        for run in running
    ]
    names = " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)
    return names if running and running[0].job else words.capital(names)  # a job's name stays as it is
