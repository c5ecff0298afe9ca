"""Looking: which destination is being looked at, said once that takes long, with a way to stop it."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop.session import Session
from desktop.theme import Size
from desktop.widgets import ElidedLabel, Spinner, button, listing, row
from engine.cancellation import CancelToken

SLOW_MS = 700
"""A look that takes no longer is not worth a line that comes and goes."""


class Looking(QWidget):
    """A line for the top of a list. Closing the window stops the look as well."""

    _at = Signal(str)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._token: CancelToken | None = None
        self.place = ""
        """What is being looked at, or was when the look ended."""
        self.label = ElidedLabel("", muted=True)
        self.stop_button = button("Stop", self.stop, kind="link", name="Stop looking at the destinations")
        spinner = Spinner("Looking")
        spinner.show()
        line = row(spinner)
        line.addWidget(self.label, 1)
        line.addWidget(self.stop_button)
        line.setContentsMargins(Size.GAP, Size.GAP, Size.GAP, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(listing(line))
        self._slow = QTimer(self)
        self._slow.setSingleShot(True)
        self._slow.setInterval(SLOW_MS)
        self._slow.timeout.connect(self.show)
        self._at.connect(self._say)
        self.hide()

    def begin(self) -> CancelToken:
        """A look begins, in place of the one before; its token is cancelled by `stop`."""
        if self._token is not None:
            self._token.cancel("looked at anew")
        self._token = self._session.token()
        self._slow.start()
        return self._token

    def at(self, place: str) -> None:
        """This one is looked at now. Called from the thread that looks."""
        self._at.emit(place)

    def end(self) -> None:
        """The look has ended, whichever way."""
        self._token = None
        self._slow.stop()
        self.stop_button.setEnabled(True)
        self.hide()

    def stop(self) -> None:
        """Ask the look to stop."""
        if self._token is not None:
            self.stop_button.setEnabled(False)
            self.label.say(f"Stopping to look at {self.place}…")
            self._token.cancel("stopped by hand")

    def _say(self, place: str) -> None:
        if self._token is not None and not self._token.cancelled:
            self.place = place
            self.label.say(f"Looking at {place}…")
