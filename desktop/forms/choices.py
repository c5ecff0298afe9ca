"""The choices of one restore: the source's `restore_...` fields as they are set, to be changed this once."""

from __future__ import annotations

from typing import Any, cast

from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop.forms.inputs import Field, Input, input_for
from desktop.session import Session
from desktop.theme import Size
from desktop.widgets import button, clear, row
from engine.configuration.choosing import choices_of
from engine.errors import PluginError


class ChoicesForm(QWidget):
    """Below a fold, for they are rarely needed; hidden for a source that has none."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.fields: dict[str, Field] = {}
        self._before: dict[str, Any] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Size.GAP + Size.GRID)
        self.fold = button("More choices", self._toggle, kind="link")
        layout.addLayout(row(self.fold, 1))
        self._folded = QWidget()
        self._inside = QVBoxLayout(self._folded)
        self._inside.setContentsMargins(0, 0, 0, 0)
        self._inside.setSpacing(Size.GAP + Size.GRID)
        layout.addWidget(self._folded)
        self._folded.hide()

    def show_source(self, source_id: str) -> None:
        """Show the choices of that source, as it has them set."""
        clear(self._inside)
        self.fields, self._before = {}, {}
        endpoint = next((its for its in self._session.snapshot.sources if its.id == source_id), None)
        try:
            config = self._session.registry.source(endpoint.adapter).Config if endpoint is not None else None
        except PluginError:
            config = None
        for spec in choices_of(config) if config is not None and endpoint is not None else ():
            its = Field(spec.title, input_for(spec), spec.description, named=spec.kind != "boolean")
            value = endpoint.config.get(spec.name, spec.default) if endpoint is not None else None
            cast(Input, its.input).set_value(value)
            self.fields[spec.name] = its
            self._before[spec.name] = cast(Input, its.input).value()
            self._inside.addWidget(its)
        self.setVisible(bool(self.fields))

    def chosen(self) -> dict[str, Any]:
        """What differs from the source's own settings."""
        now = {name: cast(Input, its.input).value() for name, its in self.fields.items()}
        return {name: value for name, value in now.items() if value != self._before[name]}

    def _toggle(self) -> None:
        shown = self._folded.isHidden()
        self._folded.setVisible(shown)
        self.fold.setText("Fewer choices" if shown else "More choices")
