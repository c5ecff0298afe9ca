"""The tray icon: run a job, open the window, quit. Without a tray, nothing pretends that there is one."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from desktop.session import Session
from desktop.snapshot import Snapshot
from desktop.theme import picture, theme

SIZES = (16, 22, 24, 32, 48, 64)


def app_icon(colour: str) -> QIcon:
    """The application's icon in a colour, in the sizes that desktops ask for."""
    icon = QIcon()
    for size in SIZES:
        icon.addPixmap(picture("strongroom", colour, size, ratio=1.0))
    return icon


class Tray(QObject):
    """The tray icon and its menu."""

    open_asked = Signal()
    quit_asked = Signal()
    run_asked = Signal(str)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.menu = QMenu()
        self.status = self.menu.addAction("Nothing is running")
        self.status.setEnabled(False)
        self.menu.addSeparator()
        self.menu.addAction("Open Strongroom", self.open_asked.emit)
        self.run_menu = self.menu.addMenu("Run now")
        self.menu.addSeparator()
        self.menu.addAction("Quit", self.quit_asked.emit)
        self.icon = QSystemTrayIcon(self)
        self.icon.setContextMenu(self.menu)
        self.icon.activated.connect(self._activated)
        self._jobs: tuple[tuple[str, str, bool], ...] | None = None
        self._tint()
        theme().changed.connect(self._tint)
        session.snapshot_changed.connect(self._show)
        self._show(session.snapshot)

    @staticmethod
    def is_available() -> bool:
        """Whether this desktop has a tray just now."""
        return QSystemTrayIcon.isSystemTrayAvailable()

    def show(self) -> None:
        """Put the icon into the tray."""
        self.icon.show()

    def hide(self) -> None:
        """Take it away."""
        self.icon.hide()

    def tell(self, title: str, text: str) -> None:
        """Show a message from the tray."""
        if self.icon.isVisible() and QSystemTrayIcon.supportsMessages():
            self.icon.showMessage(title, text, self.icon.icon())

    def _show(self, snapshot: Snapshot) -> None:
        jobs = tuple((job.id, job.name, job.id not in snapshot.active) for job in snapshot.jobs)
        if jobs != self._jobs:
            self._jobs = jobs
            self.run_menu.clear()
            for job_id, name, idle in jobs:
                action = self.run_menu.addAction(name.replace("&", "&&"))
                action.setEnabled(idle)
                action.triggered.connect(lambda _=False, its=job_id: self.run_asked.emit(its))
        self.run_menu.setEnabled(bool(jobs))
        names = [its.job_name for its in snapshot.active.values()]
        text = f"Running: {', '.join(names)}" if names else "Nothing is running"
        self.status.setText(text.replace("&", "&&"))
        self.icon.setToolTip(f"Strongroom\n{text}")

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in (
            QSystemTrayIcon.ActivationReason.Trigger,
            QSystemTrayIcon.ActivationReason.DoubleClick,
        ):
            self.open_asked.emit()

    def _tint(self) -> None:
        p = theme().palette
        self.icon.setIcon(app_icon(p.accent))
