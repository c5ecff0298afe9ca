"""The parts: what they say, in words too, and what they keep."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from desktop import words
from desktop.theme import Size, Theme
from desktop.widgets import (
    Bar,
    ElidedLabel,
    EmptyState,
    ErrorPanel,
    KeyValueGrid,
    LogView,
    ProgressRow,
    StageStrip,
    StateChip,
    TitleLabel,
    Toast,
    button,
)
from desktop.worker import Problem
from engine.events import LogEntry, LogLevel, LogType, Stage, Status

NOW = datetime(2026, 11, 24, 3, 0, 0, 12_000, tzinfo=UTC)


def entry(message: str, level: LogLevel = LogLevel.INFO, details: str = "") -> LogEntry:
    return LogEntry(NOW, level, LogType.GENERAL, Stage.DUMP, message, details)


@pytest.mark.parametrize("status", list(Status))
def test_a_chip_says_its_state_in_words(status: Status, qtbot: QtBot) -> None:
    chip = StateChip(words.state_of(status))
    qtbot.addWidget(chip)
    assert chip.accessibleName() == words.state_of(status).word
    assert chip.text().startswith(words.state_of(status).sign)


def test_a_chip_changes_its_colour_with_its_state(qtbot: QtBot) -> None:
    chip = StateChip(words.state_of(Status.RUNNING))
    qtbot.addWidget(chip)
    chip.show()
    before = chip.grab().toImage().pixelColor(3, chip.height() // 2)
    chip.show_state(words.state_of(Status.FAILED))
    assert chip.grab().toImage().pixelColor(3, chip.height() // 2) != before


def test_a_bar_is_filled_as_far_as_it_says(qtbot: QtBot, themed: Theme) -> None:
    bar = Bar()
    qtbot.addWidget(bar)
    bar.resize(200, 6)
    bar.show_percent(50.0, "good")
    picture = bar.grab().toImage()
    assert picture.pixelColor(60, 3).name() == themed.palette.good
    assert picture.pixelColor(160, 3).name() == themed.palette.track
    assert bar.accessibleDescription() == "50 %"


def test_a_bar_without_a_known_end_moves_only_while_it_is_seen(qtbot: QtBot) -> None:
    bar = Bar()
    qtbot.addWidget(bar)
    bar.show_percent(None)
    assert not bar._timer.isActive()
    bar.show()
    assert bar._timer.isActive()
    bar.hide()
    assert not bar._timer.isActive()


def test_a_progress_row_reads_out_all_that_it_shows(qtbot: QtBot) -> None:
    its = ProgressRow("Studio NAS")
    qtbot.addWidget(its)
    its.show_progress(40.0, "bad", "3.0 MB")
    its.show_state(words.State("Failed", "✕", "bad"), "2 stored before", "The disk is full. Make room.")
    assert its.accessibleName() == "Studio NAS"
    assert its.accessibleDescription() == "Failed. 3.0 MB. 2 stored before. The disk is full. Make room."


def test_a_line_that_is_cut_off_is_whole_in_its_tool_tip(qtbot: QtBot) -> None:
    its = ElidedLabel("a reason that is longer than its place", "caption")
    qtbot.addWidget(its)
    its.resize(80, 16)
    its.show()
    assert its.text().endswith("…") and its.toolTip() == its.value == its.accessibleName()
    its.resize(600, 16)
    qtbot.waitUntil(lambda: its.text() == its.value)
    assert its.toolTip() == ""


def test_the_strip_says_each_stage_and_its_state(qtbot: QtBot) -> None:
    strip = StageStrip()
    qtbot.addWidget(strip)
    strip.show_order([Stage.DUMP, Stage.UPLOAD])
    strip.show_stage(Stage.DUMP, "done", "2.4 to 1", 9.0)
    strip.show_stage(Stage.UPLOAD, "active")
    assert strip.state_of(Stage.DUMP) == "done"
    said = [its.accessibleName() for its in strip.findChildren(QWidget) if its.accessibleName()]
    assert "Dump: done" in said
    assert "Upload: under way" in said


def test_the_log_is_plain_text_whatever_a_line_holds(qtbot: QtBot) -> None:
    log = LogView()
    qtbot.addWidget(log)
    log.add([entry("<b>not bold</b> & <script>", details="line one\nline two")])
    assert "<b>not bold</b> & <script>" in log.toPlainText()
    assert log.toPlainText().count("line") == 2


def test_warnings_and_errors_say_their_level_in_words(qtbot: QtBot) -> None:
    log = LogView()
    qtbot.addWidget(log)
    log.add([entry("slow", LogLevel.WARNING), entry("broken", LogLevel.ERROR), entry("fine")])
    lines = log.toPlainText().splitlines()
    assert "warning" in lines[0]
    assert "error" in lines[1]
    assert "dump" in lines[2]


def test_the_log_stays_where_somebody_reads_and_follows_at_its_end(qtbot: QtBot) -> None:
    log = LogView()
    qtbot.addWidget(log)
    log.resize(400, 120)
    log.show()
    log.add([entry(f"line {at}") for at in range(100)])
    bar = log.verticalScrollBar()
    assert bar.value() == bar.maximum()
    bar.setValue(10)
    log.add([entry("new")])
    assert bar.value() == 10
    bar.setValue(bar.maximum())
    log.add([entry("newer")])
    assert bar.value() == bar.maximum()


def test_the_log_can_be_copied_whole_and_survives_a_change_of_theme(qtbot: QtBot, themed: Theme) -> None:
    log = LogView()
    qtbot.addWidget(log)
    log.add([entry("one"), entry("two", LogLevel.ERROR)])
    themed.choose("dark")
    try:
        assert [its.message for its in log.entries] == ["one", "two"]
        log.copy_all()
    finally:
        themed.choose("light")
    assert QGuiApplication.clipboard().text().count("\n") == 1
    assert "two" in QGuiApplication.clipboard().text()


def test_the_same_log_again_changes_nothing(qtbot: QtBot) -> None:
    log = LogView()
    qtbot.addWidget(log)
    log.show_log([entry("one")])
    revision = log.document().revision()
    log.show_log([entry("one")])
    assert log.document().revision() == revision
    log.show_log([entry("one"), entry("two")])
    assert len(log.entries) == 2
    log.show_log([entry("other")])
    assert [its.message for its in log.entries] == ["other"]


def test_facts_keep_their_labels_while_values_change(qtbot: QtBot) -> None:
    grid = KeyValueGrid([("Next", "today 03:00")])
    qtbot.addWidget(grid)
    its = grid._values["Next"]
    grid.show_facts([("Next", "tomorrow 03:00", "exactly")])
    assert grid._values["Next"] is its
    assert grid.value("Next") == "tomorrow 03:00"
    assert its.toolTip() == "exactly"
    grid.show_facts([("Source", "shop")])
    assert grid.value("Source") == "shop"


def test_an_error_says_what_failed_then_what_to_do(qtbot: QtBot) -> None:
    asked: list[bool] = []
    panel = ErrorPanel(lambda: asked.append(True))
    qtbot.addWidget(panel)
    panel.show_problem(Problem("It broke.", "Mend it.", details="OSError: gone"))
    assert panel.isVisible()
    assert "It broke." in panel.message.value
    assert panel.remedy.value == "Mend it."
    assert panel.details.value == "OSError: gone"
    panel.show_problem(None)
    assert panel.isHidden()


def test_an_empty_list_s_text_is_shown_to_its_last_line(qtbot: QtBot) -> None:
    empty = EmptyState(
        "sources", "No source yet", "Something that has to be said in more than one line. " * 4
    )
    qtbot.addWidget(empty)
    empty.resize(1000, 700)
    empty.show()
    assert empty.text.height() >= empty.text.heightForWidth(empty.text.width())
    assert empty.text.width() > 300


def test_a_toast_goes_by_itself_and_can_be_acted_on(qtbot: QtBot) -> None:
    host = QWidget()
    qtbot.addWidget(host)
    host.resize(500, 300)
    host.show()
    toast = Toast(host)
    undone: list[bool] = []
    toast.say("Deleted.", "Undo", lambda: undone.append(True))
    assert toast.text() == "Deleted."
    assert host.rect().contains(toast.geometry())
    qtbot.mouseClick(toast._action, Qt.MouseButton.LeftButton)
    assert undone == [True]
    assert toast.isHidden()


def test_a_button_is_pressed_by_mouse_and_by_keyboard(qtbot: QtBot) -> None:
    pressed: list[int] = []
    its = button("Run", lambda: pressed.append(1), kind="primary", icon="play", name="Run the job")
    qtbot.addWidget(its)
    its.show()
    qtbot.mouseClick(its, Qt.MouseButton.LeftButton)
    qtbot.keyClick(its, Qt.Key.Key_Space)
    assert pressed == [1, 1]
    assert its.accessibleName() == "Run the job"
    assert not its.icon().isNull()


def test_a_long_name_of_a_fact_takes_no_room_from_its_value(qtbot: QtBot) -> None:
    grid = KeyValueGrid([("Path", "/srv"), ("What an adapter calls its setting, at length", "yes")])
    qtbot.addWidget(grid)
    grid.resize(300, 200)
    grid.show()
    assert grid.minimumSizeHint().width() < 300


@pytest.mark.parametrize("value", ["AKIAIOSFODNN7EXAMPLE", "companybackupsfrankfurt1"])
def test_a_key_or_a_bucket_fits_into_a_narrow_panel(qtbot: QtBot, value: str) -> None:
    facts = KeyValueGrid([("Value", value)])
    qtbot.addWidget(facts)
    assert facts.minimumSizeHint().width() <= Size.SIDE_PANEL_SMALL - 2 * (Size.MARGIN + Size.CARD_PADDING)
    assert facts.value("Value") == value


def test_a_title_is_whole_where_there_is_room_and_cut_where_there_is_none(qtbot: QtBot) -> None:
    head = QWidget()
    qtbot.addWidget(head)
    title, beside = TitleLabel("nightly " * 12, "page"), button("Run now")
    line = QHBoxLayout(head)
    line.addWidget(title)
    line.addStretch(1)
    line.addWidget(beside)
    head.resize(2000, 60)
    head.show()
    qtbot.waitUntil(lambda: title.text() == title.value.strip())
    head.resize(400, 60)
    qtbot.waitUntil(lambda: title.text().endswith("…"))
    assert beside.geometry().right() <= 400 and title.toolTip() == title.value


def test_a_long_toast_takes_lines_and_stays_within_the_window(qtbot: QtBot) -> None:
    host = QWidget()
    qtbot.addWidget(host)
    host.resize(500, 400)
    host.show()
    toast = Toast(host)
    toast.say("saved")
    short = toast.size()
    toast.say("It is not saved. " * 12)
    assert toast.width() <= 500 and toast.x() >= 0
    assert toast.height() > short.height() > 0
    toast.say("saved")
    assert toast.size() == short
