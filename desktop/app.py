"""The desktop application: `main` puts session, window, tray and single instance together."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication

from desktop.closing import Closing
from desktop.session import Session
from desktop.single import SingleInstance
from desktop.theme import Mode, install, theme
from desktop.tray import Tray, app_icon
from desktop.views.settings import read_chosen
from desktop.window import MainWindow
from desktop.worker import QtExecutor
from engine import __version__
from engine.errors import StrongroomError
from engine.events import ExecutionFinished, Status
from engine.home import Home
from engine.screen import require_screen

if TYPE_CHECKING:
    from engine.workspace import Workspace

_BAD = {
    Status.FAILED: "the backup failed",
    Status.PARTIAL: "only partly backed up",
}
GONE_WITHIN = 5.0
"""Seconds that the last threads get when the window is gone already."""


def open_workspace(executor: QtExecutor) -> Workspace:
    """Open the environment's installation. Runs in a thread: the import alone takes a third of a second."""
    from engine.workspace import Workspace

    return Workspace.open(executor=executor)


class Application(QObject):
    """Everything that lives as long as the process, tied together."""

    def __init__(
        self,
        app: QApplication,
        opener: Callable[[QtExecutor], Workspace] = open_workspace,
        *,
        instance: SingleInstance | None = None,
        mode: Mode = "system",
        scheduled: bool = True,
        with_tray: bool = True,
    ) -> None:
        super().__init__(app)
        install(app, mode)
        app.setApplicationName("strongroom")
        app.setApplicationDisplayName("Strongroom")
        app.setApplicationVersion(__version__)
        app.setDesktopFileName("strongroom")
        app.setQuitOnLastWindowClosed(False)
        app.setWindowIcon(app_icon(theme().palette.accent))
        self._app = app
        self.session = Session(opener, scheduled=scheduled, parent=self)
        self.window = MainWindow(self.session)
        self.tray = Tray(self.session, self)
        self._with_tray = with_tray
        self.closing = Closing(self.session, self.window, self.has_tray, self)
        self.closing.done.connect(self._finished)
        self.closing.hidden.connect(self._say_where)
        self.tray.open_asked.connect(self.window.raise_up)
        self.tray.quit_asked.connect(self.closing.quit)
        self.tray.run_asked.connect(self.session.run_job)
        self.session.live.finished.connect(self._tell_of)
        self._follows_settings = mode == "system"
        self.session.ready.connect(self._read_theme)
        self._instance = instance
        if instance is not None:
            instance.raise_asked.connect(self.window.raise_up)

    def start(self, *, hidden: bool = False) -> None:
        """Show the window (or only the tray, where there is one) and open the installation."""
        if self._with_tray and Tray.is_available():
            self.tray.show()
        if not (hidden and self.has_tray()):
            self.window.show()
        self.session.open()

    def has_tray(self) -> bool:
        """Whether closing the window leaves something to open it again with."""
        return self._with_tray and Tray.is_available() and self.tray.icon.isVisible()

    def _read_theme(self) -> None:
        if self._follows_settings:
            self.session.ask(self, read_chosen, lambda chosen: theme().choose(chosen.theme))

    def _say_where(self) -> None:
        self.tray.tell("Strongroom goes on in the tray", "Scheduled jobs run. Quit is in the tray's menu.")

    def _tell_of(self, execution_id: str, event: ExecutionFinished) -> None:
        """Let the tray say what failed, and what to do, to whoever has not the window before them."""
        run = self.session.live.get(execution_id)
        if run is None or event.status not in _BAD or self.window.isActiveWindow():
            return
        title = f"{run.job}: {_BAD[event.status]}" if run.job else "Strongroom: not all went well"
        self.tray.tell(title, " ".join(its for its in (event.error, event.remedy) if its))

    def _finished(self) -> None:
        self.tray.hide()
        if self._instance is not None:
            self._instance.release()
        self._app.quit()


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the few options that the desktop has."""
    parser = argparse.ArgumentParser(prog="strongroom-desktop", description="Strongroom's window.")
    parser.add_argument("--version", action="version", version=f"Strongroom {__version__}")
    parser.add_argument("--hidden", action="store_true", help="start in the tray, where there is one")
    parser.add_argument("--theme", choices=("system", "light", "dark"), default="system")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Start the desktop; return the exit code. A second start raises the first window and returns 0."""
    options = parse(sys.argv[1:] if argv is None else argv)
    try:
        require_screen()  # where there is none, Qt would end the process in its own words
    except StrongroomError as error:
        return _refused(error)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    app = QApplication.instance() or QApplication(sys.argv[:1])
    if not isinstance(app, QApplication):
        print("Another kind of Qt application runs in this process.", file=sys.stderr)
        return 1
    try:
        home = Home.locate().make()
    except StrongroomError as error:
        return _refused(error)
    instance = SingleInstance(home)
    if not instance.take():
        if instance.ask_first_to_raise():
            return 0
        print("Strongroom runs already, and does not answer.", file=sys.stderr)
        return 1
    application = Application(app, instance=instance, mode=options.theme)
    application.start(hidden=options.hidden)
    code = app.exec()
    application.session.background.wait(GONE_WITHIN)
    return code


def _refused(error: StrongroomError) -> int:
    print("\n".join(part for part in (str(error), error.remedy) if part), file=sys.stderr)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
