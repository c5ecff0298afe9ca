"""The system task that verifies all backups at all destinations, and tells people of a failure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from engine.events import Status
from engine.records import JobNotifier
from tests.conftest import Bench
from tests.parts.webhook import webhook

SUNDAY = datetime(2026, 11, 29, 4, 30).astimezone(UTC)
"""When it is planned: the machine's own Sunday morning."""


def test_the_weekly_task_verifies_everything_and_tells_of_a_broken_one(bench: Bench) -> None:
    with webhook() as server:
        job = bench.job(
            destinations={
                "near": ("local", {"path": str(bench.folder / "near")}),
                "far": ("local", {"path": str(bench.folder / "far")}),
            }
        )
        ops = bench.workspace.endpoints.save("notifier", "ops", "apprise", {"url": server.url})
        bench.workspace.jobs.save(replace(job, notifiers=(JobNotifier(ops.id, ops.name, (Status.FAILED,)),)))
        artifact = bench.run(job).artifacts[0].name
        damaged = bench.folder / "far" / artifact
        data = bytearray(damaged.read_bytes())
        data[len(data) // 2] ^= 1
        damaged.write_bytes(data)

        scheduler = bench.workspace.scheduler
        assert scheduler.tick(SUNDAY - timedelta(hours=1)) == []
        [planned] = scheduler.tick(SUNDAY + timedelta(seconds=5))
        execution = bench.workspace.wait(planned, 60)

        assert execution.status is Status.FAILED
        assert sorted(its["outcome"] for its in execution.labels["outcomes"]) == ["failed", "passed"]
        [message] = server.got
        assert f"{artifact} at far failed" in message["message"]
        assert scheduler.tick(SUNDAY + timedelta(minutes=1)) == []


def test_a_destination_that_does_not_answer_is_no_pass(bench: Bench) -> None:
    bench.run(bench.job())
    (bench.folder / "vault").rename(bench.folder / "unplugged")

    execution = bench.workspace.wait(bench.workspace.verify(None), 60)

    assert execution.status is not Status.SUCCESS
    assert "vault did not answer" in (execution.error or "")
