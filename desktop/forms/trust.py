"""The question whether a server is the one that is meant. Only a person can answer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from desktop.theme import Size
from desktop.widgets import Card, KeyValueGrid, ValueLabel, button, fit_height, label, row
from desktop.worker import Problem

WIDTH = 520


class TrustDialog(QDialog):
    """Shows the identity of a server beside the way to compare it. Enter and Esc trust nobody."""

    def __init__(
        self, parent: QWidget, problem: Problem, server: str, on_trust: Callable[[], object]
    ) -> None:
        super().__init__(parent)
        self._on_trust = on_trust
        self.setWindowTitle("Is this the right server?")
        self.setModal(True)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(WIDTH)
        self.setAccessibleDescription(f"{problem.message} {problem.remedy}")
        kind, _, fingerprint = problem.value.rpartition(" ")
        self.facts = KeyValueGrid()
        facts = (("Server", server), ("Key type", kind))
        self.facts.show_facts([fact for fact in facts if fact[1]])
        self.fingerprint = ValueLabel(fingerprint, "mono")
        self.fingerprint.setObjectName("command")
        self.fingerprint.setAccessibleName("Fingerprint")
        self.fingerprint.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        shown = Card()
        shown.add(self.facts)
        shown.add(label("Fingerprint", muted=True))
        shown.add(self.fingerprint)
        self.text = label(
            "Nobody has confirmed yet that whoever answers there is the server that you mean.", wrap=True
        )
        self.remedy = label(problem.remedy, wrap=True)
        self.remedy.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.trust_button = button("Trust this key", self._trust)
        self.cancel_button = button("Cancel", self.reject)
        self.cancel_button.setDefault(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(Size.MARGIN, Size.MARGIN - Size.GRID, Size.MARGIN, Size.MARGIN - Size.GRID)
        layout.setSpacing(Size.GAP + Size.GRID)
        layout.addWidget(label("Is this the right server?", "detail", wrap=True))
        layout.addWidget(self.text)
        layout.addWidget(shown)
        layout.addWidget(label("How to compare it", "strong"))
        layout.addWidget(self.remedy)
        layout.addSpacing(Size.GAP)
        layout.addLayout(row(1, self.cancel_button, self.trust_button))
        self.cancel_button.setFocus()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        fit_height(self)

    def _trust(self) -> None:
        self.accept()
        self._on_trust()


def server_in(values: Mapping[str, Any]) -> str:
    """The server that a configuration names, as far as its fields have the usual names."""
    host, port = values.get("host"), values.get("port")
    if host and port:
        return f"{host}, port {port}"
    return str(host or values.get("endpoint") or values.get("url") or "")
