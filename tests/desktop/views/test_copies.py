"""A finished run of several databases: what is where, proven how, and why something is not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from desktop.live import LiveRun
from desktop.models.copies import copies_of
from desktop.models.records import STATE_ROLE
from desktop.views.copies import CopiesCard
from desktop.views.run_words import run_problem
from engine.events import Status
from engine.records import ArtifactResult, CopyResult, DestinationResult, Execution

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
PLACES = (
    DestinationResult("d1", "nas", Status.SUCCESS, proof="read back"),
    DestinationResult("d2", "s3", Status.FAILED, error="reset by peer"),
)


def execution(**values: Any) -> Execution:
    given = {
        "artifacts": (
            ArtifactResult("crm", "crm.age", Status.SUCCESS, size=1_000_000),
            ArtifactResult("hr", "hr.age", Status.FAILED, error="The database hr is gone"),
            ArtifactResult("shop", "shop.age", Status.SUCCESS, size=2_000_000),
        ),
        "destinations": PLACES,
        "copies": (
            CopyResult("d1", "crm", "crm.age", Status.SUCCESS, proof="read back"),
            CopyResult("d1", "shop", "shop.age", Status.SUCCESS, proof="read back"),
            CopyResult("d2", "crm", "crm.age", Status.SUCCESS, proof="part checksums"),
            CopyResult("d2", "shop", "shop.age", Status.FAILED, error="reset by peer"),
        ),
        **values,
    }
    return Execution("e1", 1, "run", Status.PARTIAL, NOW, **given)


def test_every_database_says_what_was_proven_at_every_destination() -> None:
    rows = {
        row.database: {name: cell.text for name, cell in row.cells.items()} for row in copies_of(execution())
    }
    assert rows == {
        "crm": {"nas": "✓ read back", "s3": "✓ part checksums"},
        "hr": {"nas": "! no dump: The database hr is gone", "s3": "! no dump: The database hr is gone"},
        "shop": {"nas": "✓ read back", "s3": "✕ reset by peer"},
    }


def test_a_copy_that_was_never_begun_is_no_success() -> None:
    rows = copies_of(execution(copies=()))
    assert rows[0].cells["nas"].text == "– nothing was sent"


def test_the_table_shows_it_and_goes_to_what_failed(qtbot: QtBot) -> None:
    card = CopiesCard()
    qtbot.addWidget(card)
    card.show_execution(execution())
    table = card.table
    assert table is not None and card.isVisible()
    header = [
        table.model().headerData(at, Qt.Orientation.Horizontal) for at in range(table.model().columnCount())
    ]
    assert header == ["Database", "Size", "nas", "s3"]
    chosen = table.selected()
    assert chosen is not None and chosen.database == "shop"
    assert card.said.value == "nas: ✓ read back\ns3: ✕ reset by peer"
    assert table.records.index(2, 3).data(STATE_ROLE).text == "✕ reset by peer"
    spoken = table.records.index(2, 3).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == "s3: reset by peer"


def test_a_run_of_one_database_or_one_that_goes_on_needs_no_table(qtbot: QtBot) -> None:
    card = CopiesCard()
    qtbot.addWidget(card)
    card.show_execution(execution())
    card.show_execution(execution(artifacts=execution().artifacts[:1], copies=execution().copies[:1]))
    assert card.isHidden()
    card.show_execution(execution())
    assert not card.isHidden()
    card.show_execution(None)
    assert card.isHidden()


def test_other_destinations_get_columns_of_their_own(qtbot: QtBot) -> None:
    card = CopiesCard()
    qtbot.addWidget(card)
    card.show_execution(execution())
    card.show_execution(execution(destinations=(DestinationResult("d1", "cellar", Status.SUCCESS),)))
    assert card.table is not None
    assert [column.title for column in card.table.records.columns] == ["Database", "Size", "cellar"]


def run_of(error: str, *results: DestinationResult, status: Status = Status.PARTIAL) -> LiveRun:
    from desktop.live import from_record

    its = Execution("e1", 1, "run", status, NOW, destinations=results, error=error, remedy="Test it.")
    return from_record(its)


def test_what_stands_beside_a_destination_is_only_counted_above() -> None:
    problem = run_problem(run_of("s3: reset by peer", *PLACES))
    assert problem is not None
    assert problem.message == "s3 failed; 1 other destination holds the whole backup."
    failed = DestinationResult("d1", "nas", Status.FAILED, error="full")
    problem = run_problem(run_of("nas: full; s3: reset by peer", failed, PLACES[1], status=Status.FAILED))
    assert problem is not None
    assert problem.message == "No destination got the whole backup: nas, s3 failed."


def test_what_is_no_destinations_failure_is_said_in_full() -> None:
    problem = run_problem(run_of("The database hr is gone", PLACES[0]))
    assert problem is not None
    assert (problem.message, problem.remedy) == ("The database hr is gone", "Test it.")
    assert run_problem(run_of("", PLACES[0], status=Status.SUCCESS)) is None
