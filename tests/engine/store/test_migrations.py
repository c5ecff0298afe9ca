"""Each migration on a file as the older Strongroom left it: nothing is lost, what is new is filled in."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from engine.events import Status
from engine.records import CopyResult
from engine.store import schema
from engine.store.database import Store
from engine.store.sessions import make_engine

WHEN = "2026-11-24 03:00:00.000000"


def old_file(path: Path, revision: str, rows: Mapping[str, list[dict[str, object]]]) -> Path:
    """A file of that revision with these rows, as only the migrations make it."""
    engine = make_engine(path, "BEGIN IMMEDIATE", foreign_keys=False)
    schema.upgrade(engine, revision)
    engine.dispose()
    with closing(sqlite3.connect(path)) as database, database:
        for table, its in rows.items():
            for row in its:
                names, marks = ", ".join(row), ", ".join("?" * len(row))
                database.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))  # noqa: S608 - the test's own names
    return path


def execution(id: str, seq: int, status: str) -> dict[str, object]:
    return {
        "id": id,
        "seq": seq,
        "kind": "run",
        "job_id": "job1",
        "job_name": "shop-nightly",
        "trigger": "manual",
        "trigger_reason": "",
        "status": status,
        "queued_at": WHEN,
        "started_at": WHEN,
        "finished_at": WHEN,
        "owner": "",
        "attempt": 1,
        "cancel_requested": 0,
        "working": 0,
        "stage": "completion",
        "bytes_in": 0,
        "bytes_out": 0,
        "labels": "{}",
    }


def artifact(
    execution: str, database: str, status: str = "Success", size: int | None = 700
) -> dict[str, object]:
    name = f"shop/{database}.age"
    return {"execution_id": execution, "database": database, "name": name, "status": status, "size": size}


def result(execution: str, id: str, status: str, **values: object) -> dict[str, object]:
    row = {"execution_id": execution, "destination_id": id, "destination_name": id, "priority": 0}
    return {**row, "status": status, "bytes_sent": 0, **values}


def test_0002_knows_of_each_copy_what_the_destinations_result_told(tmp_path: Path) -> None:
    path = old_file(
        tmp_path / "strongroom.db",
        "0001",
        {
            "settings": [{"key": "installationId", "value": '"0123456789abcdef"'}],
            "executions": [execution("one", 1, "Partial"), execution("two", 2, "Failed")],
            "artifacts": [
                artifact("one", "crm"),
                artifact("one", "gone", "Failed", None),
                artifact("one", "shop"),
                artifact("two", "shop"),
            ],
            "destination_results": [
                result("one", "near", "Success", priority=0, path="shop/crm.age", proof="read back"),
                result("one", "far", "Failed", priority=1, path="shop/crm.age", proof="sum", error="full"),
                result("two", "near", "Failed", error="refused"),
            ],
            "log_entries": [
                {
                    "execution_id": "one",
                    "at": WHEN,
                    "level": "info",
                    "type": "general",
                    "stage": "dump",
                    "message": "Dumping shop.",
                    "details": "",
                }
            ],
        },
    )

    with Store(path) as store:
        one, two = store.executions.get("one"), store.executions.get("two")
        assert store.installation_id == "0123456789abcdef"
        assert [line.entry.message for line in store.logs.list("one")] == ["Dumping shop."]
        assert [(its.database, its.status) for its in one.artifacts] == [
            ("crm", Status.SUCCESS),
            ("gone", Status.FAILED),
            ("shop", Status.SUCCESS),
        ]
        assert [(its.name, its.status) for its in one.destinations] == [
            ("near", Status.SUCCESS),
            ("far", Status.FAILED),
        ]
        assert one.copies == (
            CopyResult("near", "crm", "shop/crm.age", Status.SUCCESS, "read back", None, 700),
            CopyResult("near", "shop", "shop/shop.age", Status.SUCCESS, "read back", None, 700),
            CopyResult("far", "crm", "shop/crm.age", Status.SUCCESS, "sum", None, 700),
            CopyResult("far", "shop", "shop/shop.age", Status.FAILED, None, "full", 0),
        )
        assert two.copies == (CopyResult("near", "shop", "shop/shop.age", Status.FAILED, None, "refused", 0),)
    assert path.with_name("strongroom.db.0001").exists(), "the old file is kept for the older program"
