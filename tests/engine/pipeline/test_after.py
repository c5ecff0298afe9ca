"""What comes after the status is settled: people are told, and retention keeps to its guards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from engine.clock import utc_now
from engine.events import LogLevel, Stage, Status
from engine.records import Job, JobNotifier, JobOptions
from tests.conftest import Bench, make_shop
from tests.parts.webhook import SECRET, Server, webhook


@pytest.fixture
def server() -> Iterator[Server]:
    with webhook() as server:
        yield server


def told(bench: Bench, server: Server, job: Job, *statuses: Status) -> Job:
    """The job, with a notifier that hears of these statuses."""
    notifier = bench.workspace.endpoints.save("notifier", "ops", "apprise", {"url": server.url})
    return bench.workspace.jobs.save(
        replace(job, notifiers=(JobNotifier(notifier.id, notifier.name, statuses),))
    )


def test_people_hear_of_the_statuses_that_the_job_chose(bench: Bench, server: Server) -> None:
    job = told(bench, server, bench.job(), Status.SUCCESS)

    execution = bench.run(job)

    assert [message["title"] for message in server.got] == ["shop-nightly: backed up and verified"]
    [attempt] = bench.workspace.store.notifications.list(execution.id)
    assert (attempt.status, attempt.notifier_name) == ("success", "ops")
    assert "backed up and verified" in json.dumps(attempt.payload)
    assert SECRET not in json.dumps(attempt.payload)


def test_nobody_hears_of_a_status_that_was_not_chosen(bench: Bench, server: Server) -> None:
    job = told(bench, server, bench.job(), Status.FAILED)

    assert bench.run(job).status is Status.SUCCESS
    assert server.got == []


def test_a_notification_that_fails_is_logged_as_failed_and_changes_no_status(
    bench: Bench, server: Server
) -> None:
    server.status = 500
    job = told(bench, server, bench.job(), Status.SUCCESS)

    execution = bench.run(job)

    assert execution.status is Status.SUCCESS
    [attempt] = bench.workspace.store.notifications.list(execution.id)
    assert attempt.status == "error"
    assert attempt.error
    assert SECRET not in "\n".join(bench.log_of(execution)) + attempt.error


def test_people_hear_of_a_failed_run_with_what_to_do(bench: Bench, server: Server) -> None:
    shop = make_shop(bench.folder / "shop.sqlite")
    job = bench.job(source="faulty-source", source_values={"path": str(shop), "fault": "check"})

    bench.run(told(bench, server, job, Status.FAILED))

    [message] = server.got
    assert "refused the login" in message["message"]
    assert "Mend it." in message["message"]


def test_people_hear_how_much_of_a_set_each_destination_has(bench: Bench, server: Server) -> None:
    shop = make_shop(bench.folder / "shop.sqlite")
    bad: dict[str, object] = {"path": str(bench.folder / "bad"), "fault": "put", "only": "/b_"}
    job = bench.job(
        source="faulty-source",
        source_values={"path": str(shop), "names": ["a", "b", "c"], "broken": ["c"]},
        destinations={"good": ("local", {"path": str(bench.folder / "good")}), "bad": ("faulty-folder", bad)},
        options=JobOptions(upload_attempts=1),
    )

    assert bench.run(told(bench, server, job, Status.PARTIAL)).status is Status.PARTIAL

    [message] = server.got
    assert message["title"] == "shop-nightly: only partly backed up"
    assert "Destination good: Success\n" in message["message"] + "\n"
    assert "Destination bad: Failed, 1 of 2 stored: The connection was reset" in message["message"]
    assert "The database c is gone" in message["message"]


def test_each_destination_keeps_by_its_own_retention(bench: Bench) -> None:
    job = bench.job(
        destinations={
            "few": ("local", {"path": str(bench.folder / "few")}),
            "all": ("local", {"path": str(bench.folder / "all")}),
        },
        retention={"mode": "simple", "keep": 2},
    )
    keep_all = replace(job.destinations[1], retention={"mode": "none"})
    job = bench.workspace.jobs.save(replace(job, destinations=(job.destinations[0], keep_all)))

    executions = [bench.run(job) for _ in range(4)]

    names = [execution.artifacts[0].name for execution in executions]
    assert [name for name in bench.stored("few") if not name.endswith(".json")] == sorted(names[2:])
    assert len([name for name in bench.stored("all") if not name.endswith(".json")]) == 4


def test_retentions_lines_are_in_the_log_though_the_status_was_settled_before(bench: Bench) -> None:
    job = bench.job(retention={"mode": "simple", "keep": 1})
    bench.run(job)

    execution = bench.run(job)

    lines = [line.entry for line in bench.workspace.store.logs.list(execution.id)]
    retention = [line for line in lines if line.stage is Stage.RETENTION]
    assert any("Deleted" in line.message for line in retention)
    assert execution.finished_at is not None
    assert retention[-1].at >= execution.finished_at


def test_retention_is_skipped_where_the_upload_failed(bench: Bench) -> None:
    place: dict[str, object] = {"path": str(bench.folder / "vault")}
    job = bench.job(
        destinations={"vault": ("faulty-folder", place)},
        retention={"mode": "simple", "keep": 1},
        options=JobOptions(upload_attempts=1),
    )
    bench.run(job)
    bench.workspace.endpoints.save(
        "destination",
        "vault",
        "faulty-folder",
        {**place, "fault": "put"},
        id=job.destinations[0].destination_id,
    )

    execution = bench.run(job)

    assert execution.status is Status.FAILED
    assert any("Retention skipped" in line for line in bench.log_of(execution))
    assert len(bench.stored()) == 2


@pytest.mark.parametrize("fault", ["list", "delete"])
def test_a_retention_that_fails_is_told_and_the_run_is_still_a_success(
    bench: Bench, server: Server, fault: str
) -> None:
    place = {"path": str(bench.folder / "vault"), "fault": fault}
    job = bench.job(destinations={"vault": ("faulty-folder", place)}, retention={"mode": "simple", "keep": 1})
    job = told(bench, server, job, Status.FAILED)

    executions = [bench.run(job) for _ in range(2)]

    assert [execution.status for execution in executions] == [Status.SUCCESS] * 2
    assert len([name for name in bench.stored() if name.endswith(".age")]) == 2
    assert "old backups were not cleaned up" in server.got[-1]["title"]
    entries = [line.entry for line in bench.workspace.store.logs.list(executions[1].id)]
    assert any(line.level is LogLevel.ERROR and line.stage is Stage.RETENTION for line in entries)


def test_a_size_that_collapses_pauses_retention_and_people_are_told(bench: Bench, server: Server) -> None:
    shop = make_shop(bench.folder / "shop.sqlite", rows=3000)
    job = told(bench, server, bench.job(retention={"mode": "simple", "keep": 1}), Status.FAILED)
    bench.run(job)
    shop.unlink()
    make_shop(shop, rows=1)

    execution = bench.run(job)

    assert execution.status is Status.SUCCESS
    assert any("Retention is paused" in line for line in bench.log_of(execution))
    assert len([name for name in bench.stored() if name.endswith(".age")]) == 2
    assert "usual" in server.got[-1]["message"]


def test_a_clock_that_went_back_pauses_retention(bench: Bench) -> None:
    job = bench.job(retention={"mode": "simple", "keep": 1})
    bench.run(job)
    back = datetime(2020, 1, 1, tzinfo=UTC)
    bench.workspace.clock = lambda: back

    execution = bench.run(job)

    assert any("Retention is paused" in line for line in bench.log_of(execution))
    assert len([name for name in bench.stored() if name.endswith(".age")]) == 2


def test_a_locked_backup_and_a_strangers_file_survive_retention(bench: Bench) -> None:
    job = bench.job(retention={"mode": "simple", "keep": 1})
    first = bench.run(job).artifacts[0].name
    [backup] = bench.workspace.catalogue.list()
    bench.workspace.catalogue.lock(backup.id)
    foreign = bench.folder / "vault" / "shop-nightly" / "shop_2020-01-01.sqlite.zst.age"
    foreign.write_bytes(b"somebody else's")

    for _ in range(3):
        bench.run(job)

    assert first in bench.stored()
    assert foreign.read_bytes() == b"somebody else's"
    assert len([name for name in bench.stored() if name.endswith(".age")]) == 3


def test_renaming_a_job_keeps_its_backups_under_its_retention(bench: Bench) -> None:
    job = bench.job(retention={"mode": "simple", "keep": 1})
    bench.run(job)
    renamed = bench.workspace.jobs.save(replace(job, name="shop-hourly"))

    bench.run(renamed)

    [name] = [name for name in bench.stored() if name.endswith(".age")]
    assert name.startswith("shop-hourly/")


def test_a_preview_deletes_nothing_and_says_why(bench: Bench) -> None:
    job = bench.job()
    for _ in range(2):
        bench.run(job)
    chosen = replace(job.destinations[0], retention={"mode": "simple", "keep": 1})
    bench.workspace.jobs.save(replace(job, destinations=(chosen,)))

    [preview] = bench.workspace.retention(job.id, dry_run=True)

    assert preview.plan is not None
    assert [decision.keep for decision in preview.plan.decisions] == [True, False]
    assert all(decision.reason for decision in preview.plan.decisions)
    assert len([name for name in bench.stored() if name.endswith(".age")]) == 2
    assert utc_now() - timedelta(minutes=5) < preview.plan.kept[0].created_at
