"""How an execution that ended is told: each destination in a line, each copy where they differ."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.cli import documents, summary
from engine.cli.output import Output
from engine.events import Status
from engine.records import ArtifactResult, CopyResult, DestinationResult, Execution

BEGAN = datetime(2026, 11, 24, 3, tzinfo=UTC)


def mixed() -> Execution:
    """Two databases at two destinations, of which the second lacks one."""
    return Execution(
        id="k3f9abcdef",
        seq=7,
        kind="run",
        status=Status.PARTIAL,
        queued_at=BEGAN,
        started_at=BEGAN,
        finished_at=BEGAN + timedelta(seconds=12),
        job_name="shop-nightly",
        error="far: No space is left",
        remedy="Free space there.",
        artifacts=(
            ArtifactResult("crm", "shop/crm.age", Status.SUCCESS, 1000, 4000, "aa" * 32),
            ArtifactResult("shop", "shop/shop.age", Status.SUCCESS, 2000, 8000, "bb" * 32),
        ),
        destinations=(
            DestinationResult("d1", "near", Status.SUCCESS, 0, "shop/crm.age", "read back"),
            DestinationResult("d2", "far", Status.FAILED, 1, "shop/crm.age", "sum", "No space is left"),
        ),
        copies=(
            CopyResult("d1", "crm", "shop/crm.age", Status.SUCCESS, "read back"),
            CopyResult("d1", "shop", "shop/shop.age", Status.SUCCESS, "read back"),
            CopyResult("d2", "crm", "shop/crm.age", Status.SUCCESS, "sum"),
            CopyResult("d2", "shop", "shop/shop.age", Status.FAILED, None, "No space is left"),
        ),
    )


def test_copies_are_told_one_by_one_where_not_all_went_the_same_way(
    capsys: pytest.CaptureFixture[str],
) -> None:
    summary.tell(Output(), mixed())

    lines = capsys.readouterr().out.splitlines()
    at = lines.index("  → near: Success, verified: read back")
    assert lines[at + 1 :] == [
        "  → far: Failed. No space is left",
        "      crm: Success, verified: sum",
        "      shop: Failed. No space is left",
        "  far: No space is left",
        "  Free space there.",
    ]


def test_a_document_names_the_good_copy_of_a_destination_that_failed_another() -> None:
    document = documents.execution(mixed())

    assert [[copy["destination"] for copy in its["copies"]] for its in document["backups"]] == [
        ["near", "far"],
        ["near"],
    ]
    [near, far] = document["destinations"]
    assert (near["status"], far["status"]) == ("Success", "Failed")
    assert [(its["database"], its["status"], its["proof"], its["error"]) for its in far["copies"]] == [
        ("crm", "Success", "sum", None),
        ("shop", "Failed", None, "No space is left"),
    ]
    assert far["copies"][0]["id"] == document["backups"][0]["copies"][1]["id"]
    assert far["copies"][1]["id"] is None


def test_a_database_that_no_destination_stores_is_no_backup() -> None:
    execution = mixed()
    lost = Execution(
        **{
            **{name: getattr(execution, name) for name in execution.__slots__},
            "copies": tuple(its for its in execution.copies if its.database == "crm"),
        }
    )

    assert [its["database"] for its in documents.execution(lost)["backups"]] == ["crm"]
