"""FieldForm: a complete form for any adapter, made from its `Config`; a third party writes no Qt code."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop.forms.inputs import Field, Input, SecretInput, input_for
from desktop.theme import Size
from desktop.widgets import button, row
from engine.contract.config import AdapterConfig, FieldSpec, describe, field_errors

_STAND_IN = "a secret that is stored"


class FieldForm(QWidget):
    """The fields of a `Config` in their order, the advanced ones below the fold.

    `values` is what is stored (without secrets), `stored` the names of the secrets that are kept.
    """

    changed = Signal()
    pointed_at = Signal(object)
    """The first `Field` in which a check found something wrong; it may lie out of sight."""

    def __init__(
        self,
        config: type[AdapterConfig],
        values: Mapping[str, Any] | None = None,
        stored: Collection[str] = (),
    ) -> None:
        super().__init__()
        self._config = config
        self._fields: dict[str, Field] = {}
        self._specs: dict[str, FieldSpec] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Size.GAP + Size.GRID)
        self._folded = QWidget()
        folded = QVBoxLayout(self._folded)
        folded.setContentsMargins(0, 0, 0, 0)
        folded.setSpacing(Size.GAP + Size.GRID)
        for spec in describe(config):
            its = self._add(spec, spec.name in stored)
            if values is not None and spec.name in values:
                cast(Input, its.input).set_value(values[spec.name])
            cast(Input, its.input).changed.connect(self._touched)
            (folded if spec.advanced else layout).addWidget(its)
        self._fold = button("More settings", self._toggle, kind="link")
        if folded.count():
            layout.addLayout(row(self._fold, 1))
            layout.addWidget(self._folded)
        else:
            self._fold.hide()
            self._folded.setParent(self)
        self._folded.hide()

    def field(self, name: str) -> Field:
        """The field of that name."""
        return self._fields[name]

    def has(self, name: str) -> bool:
        """Whether there is a field of that name."""
        return name in self._fields

    def set_value(self, name: str, value: Any) -> None:
        """Fill a field in."""
        cast(Input, self._fields[name].input).set_value(value)

    def values(self) -> dict[str, Any]:
        """What was entered, for the engine: empty fields and stored secrets that stay are left out.

        A stored secret that was let go is None.
        """
        found: dict[str, Any] = {}
        for name, its in self._fields.items():
            value = cast(Input, its.input).value()
            if isinstance(its.input, SecretInput):
                if value is not None:
                    found[name] = value
                elif its.input.stored and not its.input.keeps_stored:
                    found[name] = None
            elif value is not None:
                found[name] = value
        return found

    def check(self) -> bool:
        """Validate, show each error beside its field, and go to the first; True when all is right."""
        values = {name: value for name, value in self.values().items() if value is not None}
        kept = {
            name
            for name, its in self._fields.items()
            if isinstance(its.input, SecretInput) and its.input.keeps_stored
        }
        errors = field_errors(self._config, {**values, **dict.fromkeys(kept, _STAND_IN)})
        self.show_errors({name: text for name, text in errors.items() if name not in kept})
        wrong = [name for name in self._fields if name in errors.keys() - kept]
        if wrong:
            self.pointed_at.emit(self._fields[wrong[0]])
        return not (errors.keys() - kept)

    def show_errors(self, errors: Mapping[str, str]) -> None:
        """Show errors that came from elsewhere (the engine) beside their fields."""
        for name, its in self._fields.items():
            its.show_error(errors.get(name, ""))
        wrong = [name for name in self._fields if name in errors]
        if any(self._specs[name].advanced for name in wrong):
            self._unfold(True)
        if wrong:
            self._fields[wrong[0]].control.setFocus()

    def error_of(self, name: str) -> str:
        """The error that stands beside a field."""
        return self._fields[name].error.text()

    def _add(self, spec: FieldSpec, stored: bool) -> Field:
        its = Field(
            spec.title,
            input_for(spec, stored=stored),
            spec.description,
            required=spec.required,
            named=spec.kind != "boolean",
        )
        self._fields[spec.name] = its
        self._specs[spec.name] = spec
        return its

    def _touched(self) -> None:
        # A field that is being mended loses its error at once; the next check says if it is right.
        for its in self._fields.values():
            if its.error.text() and its.control.hasFocus():
                its.show_error("")
        self.changed.emit()

    def _toggle(self) -> None:
        self._unfold(self._folded.isHidden())

    def _unfold(self, shown: bool) -> None:
        self._folded.setVisible(shown)
        self._fold.setText("Fewer settings" if shown else "More settings")
