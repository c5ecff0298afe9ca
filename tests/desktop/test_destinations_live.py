"""Several destinations of one run, seen while they are slow, fail, are tried again, and when all is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from desktop.views.confirm import ConfirmDialog
from desktop.views.job import JobView
from desktop.views.jobs import JobsView
from engine.contract.registry import Registry
from engine.events import Status
from engine.records import Job, JobDestination, JobOptions
from engine.workspace import Workspace
from tests.conftest import make_shop
from tests.desktop.driver import Driver
from tests.desktop.posing import PosedFolder, posed, posing_registry


@pytest.fixture
def registry() -> Registry:
    PosedFolder.failures.clear()
    return posing_registry()


def started(
    driver: Driver,
    databases: list[str] | None = None,
    rows: int = 200,
    compression: str = "zstd",
    **places: dict[str, Any],
) -> JobView:
    """The page of a job that was just started, with these destinations."""

    def configure(workspace: object) -> object:
        its = cast(Workspace, workspace)
        path = make_shop(driver.folder / "shop.sqlite", rows)
        values = {"path": str(path), "names": databases or []}
        source = its.endpoints.save("source", "company", "faulty-source", values)
        chosen = [
            its.endpoints.save("destination", name, "posed-folder", posed(driver.folder / name, **config))
            for name, config in places.items()
        ]
        to = tuple(JobDestination(place.id, place.name, at) for at, place in enumerate(chosen))
        options = JobOptions(upload_attempts=3)
        return its.jobs.save(
            Job(
                "",
                "nightly",
                source.id,
                source.name,
                to,
                compression=compression,
                encryption="none",
                options=options,
            )
        )

    driver.read(configure)
    driver.session.refresh()
    driver.until(lambda: len(driver.session.snapshot.jobs) == 1)
    page = driver.open_job("nightly")
    driver.press("Run now")
    return page


def test_a_retry_counts_down_in_its_row_while_the_others_go_on(driver: Driver) -> None:
    page = started(driver, nas={}, s3={"fails_after": 0, "times": 1, "message": "Reset by peer"})
    rows = page.panel.destinations
    driver.until(lambda: rows.names == ["nas", "s3"])
    seen: list[str] = []

    def counted() -> bool:
        text = rows.row("s3").state.text()
        if "Trying again in" in text and text not in seen:
            seen.append(text)
        return len(seen) > 1

    driver.until(counted)
    assert seen[0].endswith("(attempt 2 of 3)")
    seconds = [int(text.split(" in ")[1].split(" s")[0]) for text in seen]
    assert seconds[1] == seconds[0] - 1, "no second is left out, and no event is needed for it"
    assert rows.row("s3").detail.value == "Reset by peer"
    driver.until(lambda: page.panel.state.ended)
    assert page.panel.state is Status.SUCCESS
    driver.until(lambda: rows.row("s3").state.text() == "✓ Stored")


def test_one_that_fails_says_why_beside_it_and_what_to_do(driver: Driver) -> None:
    page = started(
        driver,
        nas={},
        s3={"fails_after": 0, "transient": False, "message": "Access denied", "remedy": "Renew the key."},
    )
    rows = page.panel.destinations
    driver.until(lambda: page.panel.state.ended)
    assert page.panel.state is Status.PARTIAL
    assert rows.row("s3").state.text() == "✕ Failed"
    assert rows.row("s3").problem.value == "Access denied. Renew the key."
    driver.until(lambda: "read back" in rows.row("nas").detail.value)
    assert page.panel.error.message.value == "! s3 failed; 1 other destination holds the whole backup."
    assert page.panel.copies.isHidden(), "one database needs no table"


def test_several_databases_name_the_one_on_its_way_and_end_in_a_table(driver: Driver) -> None:
    page = started(
        driver,
        databases=["crm", "orders", "shop"],
        nas={"pace": 12_000},
        s3={"fails_after": 1000, "times": 1, "transient": False, "message": "No room is left"},
    )
    rows = page.panel.destinations
    driver.until(lambda: rows.names == ["nas", "s3"])
    driver.until(lambda: rows.row("nas").state.text() == "● Uploading orders")
    driver.until(lambda: "1 stored before" in rows.row("nas").detail.value)
    driver.until(lambda: page.panel.state.ended)
    assert page.panel.state is Status.PARTIAL
    driver.until(page.panel.copies.isVisible)
    table = page.panel.copies.table
    assert table is not None
    cells = {row.database: {name: its.text for name, its in row.cells.items()} for row in table.records.rows}
    assert all(row["nas"].startswith("✓ read back") for row in cells.values())
    failed = [name for name, row in cells.items() if row["s3"] == "✕ No room is left"]
    assert len(failed) == 1
    assert rows.row("nas").state.text() == "✓ All 3 stored"
    assert rows.row("s3").state.text() == "! 2 of 3 stored"
    assert rows.row("s3").problem.value.startswith(f"{failed[0]}: No room is left.")
    chosen = table.selected()
    assert chosen is not None and chosen.database == failed[0]


def test_the_page_of_a_run_of_long_ago_shows_the_same(driver: Driver) -> None:
    page = started(driver, databases=["crm", "shop"], nas={}, s3={})
    driver.until(lambda: page.panel.state is Status.SUCCESS)
    driver.until(page.panel.copies.isVisible)
    its = page.follower.execution_id
    driver.read(lambda workspace: workspace.wait(its, 30))  # type: ignore[attr-defined]  # its last events, too
    driver.session.live._runs.clear()  # as after a restart: it comes from the store
    driver.application.window.show_execution(its)
    again = driver.execution()
    driver.until(again.panel.copies.isVisible)
    assert again.panel.destinations.row("s3").state.text() == "✓ All 2 stored"


def test_a_cancel_is_told_of_each_destination(driver: Driver, tmp_path: Path) -> None:
    page = started(driver, nas={"pace": 10_000}, s3={"pace": 10_000})
    rows = page.panel.destinations
    driver.until(lambda: rows.names == ["nas", "s3"])
    driver.until(lambda: rows.row("nas").state.text().startswith("● Uploading"))
    driver.press("Cancel this run")
    driver.until(lambda: page.panel.state is Status.CANCELLED)
    driver.until(lambda: [rows.row(name).state.text() for name in rows.names] == ["– Cancelled"] * 2)


def test_a_run_is_only_as_far_as_its_slowest_destination_everywhere_it_is_told(driver: Driver) -> None:
    page = started(driver, rows=8_000, compression="none", nas={}, s3={"pace": 150_000})
    rows = page.panel.destinations
    driver.until(lambda: rows.names == ["nas", "s3"])
    driver.until(lambda: rows.row("nas").state.text() == "✓ Stored")
    driver.until(lambda: 0 < (rows.row("s3").bar.percent or 0) < 90)
    row, run = rows.row("s3").bar.percent or 0, page.panel.bar.percent
    assert run is not None and abs(run - row) < 20, "the dump ended long ago"
    assert page.chip.text() == f"● Running {int(run)} %"
    jobs = driver.go("jobs")
    assert isinstance(jobs, JobsView)
    driver.until(lambda: jobs.model.rows[0].state.word.startswith("Running "))
    assert int(jobs.model.rows[0].state.word.split()[1]) < 99
    driver.window.close()
    question = driver.dialog(ConfirmDialog)
    said = int(question.heading.text().split("(")[1].split(" %")[0])
    assert said < 99
    driver.press("Keep the window open", question)
    driver.application.session.cancel_all()
    driver.until(lambda: page.panel.state is Status.CANCELLED)
