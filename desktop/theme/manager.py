"""Follows the system's light or dark theme and puts palette, fonts and style sheet on the application."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory, QToolTip

from desktop.theme.fonts import font
from desktop.theme.icons import IconCache
from desktop.theme.style import style_sheet
from desktop.theme.tokens import DARK, LIGHT, Palette

Mode = Literal["system", "light", "dark"]


class Theme(QObject):
    """The theme in use. Whoever paints by hand reads `palette` and repaints on `changed`."""

    changed = Signal()

    def __init__(self, app: QApplication, mode: Mode = "system") -> None:
        super().__init__(app)
        self._app = app
        self._mode: Mode = mode
        self.palette: Palette = LIGHT
        self.icons = IconCache()
        app.setStyle(QStyleFactory.create("Fusion"))
        app.styleHints().colorSchemeChanged.connect(self._system_changed)
        self._put_on()

    @property
    def mode(self) -> Mode:
        """What was chosen; `system` follows the desktop."""
        return self._mode

    def choose(self, mode: Mode) -> None:
        """Change the theme now."""
        if mode != self._mode:
            self._mode = mode
            self._put_on()

    def _system_changed(self, scheme: Qt.ColorScheme) -> None:
        if self._mode == "system":
            self._put_on()

    def _put_on(self) -> None:
        dark = self._mode == "dark" or (
            self._mode == "system" and self._app.styleHints().colorScheme() == Qt.ColorScheme.Dark
        )
        self.palette = DARK if dark else LIGHT
        self.icons.clear()
        self._app.setFont(font("body"))
        self._app.setPalette(_qt_palette(self.palette))
        QToolTip.setFont(font("caption"))
        p = self.palette
        self._app.setStyleSheet(
            style_sheet(
                p,
                {
                    "chevron-down": self.icons.file("chevron-down", p.muted, 12),
                    "chevron-up": self.icons.file("chevron-up", p.muted, 12),
                    "check": self.icons.file("check", p.on_accent, 14),
                },
            )
        )
        self.changed.emit()


def _qt_palette(p: Palette) -> QPalette:
    made = QPalette()
    role = QPalette.ColorRole
    for its, colour in (
        (role.Window, p.window),
        (role.WindowText, p.text),
        (role.Base, p.panel),
        (role.AlternateBase, p.window),
        (role.Text, p.text),
        (role.Button, p.panel),
        (role.ButtonText, p.text),
        (role.ToolTipBase, p.panel),
        (role.ToolTipText, p.text),
        (role.PlaceholderText, p.muted),
        (role.Highlight, p.accent_tint),
        (role.HighlightedText, p.text),
        (role.Link, p.accent_ink),
        (role.Mid, p.line),
    ):
        made.setColor(its, QColor(colour))
    for its in (role.WindowText, role.Text, role.ButtonText):
        made.setColor(QPalette.ColorGroup.Disabled, its, QColor(p.faint))
    return made


_current: list[Theme] = []


def install(app: QApplication, mode: Mode = "system") -> Theme:
    """Put the theme on the application, once; later calls change its mode."""
    if _current and _current[0].parent() is app:
        _current[0].choose(mode)
        return _current[0]
    _current[:] = [Theme(app, mode)]
    return _current[0]


def theme() -> Theme:
    """The installed theme; `install` comes first."""
    return _current[0]
