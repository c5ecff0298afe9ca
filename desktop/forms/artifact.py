"""What an artifact is made into: how it is compressed, and to which key it is encrypted."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QSpinBox, QVBoxLayout, QWidget

from desktop.forms.inputs import calm
from desktop.theme import Size
from desktop.widgets import label, row, set_ink
from engine.configuration.keys import DEFAULT
from engine.records import Key

LEVELS: dict[str, tuple[int, int, int]] = {"zstd": (1, 22, 3), "gzip": (1, 9, 6), "brotli": (0, 11, 5)}
"""Lowest, highest and usual level; the engine has the last word."""
NOT_ENCRYPTED = "none"


class CompressionInput(QWidget):
    """An algorithm and its level."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.algorithm = QComboBox()
        self.algorithm.setAccessibleName("Compression")
        calm(self.algorithm)
        for text, value in (
            ("zstd: quick and small", "zstd"),
            ("gzip: opens everywhere", "gzip"),
            ("brotli: smallest, slow", "brotli"),
            ("None", "none"),
        ):
            self.algorithm.addItem(text, value)
        self.level = QSpinBox()
        self.level.setAccessibleName("Compression level")
        self.level.setPrefix("level ")
        calm(self.level)
        self.setLayout(row(self.algorithm, self.level, 1))
        self.algorithm.currentIndexChanged.connect(lambda _: self._choose())
        self._choose()

    def value(self) -> str:
        """As the configuration has it: `zstd`, `zstd:9`, `none`."""
        name = str(self.algorithm.currentData())
        if name not in LEVELS or self.level.value() == LEVELS[name][2]:
            return name
        return f"{name}:{self.level.value()}"

    def set_value(self, value: str) -> None:
        """Show a compression."""
        name, _, level = value.partition(":")
        self.algorithm.setCurrentIndex(max(0, self.algorithm.findData(name)))
        if level.isdigit():
            self.level.setValue(int(level))

    def focus_widget(self) -> QWidget:
        """The control that takes the keyboard."""
        return self.algorithm

    def _choose(self) -> None:
        name = self.algorithm.currentData()
        self.level.setVisible(name in LEVELS)
        if name in LEVELS:
            least, most, usual = LEVELS[name]
            self.level.setRange(least, most)
            self.level.setValue(usual)
        self.changed.emit()


class EncryptionInput(QWidget):
    """A key by name, or none. Where there is no key named default yet, it can be had made with the job.

    Encrypted is what a new job is, so that nobody who only wants a backup sends out readable ones.
    """

    def __init__(self, keys: tuple[Key, ...], chosen: str | None) -> None:
        super().__init__()
        self._known = {key.name for key in keys}
        self.key = QComboBox()
        self.key.setAccessibleName("Encryption key")
        calm(self.key)
        for key in keys:
            self.key.addItem(f"age, key {key.name}", key.name)
        if chosen is not None and chosen not in {*self._known, NOT_ENCRYPTED}:
            self.key.addItem(f"{chosen} (there is no such key)", chosen)
        elif DEFAULT not in self._known:
            self.key.addItem(f"age, a new key named {DEFAULT}", DEFAULT)
        self.key.addItem("Not encrypted", NOT_ENCRYPTED)
        self.about = label("", "caption", muted=True, wrap=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Size.GRID - 1)
        layout.addWidget(self.key)
        layout.addWidget(self.about)
        self.key.currentIndexChanged.connect(lambda _: self._explain())
        usual = DEFAULT if DEFAULT in self._known or not keys else keys[0].name
        self.key.setCurrentIndex(self.key.findData(usual if chosen is None else chosen))
        self._explain()

    @property
    def makes_key(self) -> bool:
        """Whether the chosen key is not there yet, and is to be made."""
        return self.value() == DEFAULT and DEFAULT not in self._known

    def value(self) -> str:
        """The name of the key, or `none`."""
        return str(self.key.currentData())

    def focus_widget(self) -> QWidget:
        """The control that takes the keyboard."""
        return self.key

    def _explain(self) -> None:
        bare = self.value() == NOT_ENCRYPTED
        text = "! Whoever gets hold of a backup can read it." if bare else ""
        if self.makes_key:
            text = (
                "The key is made when the job is saved, and kept with this machine's secrets. Export it on "
                "the page Settings: without it, nobody can restore."
            )
        set_ink(self.about, "risk" if bare else None)
        self.about.setText(text)
        self.about.setHidden(not text)
