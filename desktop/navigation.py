"""How views ask the window for something: another page, a job, an execution, a word at the lower edge."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from desktop.session import Session


class Navigator(QObject):
    """What every view gets: the session, and the way to the others."""

    went = Signal(str)
    """The name of a page: `jobs`, `sources`, ..."""
    job_opened = Signal(str)
    execution_opened = Signal(str)
    said = Signal(str)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session

    def go(self, page: str) -> None:
        """Show a page of the sidebar."""
        self.went.emit(page)

    def open_job(self, job_id: str) -> None:
        """Show a job."""
        self.job_opened.emit(job_id)

    def open_execution(self, execution_id: str) -> None:
        """Show an execution."""
        self.execution_opened.emit(execution_id)

    def say(self, text: str) -> None:
        """Say a short word at the lower edge."""
        self.said.emit(text)
