"""One input widget for each kind of configuration field, all with the same two words: read and write."""

from __future__ import annotations

from typing import Any, Protocol, cast

from PySide6.QtCore import QDir, QEvent, QObject, Qt, Signal
from PySide6.QtGui import QAction, QWheelEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from desktop.theme import Size, theme
from desktop.widgets import button, label, repolish, row, set_ink
from engine.contract.config import FieldSpec

LARGEST = 2**31 - 1
NARROWEST = 120
"""A box with a long name in it may become so narrow, before the form becomes wider than its dialog."""


class Input(Protocol):
    """What a form asks of an input; `changed` is a signal without arguments."""

    changed: Any

    def value(self) -> Any:
        """What was entered, as the configuration wants it; None for nothing."""
        ...

    def set_value(self, value: Any) -> None:
        """Show a value."""
        ...

    def focus_widget(self) -> QWidget:
        """The control that takes the keyboard."""
        ...


class NoWheel(QObject):
    """Keeps the wheel from changing a value that one only scrolls past."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QWheelEvent) and not cast(QWidget, watched).hasFocus():
            event.ignore()
            return True
        return False


def calm(widget: QWidget) -> None:
    """Let a spin box or a combo box react to the wheel only when it has the focus; align its text."""
    widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    if isinstance(widget, QSpinBox):  # a style sheet does not reach the margin of its inner field
        widget.lineEdit().setTextMargins(Size.GRID + 1, 0, 0, 0)
    if isinstance(widget, QComboBox):
        widget.setMinimumWidth(NARROWEST)
    widget.installEventFilter(NoWheel(widget))


class TextInput(QLineEdit):
    """A line of text; numbers that may be left out, too, since a spin box cannot be empty."""

    changed = Signal()

    def __init__(self, placeholder: str = "") -> None:
        super().__init__()
        self.setPlaceholderText(placeholder)
        self.textChanged.connect(lambda _: self.changed.emit())

    def value(self) -> Any:
        return self.text().strip() or None

    def set_value(self, value: Any) -> None:
        self.setText("" if value is None else str(value))

    def focus_widget(self) -> QWidget:
        return self


class ListInput(TextInput):
    """Values separated by commas."""

    def value(self) -> Any:
        return [part for part in (part.strip() for part in self.text().split(",")) if part] or None

    def set_value(self, value: Any) -> None:
        self.setText(", ".join(str(each) for each in value or ()))


class NumberInput(QSpinBox):
    """A whole number that always has a value."""

    changed = Signal()

    def __init__(self, minimum: float | None = None, maximum: float | None = None) -> None:
        super().__init__()
        self.setRange(
            int(minimum if minimum is not None else -LARGEST),
            int(maximum if maximum is not None else LARGEST),
        )
        self.setFixedWidth(Size.NUMBER)
        calm(self)
        self.valueChanged.connect(lambda _: self.changed.emit())

    # `value` is Qt's own: the number.

    def set_value(self, value: Any) -> None:
        self.setValue(int(value))

    def focus_widget(self) -> QWidget:
        return self


class BooleanInput(QCheckBox):
    """Yes or no; its words stand beside the box."""

    changed = Signal()

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.toggled.connect(lambda _: self.changed.emit())

    def value(self) -> Any:
        return self.isChecked()

    def set_value(self, value: Any) -> None:
        self.setChecked(bool(value))

    def focus_widget(self) -> QWidget:
        return self


class ChoiceInput(QComboBox):
    """One of a few words."""

    changed = Signal()

    def __init__(self, choices: tuple[str, ...], *, optional: bool = False) -> None:
        super().__init__()
        calm(self)
        if optional:
            self.addItem("(not set)", None)
        for choice in choices:
            self.addItem(choice, choice)
        self.currentIndexChanged.connect(lambda _: self.changed.emit())

    def value(self) -> Any:
        return self.currentData()

    def set_value(self, value: Any) -> None:
        value = getattr(value, "value", value)
        self.setCurrentIndex(max(0, self.findData(value if value is None else str(value))))

    def focus_widget(self) -> QWidget:
        return self


class LongTextInput(QPlainTextEdit):
    """Several lines: a certificate, a key."""

    changed = Signal()

    def __init__(self, placeholder: str = "") -> None:
        super().__init__()
        self.setPlaceholderText(placeholder)
        self.setTabChangesFocus(True)
        self.setFixedHeight(Size.CONTROL * 3)
        self.textChanged.connect(self.changed.emit)

    def value(self) -> Any:
        return self.toPlainText() if self.toPlainText().strip() else None

    def set_value(self, value: Any) -> None:
        self.setPlainText("" if value is None else str(value))

    def focus_widget(self) -> QWidget:
        return self


class PathInput(QWidget):
    """A path, typed or chosen."""

    changed = Signal()

    def __init__(self, placeholder: str, *, folder: bool, title: str) -> None:
        super().__init__()
        self._folder, self._title = folder, title
        self.edit = QLineEdit()
        self.edit.setPlaceholderText(placeholder)
        self.edit.textChanged.connect(lambda _: self.changed.emit())
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Size.GAP)
        layout.addWidget(self.edit, 1)
        layout.addWidget(button("Choose…", self._choose, name=f"Choose: {title}"))

    def value(self) -> Any:
        return self.edit.text().strip() or None

    def set_value(self, value: Any) -> None:
        self.edit.setText("" if value is None else str(value))

    def focus_widget(self) -> QWidget:
        return self.edit

    def _choose(self) -> None:
        dialog = QFileDialog(self, self._title, self._begin())
        dialog.setFilter(dialog.filter() | QDir.Filter.Hidden)  # keys lie in ~/.ssh
        dialog.setFileMode(QFileDialog.FileMode.Directory if self._folder else QFileDialog.FileMode.AnyFile)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setLabelText(QFileDialog.DialogLabel.Accept, "Choose")
        dialog.fileSelected.connect(self.edit.setText)
        dialog.open()

    def _begin(self) -> str:
        """Where to look first: at what is entered, else where the placeholder says that such files lie."""
        return expanded(self.edit.text().strip() or self.edit.placeholderText())


def expanded(path: str) -> str:
    """A path with the home folder in place of `~`."""
    return QDir.homePath() + path[1:] if path == "~" or path.startswith("~/") else path


class SecretInput(QWidget):
    """A secret: hidden unless looked at; one that is stored is kept unless another is entered.

    `value` is None when nothing was entered; `keeps_stored` then says whether the stored one stays.
    """

    changed = Signal()

    def __init__(self, placeholder: str, *, stored: bool) -> None:
        super().__init__()
        self.stored = stored
        self._forgotten = False
        self.edit = QLineEdit()
        self.edit.setEchoMode(QLineEdit.EchoMode.Password)
        self.edit.setPlaceholderText("stored; leave empty to keep it" if stored else placeholder)
        self.edit.textChanged.connect(lambda _: self.changed.emit())
        self._eye = QAction("Show", self.edit)
        self._eye.setCheckable(True)
        self._eye.toggled.connect(self._look)
        self.edit.addAction(self._eye, QLineEdit.ActionPosition.TrailingPosition)
        self._forget: QPushButton = button("Forget", self._let_go, kind="link")
        self._forget.setVisible(stored)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Size.GAP)
        layout.addWidget(self.edit, 1)
        layout.addWidget(self._forget)
        self._tint()
        theme().changed.connect(self._tint)

    @property
    def keeps_stored(self) -> bool:
        """Whether the stored secret stays as it is."""
        return self.stored and not self._forgotten and not self.edit.text()

    def value(self) -> Any:
        return self.edit.text() or None

    def set_value(self, value: Any) -> None:
        self.edit.setText("" if value is None else str(value))

    def focus_widget(self) -> QWidget:
        return self.edit

    def _let_go(self) -> None:
        self._forgotten = True
        self._forget.hide()
        self.edit.setPlaceholderText("will be removed")
        self.changed.emit()

    def _look(self, shown: bool) -> None:
        self.edit.setEchoMode(QLineEdit.EchoMode.Normal if shown else QLineEdit.EchoMode.Password)

    def _tint(self) -> None:
        self._eye.setIcon(theme().icons.icon("eye", theme().palette.muted, Size.ICON))


def input_for(spec: FieldSpec, *, stored: bool = False) -> QWidget:
    """The input of a field, showing its default. The answer is an `Input` too."""
    made: QWidget
    optional = not spec.required and spec.default is None
    match spec.kind:
        case "secret":
            return SecretInput(spec.placeholder, stored=stored)
        case "boolean":
            made = BooleanInput(spec.title)
        case "choice":
            made = ChoiceInput(spec.choices, optional=optional)
        case "integer" if not optional and not spec.required:
            made = NumberInput(spec.minimum, spec.maximum)
        case "file" | "folder":
            made = PathInput(spec.placeholder, folder=spec.kind == "folder", title=spec.title)
        case "list":
            made = ListInput(spec.placeholder or "separated by commas")
        case "multiline":
            made = LongTextInput(spec.placeholder)
        case _:
            made = TextInput(spec.placeholder)
    if spec.default is not None:
        cast(Input, made).set_value(spec.default)
    return made


class Field(QWidget):
    """An input with its name, what it is for, and the error beside it."""

    def __init__(
        self, title: str, its: QWidget, description: str = "", *, required: bool = False, named: bool = True
    ) -> None:
        super().__init__()
        self.input = its
        control = cast(Input, its).focus_widget() if hasattr(its, "focus_widget") else its
        self.control = control
        control.setAccessibleName(title)
        control.setAccessibleDescription(description)
        self.error = label("", "caption", wrap=True)
        set_ink(self.error, "bad")
        self.error.hide()
        self.name = QLabel(f"{title} *" if required else title)
        self.name.setBuddy(control)
        self.name.setWordWrap(True)
        self.name.setFixedWidth(Size.FIELD_LABEL)
        self.name.setMinimumHeight(Size.CONTROL)
        self.name.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        if not named:
            self.name.setText("")
        right = QVBoxLayout()
        right.setSpacing(Size.GRID - 1)
        if its.maximumWidth() < self.maximumWidth():  # without this, the whole row would be as narrow
            right.addLayout(row(its, 1))
        else:
            right.addWidget(its)
        right.addWidget(self.error)
        if description:
            self.about = label(description, "caption", muted=True, wrap=True)
            right.addWidget(self.about)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Size.GAP)
        layout.addWidget(self.name, 0, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(right, 1)

    def show_error(self, text: str) -> None:
        """Show what is wrong beside the field; an empty text takes it away."""
        self.error.setText(f"✕ {text}" if text else "")
        self.error.setVisible(bool(text))
        self.control.setProperty("wrong", "true" if text else "")
        repolish(self.control)
        if text:
            self.control.setAccessibleDescription(f"Wrong: {text}")
