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


# The same, killed while the new database takes the old one's name.
SWAPPING = """
import plugins.sources.lite.placing as placing
change_places = placing.change_places


def stop():
    print("built", flush=True)
    sys.stdin.readline()


def change(beside, path, kept, suffixes):
    if moment == "before":
        stop()
    if moment == "between":
        path.rename(kept)
        stop()
    change_places(beside, path, kept, suffixes)
    stop()


moment = sys.argv[4]
placing.change_places = change
Sqlite.restore = fill
"""


def killed_while_it_builds(bench: Bench, moment: str = "") -> tuple[Job, str]:
    """Kill a restore that has built its copy, and say of which job, and how the copy is called."""
    job = bench.job()
    bench.run(job)
    [backup] = bench.workspace.catalogue.list()
    program = CHILD.replace("workspace = W", f"{SWAPPING}workspace = W", 1) if moment else CHILD
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(bench.workspace.home.root), backup.id, job.source_id, moment],
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
    built = [path.name for path in bench.folder.glob("*_restore_*") if "_before_" not in path.name]
    return job, built[0] if built else ""


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


@pytest.mark.parametrize("moment", ["before", "between", "after"])
def test_a_restore_that_is_killed_in_its_swap_is_finished_or_was_not_begun(bench: Bench, moment: str) -> None:
    shop = bench.folder / "shop.sqlite"
    killed_while_it_builds(bench, moment)
    old = rows_of(shop if moment == "before" else next(bench.folder.glob("*_before_*")))

    [dead] = bench.workspace.settle()

    assert "the name shop" in (dead.remedy or "")
    log = " ".join(bench.log_of(dead))
    kept = list(bench.folder.glob("*_before_*"))
    assert rows_of(shop) == old, "the backup is what it holds"
    if moment == "before":
        assert kept == [] and "shop is as it was" in log
    else:
        assert [rows_of(path) for path in kept] == [old]
        assert "shop holds the restored backup" in log and "`_before_`" in log
    assert [path for path in bench.folder.glob("*_restore_*") if path not in kept] == []
    assert bench.workspace.settle() == []
