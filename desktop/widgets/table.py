"""RecordTable: the list of every view. Lines instead of a grid, chips in cells, columns that make room."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from PySide6.QtCore import (
    QModelIndex,
    QPersistentModelIndex,
    QRectF,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFontMetrics, QKeyEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from desktop.models.records import MUTED_ROLE, RECORD_ROLE, SORT_ROLE, STATE_ROLE, RecordsModel
from desktop.theme import Size, font, set_role, theme
from desktop.widgets.chip import paint_chip
from desktop.words import State

R = TypeVar("R")
Index = QModelIndex | QPersistentModelIndex


class _Cells(QStyledItemDelegate):
    """Paints a cell: its words, or its state as a chip, and the line below."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(60, Size.ROW)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        p = theme().palette
        box = option.rect
        flags = option.state
        painter.save()
        if flags & QStyle.StateFlag.State_Selected:
            painter.fillRect(box, QColor(p.accent_tint))
        elif flags & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(box, QColor(p.hover))
        painter.fillRect(box.x(), box.bottom(), box.width(), Size.LINE, QColor(p.line))
        inner = box.adjusted(Size.GAP, 0, -Size.GAP, -Size.LINE)
        state = index.data(STATE_ROLE)
        if isinstance(state, State):
            paint_chip(painter, QRectF(inner), state)
        else:
            its = font("body")
            painter.setFont(its)
            painter.setPen(QColor(p.muted if index.data(MUTED_ROLE) else p.text))
            text = QFontMetrics(its).elidedText(
                str(index.data() or ""), Qt.TextElideMode.ElideRight, inner.width()
            )
            painter.drawText(inner, index.data(Qt.ItemDataRole.TextAlignmentRole), text)
        painter.restore()


class _Search(QSortFilterProxyModel):
    """Rows in which every word of the search is found, in whichever column."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._words: list[str] = []
        self.setSortRole(SORT_ROLE)

    def search(self, text: str) -> None:
        self.beginFilterChange()
        self._words = text.casefold().split()
        self.endFilterChange()

    def filterAcceptsRow(self, source_row: int, source_parent: Index) -> bool:
        if not self._words:
            return True
        model = self.sourceModel()
        text = " ".join(
            str(model.index(source_row, column, source_parent).data() or "")
            for column in range(model.columnCount())
        ).casefold()
        return all(word in text for word in self._words)

    def lessThan(self, source_left: Index, source_right: Index) -> bool:
        left, right = source_left.data(SORT_ROLE), source_right.data(SORT_ROLE)
        try:
            return bool(left < right)
        except TypeError:  # None beside a value: what is not known comes first
            return left is None and right is not None


class RecordTable(QTableView, Generic[R]):
    """A list of records. Enter or a double click opens one."""

    opened = Signal(object)
    chosen = Signal(object)
    """The selected record, or None."""

    def __init__(self, model: RecordsModel[R], name: str) -> None:
        super().__init__()
        self.records = model
        self._search = _Search(self)
        self._search.setSourceModel(model)
        self.setModel(self._search)
        self.setAccessibleName(name)
        self.setItemDelegate(_Cells(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setMouseTracking(True)
        self.setTabKeyNavigation(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(Size.ROW)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header = self.horizontalHeader()
        header.setFixedHeight(Size.TABLE_HEADER)
        header.setHighlightSections(False)
        header.setSortIndicatorClearable(True)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        set_role(header, "caption")
        self.setSortingEnabled(True)
        self._search.sort(-1)
        self.doubleClicked.connect(self._open)
        self.selectionModel().selectionChanged.connect(self._tell_choice)
        theme().changed.connect(self.viewport().update)

    def search(self, text: str) -> None:
        """Show the rows that hold every word of the text."""
        self._search.search(text)

    @property
    def shown(self) -> int:
        """How many rows the search leaves."""
        return self._search.rowCount()

    def selected(self) -> R | None:
        """The selected record."""
        indexes = self.selectionModel().selectedRows()
        return indexes[0].data(RECORD_ROLE) if indexes else None

    def select(self, key: str) -> bool:
        """Select the record of that key; False when it is not shown."""
        at = self.records.row_of(key)
        index = self._search.mapFromSource(self.records.index(at, 0)) if at >= 0 else QModelIndex()
        if index.isValid():
            self.setCurrentIndex(index)
            self.selectRow(index.row())
        return index.isValid()

    def select_first(self) -> None:
        """Select the first row, where there is one and none is selected."""
        if self._search.rowCount() and self.selected() is None:
            self.selectRow(0)

    def point_of(self, key: str, column: int = 0) -> Any:
        """The middle of a cell in the viewport, for a click."""
        index = self._search.mapFromSource(self.records.index(self.records.row_of(key), column))
        return self.visualRect(index).center()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._open(self.currentIndex())
            return
        super().keyPressEvent(event)

    def _open(self, index: QModelIndex) -> None:
        if index.isValid():
            self.opened.emit(index.data(RECORD_ROLE))

    def _tell_choice(self) -> None:
        self.chosen.emit(self.selected())

    # ------------------------------------------------------------------------ room for columns

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._share_room()

    def _share_room(self) -> None:
        room = self.viewport().width()
        columns = list(enumerate(self.records.columns))
        kept = columns
        for _, candidate in sorted(columns, key=lambda pair: -pair[1].drop):
            if candidate.drop == 0 or sum(column.width for _, column in kept) <= room:
                break
            kept = [pair for pair in kept if pair[1] is not candidate]
        spare = max(0, room - sum(column.width for _, column in kept))
        parts = sum(column.stretch for _, column in kept) or 1
        left = spare
        shown = {at for at, _ in kept}
        for at, column in columns:
            self.setColumnHidden(at, at not in shown)
            if at in shown:
                extra = spare * column.stretch // parts
                left -= extra
                self.setColumnWidth(at, column.width + extra)
        stretched = [at for at, column in kept if column.stretch]
        if stretched and left > 0:
            self.setColumnWidth(stretched[0], self.columnWidth(stretched[0]) + left)
