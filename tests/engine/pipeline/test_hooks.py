"""A job's own commands: before everything and after everything, with the facts, a limit, and a log."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import ConfigError
from engine.events import Status
from engine.records import JobOptions
from tests.conftest import Bench
from tests.parts.faulty import Gate
from tests.parts.sshd import SshServer, sshd  # noqa: F401 - a fixture

FACTS = 'env | grep ^STRONGROOM_ | sort > "{path}"'


def details(bench: Bench, execution_id: str) -> str:
    return "\n".join(
        f"{line.entry.message}\n{line.entry.details}"
        for line in bench.workspace.store.logs.list(execution_id)
    )


def facts(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def test_both_run_with_the_facts_and_their_output_is_in_the_log(bench: Bench, tmp_path: Path) -> None:
    job = bench.job(
        options=JobOptions(
            before=f"echo 'the shop is closed' && {FACTS.format(path=tmp_path / 'before')}",
            after=f"echo 'the shop is open' >&2; {FACTS.format(path=tmp_path / 'after')}",
        )
    )
    execution = bench.run(job)
    assert execution.status is Status.SUCCESS
    told = details(bench, execution.id)
    assert (
        told.index("the shop is closed") < told.index("The source answers") < told.index("the shop is open")
    )

    before, after = facts(tmp_path / "before"), facts(tmp_path / "after")
    assert before["STRONGROOM_JOB"] == after["STRONGROOM_JOB"] == "shop-nightly"
    assert before["STRONGROOM_EXECUTION"] == execution.id
    assert before["STRONGROOM_SOURCE"] == "shop-nightly source"
    assert before["STRONGROOM_TRIGGER"] == "manual"
    assert "STRONGROOM_STATUS" not in before
    assert (after["STRONGROOM_STATUS"], after["STRONGROOM_DATABASES"]) == ("Success", "shop")
    assert int(after["STRONGROOM_BYTES"]) == execution.artifacts[0].size
    assert after["STRONGROOM_STARTED_AT"].endswith("Z")


def test_a_before_that_fails_ends_the_run_and_after_still_runs(bench: Bench, tmp_path: Path) -> None:
    job = bench.job(
        options=JobOptions(
            before="echo 'no maintenance page' >&2; exit 7", after=FACTS.format(path=tmp_path / "after")
        )
    )
    execution = bench.run(job)
    assert execution.status is Status.FAILED
    assert "before the run failed on this machine with exit status 7: no maintenance page" in str(
        execution.error
    )
    assert execution.artifacts == ()
    assert not (tmp_path / "vault").exists()
    assert facts(tmp_path / "after")["STRONGROOM_STATUS"] == "Failed"
    assert "exit status 7" in facts(tmp_path / "after")["STRONGROOM_ERROR"]


def test_an_after_that_fails_is_no_success_and_the_backups_stay(bench: Bench) -> None:
    execution = bench.run(bench.job(options=JobOptions(after="echo 'still closed'; false")))
    assert execution.status is Status.PARTIAL
    assert "Every backup is whole, but: The command after the run failed" in str(execution.error)
    assert "still closed" in str(execution.error)
    assert len(bench.workspace.catalogue.list()) == 1


def test_a_command_that_takes_too_long_is_ended(bench: Bench) -> None:
    execution = bench.run(bench.job(options=JobOptions(before="sleep 60", hook_time_limit=1)))
    assert execution.status is Status.FAILED
    assert "did not end within 1 s" in str(execution.error)
    assert (execution.duration or 99) < 20


def test_after_a_cancel_what_was_stopped_is_started_again(
    bench: Bench, gate: Callable[..., Gate], tmp_path: Path
) -> None:
    held = gate("dump")
    job = bench.job(
        source="faulty-source",
        source_values={"path": str(bench_file(bench)), "gate": "dump"},
        options=JobOptions(after=FACTS.format(path=tmp_path / "after")),
    )
    execution_id = bench.workspace.run_job(job.id)
    assert held.reached.wait(20)
    bench.workspace.cancel(execution_id)
    execution = bench.workspace.wait(execution_id, 60)
    assert execution.status is Status.CANCELLED
    assert facts(tmp_path / "after")["STRONGROOM_STATUS"] == "Cancelled"


def bench_file(bench: Bench) -> Path:
    from tests.conftest import make_shop

    return make_shop(bench.folder / "shop.sqlite")


def test_a_cancel_ends_the_command_before(bench: Bench, tmp_path: Path) -> None:
    began = tmp_path / "began"
    job = bench.job(options=JobOptions(before=f'touch "{began}"; sleep 60'))
    execution_id = bench.workspace.run_job(job.id)
    for _ in range(200):
        if began.exists():
            break
        threading.Event().wait(0.05)
    bench.workspace.cancel(execution_id)
    execution = bench.workspace.wait(execution_id, 30)
    assert execution.status is Status.CANCELLED
    assert (execution.duration or 99) < 15


@pytest.mark.parametrize("where", ["source", "local"])
def test_they_run_on_the_sources_host_or_here(
    bench: Bench,
    sshd: SshServer,  # noqa: F811
    tmp_path: Path,
    where: str,
) -> None:
    values = {key: value for key, value in sshd.values().items() if key != "path"}
    host = bench.workspace.endpoints.save("host", "db-server", "ssh", values)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("x")
    job = bench.job(source="files", source_values={"path": str(tmp_path / "data")})
    source = bench.workspace.endpoints.get("source", job.source_id)
    bench.workspace.endpoints.save(
        "source", source.name, "files", dict(source.config), id=source.id, host=host.id
    )
    from dataclasses import replace

    there = tmp_path / "connection"
    line = f'printf %s "$SSH_CONNECTION" > "{there}"'
    job = bench.workspace.jobs.save(replace(job, options=JobOptions(before=line, hooks_on=where)))  # type: ignore[arg-type]
    execution = bench.run(job)
    assert execution.status is Status.SUCCESS, execution.error
    assert bool(there.read_text()) is (where == "source")


@pytest.mark.parametrize("where", ["source", "local"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_jobs_secret_in_the_output_is_blotted_out(bench: Bench, where: str, when: str) -> None:
    values = {"path": str(bench.folder / "vault"), "token": "s3cr3t-token"}
    job = bench.job(
        destinations={"vault": ("faulty-folder", values)},
        options=JobOptions(hooks_on=where, **{when: "echo s3cr3t-token; false"}),  # type: ignore[arg-type]
    )
    execution = bench.run(job)
    assert "•••" in str(execution.error)
    assert (
        "s3cr3t-token"
        not in f"{execution.error}{details(bench, execution.id).replace('echo s3cr3t-token', '')}"
    )


def test_bounds_are_checked(bench: Bench) -> None:
    with pytest.raises(ConfigError):
        bench.job(options=JobOptions(hook_time_limit=0))
    with pytest.raises(ConfigError):
        bench.job(name="other", options=JobOptions(parallel_dumps=17))
