"""The table model that all lists share: frozen records in, rows that keep their place out.

A column says how to show a record; the model compares by the record's key, so that a refresh changes
only what changed, and selection, focus and scroll position stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from desktop.theme import font
from desktop.words import State

R = TypeVar("R")
Index = QModelIndex | QPersistentModelIndex
NOWHERE = QModelIndex()

STATE_ROLE = Qt.ItemDataRole.UserRole + 1
RECORD_ROLE = Qt.ItemDataRole.UserRole + 2
MUTED_ROLE = Qt.ItemDataRole.UserRole + 3
SORT_ROLE = Qt.ItemDataRole.UserRole + 4


@dataclass(frozen=True)  # with slots, `Column[R](...)` fails on Python 3.11
class Column(Generic[R]):
    """How a record is shown in one column.

    `width` in pixels, `stretch` its part of what is left over; a column with `drop` above 0 is hidden
    when there is no room, the highest first. `sort` gives what the column sorts by.
    """

    title: str
    text: Callable[[R], str]
    width: int
    stretch: int = 0
    state: Callable[[R], State | None] | None = None
    tip: Callable[[R], str] | None = None
    sort: Callable[[R], Any] | None = None
    right: bool = False
    muted: bool = False
    drop: int = 0


class RecordsModel(QAbstractTableModel, Generic[R]):
    """Records of one kind as rows."""

    def __init__(
        self, columns: Sequence[Column[R]], key: Callable[[R], str], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self._key = key
        self._rows: list[R] = []

    @property
    def rows(self) -> Sequence[R]:
        """The records in their order."""
        return self._rows

    def find(self, key: str) -> R | None:
        """The record of that key."""
        return next((row for row in self._rows if self._key(row) == key), None)

    def row_of(self, key: str) -> int:
        """The row of that key, or -1."""
        return next((at for at, row in enumerate(self._rows) if self._key(row) == key), -1)

    def key_of(self, record: R) -> str:
        """The key of a record."""
        return self._key(record)

    def show_rows(self, rows: Sequence[R]) -> None:
        """Show these records, in this order, changing as little as possible."""
        wanted = {self._key(row) for row in rows}
        for at in range(len(self._rows) - 1, -1, -1):
            if self._key(self._rows[at]) not in wanted:
                self.beginRemoveRows(NOWHERE, at, at)
                del self._rows[at]
                self.endRemoveRows()
        for at, row in enumerate(rows):
            here = self._rows[at] if at < len(self._rows) else None
            if here is not None and self._key(here) == self._key(row):
                if here != row:
                    self._rows[at] = row
                    self._tell(at, at)
                continue
            known = self.row_of(self._key(row))
            if known >= 0:
                self.beginMoveRows(NOWHERE, known, known, NOWHERE, at)
                self._rows.insert(at, self._rows.pop(known))
                self.endMoveRows()
                self._rows[at] = row
                self._tell(at, at)
            else:
                self.beginInsertRows(NOWHERE, at, at)
                self._rows.insert(at, row)
                self.endInsertRows()

    def replace(self, record: R) -> None:
        """Show a newer value of one record; nothing when it is not shown."""
        at = self.row_of(self._key(record))
        if at >= 0 and self._rows[at] != record:
            self._rows[at] = record
            self._tell(at, at)

    def refresh_words(self) -> None:
        """Have all rows painted anew: relative times went on."""
        if self._rows:
            self._tell(0, len(self._rows) - 1)

    def _tell(self, first: int, last: int) -> None:
        self.dataChanged.emit(self.index(first, 0), self.index(last, len(self.columns) - 1))

    # ------------------------------------------------------------------------------ Qt's side

    def rowCount(self, parent: Index = NOWHERE) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = NOWHERE) -> int:
        return 0 if parent.isValid() else len(self.columns)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        column = self.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.title
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.FontRole:
            return font("caption")
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        record, column = self._rows[index.row()], self.columns[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            state = column.state(record) if column.state is not None else None
            return state.text if state is not None else column.text(record)
        if role == STATE_ROLE:
            return column.state(record) if column.state is not None else None
        if role == Qt.ItemDataRole.ToolTipRole:
            return column.tip(record) if column.tip is not None else None
        if role == RECORD_ROLE:
            return record
        if role == MUTED_ROLE:
            return column.muted
        if role == SORT_ROLE:
            return column.sort(record) if column.sort is not None else column.text(record).casefold()
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.AccessibleTextRole:
            state = column.state(record) if column.state is not None else None
            return f"{column.title}: {state.word if state else column.text(record)}"
        return None
