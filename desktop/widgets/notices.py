"""EmptyState, ErrorPanel, Notice, Toast: what the window says when there is nothing, or a problem."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QVBoxLayout, QWidget

from desktop.theme import Size, Tone, picture, theme
from desktop.widgets.basic import button, column, label, repolish, row, set_ink
from desktop.widgets.value import ValueLabel
from desktop.worker import Problem

TOAST_MS = 5000


class EmptyState(QWidget):
    """A list without rows: what belongs here, why one wants it, and the way to the first one."""

    def __init__(self, icon: str, title: str, text: str, action: QPushButton | None = None) -> None:
        super().__init__()
        self._icon = icon
        self._picture = QLabel()
        self._picture.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.title = label(title, "detail")
        self.title.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.text = label(text, muted=True, wrap=True)
        self.text.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.text.setMaximumWidth(Size.FORM - 200)
        inner = column(self._picture, self.title, gap=Size.GAP + Size.GRID)
        # Stretches, not an alignment: a layout gives an aligned label the height of one line.
        line = row(gap=0)
        line.addStretch(1)
        line.addWidget(self.text, 1000)
        line.addStretch(1)
        inner.addLayout(line)
        if action is not None:
            inner.addSpacing(Size.GRID)
            inner.addWidget(action, 0, Qt.AlignmentFlag.AlignHCenter)
        outer = QVBoxLayout(self)
        outer.addStretch(2)
        outer.addLayout(inner)
        outer.addStretch(3)
        self._tint()
        theme().changed.connect(self._tint)

    def say(self, title: str, text: str) -> None:
        """Say something else, for a search that found nothing."""
        self.title.setText(title)
        self.text.setText(text)

    def _tint(self) -> None:
        self._picture.setPixmap(picture(self._icon, theme().palette.faint, Size.ICON_LARGE))


class ErrorPanel(QFrame):
    """A problem: what failed, what to do, then details. Hidden while there is none."""

    def __init__(self, retry: Callable[[], object] | None = None) -> None:
        super().__init__()
        self.setObjectName("errorpanel")
        self.message = ValueLabel("", "strong")  # a path or a fingerprint in it may break anywhere
        set_ink(self.message, "bad")
        self.remedy = ValueLabel()
        self.details = ValueLabel("", "caption")
        self.details.setProperty("muted", "true")
        self._retry = button("Try again", retry) if retry is not None else None
        texts = column(self.message, self.remedy, self.details, gap=Size.GRID)
        line = row(gap=Size.GAP)
        line.addLayout(texts, 1)
        if self._retry is not None:
            line.addWidget(self._retry, 0, Qt.AlignmentFlag.AlignTop)
        line.setContentsMargins(Size.CARD_PADDING, Size.GAP + 2, Size.CARD_PADDING, Size.GAP + 2)
        self.setLayout(line)
        self.hide()

    def show_problem(self, problem: Problem | None, *, partly: bool = False) -> None:
        """Show a problem, or nothing; `partly` for what went well in part."""
        self.setVisible(problem is not None)
        if problem is None:
            return
        tone: Tone = "risk" if partly else "bad"
        if self.property("tone") != tone:
            self.setProperty("tone", tone)
            repolish(self)
            set_ink(self.message, tone)
        self.message.show_value(f"{'!' if partly else '✕'} {problem.message}")
        for its, text in ((self.remedy, problem.remedy), (self.details, problem.details)):
            its.show_value(text)
            its.setVisible(bool(text))
        self.setAccessibleName(f"Error: {problem.message}")
        self.setAccessibleDescription(problem.remedy)


class Notice(QFrame):
    """Something to know that is not an error."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.setObjectName("notice")
        self.text = label(text, wrap=True)
        set_ink(self.text, "risk")
        line = row(self.text)
        line.setContentsMargins(Size.CARD_PADDING, Size.GAP, Size.CARD_PADDING, Size.GAP)
        self.setLayout(line)
        self.setVisible(bool(text))

    def say(self, text: str) -> None:
        """Say it; an empty text hides the notice."""
        self.text.setText(text and f"! {text}")
        self.setVisible(bool(text))


class Toast(QFrame):
    """A short word at the lower edge that goes by itself, with something to do about it where there is."""

    def __init__(self, host: QWidget) -> None:
        super().__init__(host)
        self._host = host
        self.setObjectName("toast")
        self._text = label("", wrap=True)
        self._action = button("", self._act, kind="link")
        self._on_action: Callable[[], object] | None = None
        line = row(self._text, self._action)
        line.setContentsMargins(Size.CARD_PADDING, Size.GAP, Size.CARD_PADDING, Size.GAP)
        self.setLayout(line)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.hide)
        host.installEventFilter(self)
        self.hide()

    def say(self, text: str, action: str = "", on_action: Callable[[], object] | None = None) -> None:
        """Show a word for some seconds; screen readers are told by the accessible name."""
        self._text.setText(text)
        self.setAccessibleName(text)
        self._on_action = on_action
        self._action.setText(action)
        self._action.setVisible(bool(action))
        room = self._host.width() - 2 * (Size.MARGIN + Size.CARD_PADDING)
        if action:
            room -= self._action.sizeHint().width() + Size.GAP
        words = self._text.fontMetrics().horizontalAdvance(text) + Size.GRID
        self._text.setFixedWidth(max(1, min(words, room)))  # what is long takes lines, not the window's edge
        self.adjustSize()
        self._place()
        self.show()
        self.raise_()
        self._timer.start(TOAST_MS)

    def text(self) -> str:
        """What is being said."""
        return self._text.text() if self.isVisible() else ""

    def _act(self) -> None:
        self.hide()
        if self._on_action is not None:
            self._on_action()

    def _place(self) -> None:
        host = self._host
        self.move((host.width() - self.width()) // 2, host.height() - self.height() - Size.MARGIN)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and self.isVisible():
            self._place()
        return super().eventFilter(watched, event)
