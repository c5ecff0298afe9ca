"""LogView: the log of an execution, line by line, that stays at its end until somebody scrolls up."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtGui import QColor, QGuiApplication, QTextCharFormat, QTextCursor, QTextOption
from PySide6.QtWidgets import QPlainTextEdit

from desktop.theme import Tone, set_role, theme
from engine.events import LogEntry, LogLevel

MOST_LINES = 5000
"""What the view keeps; the store keeps every line."""

_TONES: dict[LogLevel, Tone] = {
    LogLevel.INFO: "quiet",
    LogLevel.SUCCESS: "good",
    LogLevel.WARNING: "risk",
    LogLevel.ERROR: "bad",
}


def plain(entry: LogEntry) -> str:
    """A line as it is copied and saved: local time, level, stage, message, details."""
    text = f"{_clock(entry)}  {entry.level.value:<8} {entry.stage.value:<11} {entry.message}"
    details = "".join(f"\n    {line}" for line in entry.details.splitlines())
    return text + details


def _clock(entry: LogEntry) -> str:
    return entry.at.astimezone().strftime("%H:%M:%S.%f")[:-3]


class LogView(QPlainTextEdit):
    """Reads like a console. Warnings and errors say their level in words, not in colour alone."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("log")
        self.setReadOnly(True)
        self.setAccessibleName("Log")
        self.setMaximumBlockCount(MOST_LINES)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setTabChangesFocus(True)
        self.setPlaceholderText("The log begins when the run does.")
        set_role(self, "mono")
        self._entries: list[LogEntry] = []
        theme().changed.connect(self._repaint)

    @property
    def entries(self) -> Sequence[LogEntry]:
        """What is shown."""
        return self._entries

    def show_log(self, entries: Sequence[LogEntry]) -> None:
        """Show this log; what it shares with the one that is shown stays where it is."""
        known = len(self._entries)
        if known and list(entries[:known]) == self._entries:
            self.add(entries[known:])
            return
        self.clear()
        self._entries = []
        self.add(entries)

    def add(self, entries: Sequence[LogEntry]) -> None:
        """Append lines."""
        if not entries:
            return
        bar = self.verticalScrollBar()
        at_end = bar.value() >= bar.maximum() - 2
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        for entry in entries:
            self._append(cursor, entry)
            self._entries.append(entry)
        cursor.endEditBlock()
        del self._entries[:-MOST_LINES]
        if at_end:
            bar.setValue(bar.maximum())

    def text(self) -> str:
        """The whole log as text."""
        return "\n".join(plain(entry) for entry in self._entries)

    def copy_all(self) -> None:
        """Put the whole log on the clipboard."""
        QGuiApplication.clipboard().setText(self.text())

    def _append(self, cursor: QTextCursor, entry: LogEntry) -> None:
        p = theme().palette
        cursor.movePosition(QTextCursor.MoveOperation.End)
        if not self.document().isEmpty():
            cursor.insertBlock()
        loud = entry.level in (LogLevel.WARNING, LogLevel.ERROR)
        word = entry.level.value if loud else entry.stage.value
        ink = p.ink(_TONES[entry.level])
        cursor.insertText(f"{_clock(entry)}  ", _colour(p.muted))
        cursor.insertText(f"{word:<11} ", _colour(ink))
        cursor.insertText(entry.message, _colour(ink if loud else p.text))
        for line in entry.details.splitlines():
            cursor.insertBlock()
            cursor.insertText(" " * 26 + line, _colour(p.muted))

    def _repaint(self) -> None:
        entries, self._entries = self._entries, []
        self.clear()
        self.add(entries)


def _colour(colour: str) -> QTextCharFormat:
    made = QTextCharFormat()
    made.setForeground(QColor(colour))
    return made
