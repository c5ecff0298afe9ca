"""Rows keep their place while values change."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from desktop.models.records import Column, RecordsModel
from desktop.widgets import RecordTable
from desktop.words import State


@dataclass(frozen=True)
class Thing:
    id: str
    name: str
    size: int = 0
    state: State | None = None


COLUMNS = (
    Column[Thing]("Name", lambda its: its.name, 100, 1),
    Column[Thing]("Size", lambda its: str(its.size), 60, right=True, sort=lambda its: its.size, drop=1),
    Column[Thing]("State", lambda its: "", 80, state=lambda its: its.state),
)
A, B, C = Thing("a", "apple", 3), Thing("b", "banana", 20), Thing("c", "cherry", 100)


@pytest.fixture
def model() -> RecordsModel[Thing]:
    made = RecordsModel(COLUMNS, lambda its: its.id)
    QAbstractItemModelTester(made, QAbstractItemModelTester.FailureReportingMode.Fatal)
    made.show_rows([A, B])
    return made


@pytest.fixture
def table(model: RecordsModel[Thing], qtbot: QtBot) -> RecordTable[Thing]:
    made = RecordTable(model, "Things")
    qtbot.addWidget(made)
    made.resize(400, 300)
    made.show()
    return made


def names(table: RecordTable[Thing]) -> list[str]:
    model = table.model()
    return [str(model.index(at, 0).data()) for at in range(model.rowCount())]


def test_a_changed_value_changes_its_row_alone(model: RecordsModel[Thing], qtbot: QtBot) -> None:
    changes: list[tuple[int, int]] = []
    model.dataChanged.connect(lambda first, last: changes.append((first.row(), last.row())))
    resets: list[bool] = []
    model.modelReset.connect(lambda: resets.append(True))
    model.show_rows([A, replace(B, size=21)])
    assert changes == [(1, 1)]
    assert resets == []


def test_rows_come_and_go_where_they_belong(model: RecordsModel[Thing]) -> None:
    model.show_rows([C, A, B])
    assert list(model.rows) == [C, A, B]
    model.show_rows([C, B])
    assert list(model.rows) == [C, B]
    model.show_rows([B, A, C])
    assert list(model.rows) == [B, A, C]
    model.show_rows([])
    assert list(model.rows) == []


def test_the_selection_stays_on_its_record(
    model: RecordsModel[Thing], table: RecordTable[Thing], qtbot: QtBot
) -> None:
    table.select("b")
    model.show_rows([C, A, replace(B, size=99)])
    chosen = table.selected()
    assert chosen is not None and chosen.id == "b" and chosen.size == 99


def test_a_column_sorts_by_its_value_not_by_its_words(
    model: RecordsModel[Thing], table: RecordTable[Thing]
) -> None:
    model.show_rows([C, A, B])
    table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    assert names(table) == ["apple", "banana", "cherry"]


def test_a_search_wants_every_word_in_whichever_column(
    model: RecordsModel[Thing], table: RecordTable[Thing]
) -> None:
    model.show_rows([A, B, replace(C, state=State("Failed", "✕", "bad"))])
    table.search("FAIL cher")
    assert names(table) == ["cherry"]
    table.search("cher 3")
    assert names(table) == []
    table.search("")
    assert len(names(table)) == 3


def test_a_state_is_said_with_its_sign_and_read_out_by_its_word(model: RecordsModel[Thing]) -> None:
    model.show_rows([replace(A, state=State("Failed", "✕", "bad"))])
    index = model.index(0, 2)
    assert index.data() == "✕ Failed"
    assert index.data(Qt.ItemDataRole.AccessibleTextRole) == "State: Failed"


def test_enter_and_a_double_click_open_a_record(table: RecordTable[Thing], qtbot: QtBot) -> None:
    opened: list[object] = []
    table.opened.connect(opened.append)
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=table.point_of("b"))
    qtbot.keyClick(table, Qt.Key.Key_Return)
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=table.point_of("a"))
    qtbot.mouseDClick(table.viewport(), Qt.MouseButton.LeftButton, pos=table.point_of("a"))
    assert opened == [B, A]


def test_a_narrow_list_leaves_out_what_matters_least(table: RecordTable[Thing]) -> None:
    assert not table.isColumnHidden(1)
    table.resize(200, 300)
    assert table.isColumnHidden(1)
    assert not table.isColumnHidden(0)
    table.resize(400, 300)
    assert not table.isColumnHidden(1)
