"""A restore that is killed while it builds leaves nothing behind after the next start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.events import Status
from engine.records import Job
from tests.conftest import Bench, make_shop, rows_of

CHILD = """
import sys
from pathlib import Path
from engine.home import Home
from engine.recovery.requests import RestoreRequest
from engine.secrets import VaultSecrets
from engine.workspace import Workspace
from plugins.sources.sqlite import Sqlite
from tests.parts.faulty import faulty_registry

home = Home(Path(sys.argv[1]))
fill = Sqlite.restore


def restore(self, database, chunks):
    fill(self, database, chunks)
    print("built", flush=True)
    sys.stdin.readline()


Sqlite.restore = restore
workspace = Workspace.open(
    home, secrets=VaultSecrets(home.vault, "a passphrase of the tests"), registry=faulty_registry
)
workspace.wait(workspace.restore(RestoreRequest(sys.argv[2], sys.argv[3], overwrite=True)), 60)
"""


def killed_while_it_builds(bench: Bench) -> tuple[Job, str]:
    """Kill a restore that has built its copy, and say of which job, and how the copy is called."""
    job = bench.job()
    bench.run(job)
    [backup] = bench.workspace.catalogue.list()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(bench.workspace.home.root), backup.id, job.source_id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        text=True,
    )
    assert child.stdout is not None and child.stdin is not None
    with child, child.stdout, child.stdin:
        assert child.stdout.readline() == "built\n"
        os.kill(child.pid, signal.SIGKILL)
        child.wait(10)
    [built] = [path.name for path in bench.folder.glob("*_restore_*")]
    return job, built


@pytest.mark.parametrize("told_before", [False, True])
def test_what_a_killed_restore_built_is_dropped_at_the_next_start(bench: Bench, told_before: bool) -> None:
    _, built = killed_while_it_builds(bench)
    shop = bench.folder / "shop.sqlite"
    before = rows_of(shop)

    if told_before:  # a command that only reads has noticed the death first
        [dead] = bench.workspace.queue.settle_orphans()
        assert [path.name for path in bench.folder.glob("*_restore_*")] == [built]
        assert bench.workspace.settle() == []
    else:
        [dead] = bench.workspace.settle()

    assert dead.status is Status.FAILED
    assert built in (dead.remedy or "")
    assert list(bench.folder.glob("*_restore_*")) == []
    assert rows_of(shop) == before
    assert any("was removed" in line for line in bench.log_of(dead))


def test_it_is_dropped_where_it_was_built_though_the_source_leads_elsewhere_by_now(bench: Bench) -> None:
    job, _ = killed_while_it_builds(bench)
    elsewhere = bench.folder / "elsewhere"
    elsewhere.mkdir()
    values = {"path": str(make_shop(elsewhere / "shop.sqlite"))}
    bench.workspace.endpoints.save("source", f"{job.name} source", "sqlite", values, id=job.source_id)
    [dead] = bench.workspace.settle()
    assert list(bench.folder.glob("*_restore_*")) == []
    assert any("was removed" in line for line in bench.log_of(dead))


def test_what_is_not_there_is_not_said_to_be_removed(bench: Bench) -> None:
    _, built = killed_while_it_builds(bench)
    (bench.folder / built).unlink()
    [dead] = bench.workspace.settle()
    assert not any("removed" in line for line in bench.log_of(dead))
    assert bench.workspace.store.executions.get(dead.id).labels.get("building") is None


def test_a_source_that_is_gone_is_said(bench: Bench) -> None:
    job, built = killed_while_it_builds(bench)
    bench.workspace.jobs.delete(job.name)
    bench.workspace.endpoints.delete("source", job.source_id)
    [dead] = bench.workspace.settle()
    assert any(built in line and "may still be there" in line for line in bench.log_of(dead))


def test_a_killed_restore_within_a_database_says_that_it_may_be_mixed(bench: Bench) -> None:
    executions = bench.workspace.store.executions
    killed_while_it_builds(bench)
    [dead] = executions.list(1, kind="restore")
    executions.set_labels(dead.id, {"filling": "shop at the till"})
    [settled] = bench.workspace.queue.settle_orphans()
    assert "shop at the till may hold some of the backup" in (settled.remedy or "")
