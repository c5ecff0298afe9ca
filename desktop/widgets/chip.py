"""StateChip: a state as a colour, a sign and a word."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QSizePolicy

from desktop.theme import Tone, set_role
from desktop.widgets.basic import repolish
from desktop.words import State


class StateChip(QLabel):
    """A rounded label in the colour of its state, never in the colour alone."""

    def __init__(self, state: State | None = None) -> None:
        super().__init__()
        set_role(self, "card")
        font = self.font()
        font.setPixelSize(font.pixelSize() - 1)
        self.setFont(font)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._tone: Tone | None = None
        self.show_state(state)

    def show_state(self, state: State | None, tip: str = "") -> None:
        """Show a state; None hides the chip."""
        self.setVisible(state is not None)
        if state is None:
            return
        if self.text() != state.text:
            self.setText(state.text)
            self.setAccessibleName(state.word)
        if self._tone != state.tone:
            self._tone = state.tone
            self.setProperty("chip", state.tone)
            repolish(self)
        self.setToolTip(tip)
