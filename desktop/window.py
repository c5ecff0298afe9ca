"""The main window: the sidebar, the pages, the keyboard, and what happens when it is closed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QCloseEvent, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QStackedWidget, QWidget

from desktop.navigation import Navigator
from desktop.session import Session
from desktop.sidebar import Sidebar
from desktop.snapshot import Snapshot
from desktop.theme import Size
from desktop.views.backups import BackupsView
from desktop.views.base import View
from desktop.views.destinations import DestinationsView
from desktop.views.execution import ExecutionView
from desktop.views.history import HistoryView
from desktop.views.hosts import HostsView
from desktop.views.job import JobView
from desktop.views.jobs import JobsView
from desktop.views.notifiers import NotifiersView
from desktop.views.opening import OpeningView
from desktop.views.settings import SettingsView
from desktop.views.sources import SourcesView
from desktop.widgets import Toast
from desktop.worker import Problem

PAGES = (
    ("jobs", "Jobs", "jobs"),
    ("sources", "Sources", "source"),
    ("destinations", "Destinations", "destination"),
    ("notifiers", "Notifiers", "notifier"),
    ("hosts", "Hosts", "server"),
    ("backups", "Backups", "backups"),
    ("history", "History", "history"),
)
FOOT = (("settings", "Settings", "settings"),)
INSIDE = {"job": "jobs", "execution": "history"}
"""Pages that are not in the sidebar, and the one that they belong to."""


class MainWindow(QMainWindow):
    """What a person sees. Closing it asks whoever owns it, by `close_asked`."""

    close_asked = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.navigator = Navigator(session, self)
        self.may_close = False
        self.setWindowTitle("Strongroom")
        self.resize(*Size.WINDOW)
        self.setMinimumSize(*Size.WINDOW_SMALLEST)
        self.sidebar = Sidebar(PAGES, FOOT)
        self.pages = QStackedWidget()
        self.pages.setObjectName("content")
        self.opening = OpeningView(session)
        self.views: dict[str, View] = {
            view.name: view
            for view in (
                JobsView(self.navigator),
                JobView(self.navigator),
                SourcesView(self.navigator),
                DestinationsView(self.navigator),
                NotifiersView(self.navigator),
                HostsView(self.navigator),
                BackupsView(self.navigator),
                HistoryView(self.navigator),
                ExecutionView(self.navigator),
                SettingsView(self.navigator),
            )
        }
        self.pages.addWidget(self.opening)
        for view in self.views.values():
            self.pages.addWidget(view)
        middle = QWidget()
        layout = QHBoxLayout(middle)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.sidebar)
        layout.addWidget(self.pages, 1)
        self.setCentralWidget(middle)
        self.toast = Toast(self.pages)
        self.sidebar.setEnabled(False)
        self.sidebar.chosen.connect(self.show_page)
        self.navigator.went.connect(self.show_page)
        self.navigator.job_opened.connect(self.show_job)
        self.navigator.execution_opened.connect(self.show_execution)
        self.navigator.said.connect(self.toast.say)
        session.ready.connect(self._ready)
        session.failed.connect(self.opening.show_problem)
        session.problem.connect(self._say_problem)
        session.said.connect(self.toast.say)
        session.snapshot_changed.connect(self._show_counts)
        self._make_shortcuts()

    # ------------------------------------------------------------------------------------- showing

    @property
    def view(self) -> View | None:
        """The page that is shown; None while the installation is being opened."""
        current = self.pages.currentWidget()
        return current if isinstance(current, View) else None

    def show_page(self, page: str) -> None:
        """Bring a page to the front."""
        view = self.views[page]
        self.sidebar.show_page(INSIDE.get(page, page))
        if self.pages.currentWidget() is not view:
            self.pages.setCurrentWidget(view)
        self.setWindowTitle(f"{view.heading.value or view.title} – Strongroom")
        view.entered()

    def show_job(self, job_id: str) -> None:
        """Show a job."""
        view = self.views["job"]
        assert isinstance(view, JobView)  # noqa: S101 - for the type checker
        view.show_job(job_id)
        self.show_page("job")

    def show_execution(self, execution_id: str) -> None:
        """Show an execution."""
        view = self.views["execution"]
        assert isinstance(view, ExecutionView)  # noqa: S101 - for the type checker
        view.show_execution(execution_id)
        self.show_page("execution")

    def raise_up(self) -> None:
        """Bring the window to the front, from the tray or from behind others."""
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.show()
        self.raise_()
        self.activateWindow()

    def _ready(self) -> None:
        self.sidebar.setEnabled(True)
        self.show_page("jobs")

    def _show_counts(self, snapshot: Snapshot) -> None:
        self.sidebar.show_counts(
            {
                "jobs": len(snapshot.jobs),
                "sources": len(snapshot.sources),
                "destinations": len(snapshot.destinations),
                "notifiers": len(snapshot.notifiers),
                "hosts": len(snapshot.hosts),
            }
        )

    def _say_problem(self, problem: Problem) -> None:
        self.toast.say(f"{problem.message} {problem.remedy}".strip())

    def _make_shortcuts(self) -> None:
        """The keys act on the page that is shown."""
        keys: dict[str, Callable[[View], object]] = {
            "F5": lambda view: view.refresh(),
            "Ctrl+R": lambda view: view.run(),
            "Ctrl+N": lambda view: view.new(),
            "Ctrl+F": lambda view: view.search_now(),
            "Esc": lambda view: view.escape(),
        }
        for key, what in keys.items():
            self._shortcut(key, partial(self._with_view, what))
        for at, (page, _, _) in enumerate((*PAGES, *FOOT), 1):
            self._shortcut(f"Ctrl+{at}", partial(self.sidebar.choose, page))
        self._shortcut("Ctrl+W", self.close)

    def _with_view(self, what: Callable[[View], object]) -> None:
        if self.view is not None:
            what(self.view)

    def _shortcut(self, keys: str, what: Callable[[], object]) -> None:
        QShortcut(QKeySequence(keys), self).activated.connect(lambda: what())

    # ----------------------------------------------------------------------------- size and closing

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        narrow = self.width() < Size.NARROW
        self.sidebar.narrow(narrow)
        for view in self.views.values():
            view.make_narrow(narrow)

    def closeEvent(self, event: QCloseEvent) -> None:
        if self.may_close:
            event.accept()
            return
        event.ignore()
        self.close_asked.emit()
