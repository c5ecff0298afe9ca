"""The application's own icons: SVG files of one stroke, tinted by replacing `currentColor`."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from importlib import resources
from pathlib import Path

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QGuiApplication, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

FALLBACK = "plug"


def svg(name: str) -> str:
    """The text of an icon; of the fallback, when an adapter names one that is not ours."""
    folder = resources.files("resources") / "icons"
    found = folder / f"{name}.svg"
    if not found.is_file():
        found = folder / f"{FALLBACK}.svg"
    return found.read_text(encoding="utf-8")


def picture(name: str, colour: str, size: int, ratio: float | None = None) -> QPixmap:
    """An icon as a picture of `size` logical pixels, sharp on the screen at hand."""
    if ratio is None:
        app = QGuiApplication.instance()
        ratio = app.devicePixelRatio() if isinstance(app, QGuiApplication) else 1.0
    pixmap = QPixmap(round(size * ratio), round(size * ratio))
    pixmap.fill(Qt.GlobalColor.transparent)
    renderer = QSvgRenderer(QByteArray(svg(name).replace("currentColor", colour).encode()))
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    renderer.render(painter, QRectF(0, 0, pixmap.width(), pixmap.height()))
    painter.end()
    pixmap.setDevicePixelRatio(ratio)
    return pixmap


class IconCache:
    """Icons by name and colour, made once a theme; and as files, which a style sheet wants."""

    def __init__(self) -> None:
        self._icons: dict[tuple[str, str, int], QIcon] = {}
        self._folder: Path | None = None

    def icon(self, name: str, colour: str, size: int) -> QIcon:
        """The icon in a colour."""
        key = (name, colour, size)
        if key not in self._icons:
            self._icons[key] = QIcon(picture(name, colour, size))
        return self._icons[key]

    def file(self, name: str, colour: str, size: int) -> str:
        """The path of a tinted picture, with forward slashes."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="strongroom-icons-"))
            atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        path = self._folder / f"{name}-{colour.lstrip('#')}-{size}.png"
        if not path.exists():
            picture(name, colour, size, ratio=2.0).save(str(path))
        return path.as_posix()

    def clear(self) -> None:
        """Forget the icons of the theme before; files stay, since the style sheet may still read them."""
        self._icons.clear()
