"""SIGKILL in each stage, and a restart: it is settled, cleaned, and the next run succeeds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from engine.events import Status
from engine.workspace import Workspace
from tests.conftest import Bench, make_shop

CHILD = """
import sys
from pathlib import Path
from engine.events import StageStarted
from engine.home import Home
from engine.secrets import VaultSecrets
from engine.workspace import Workspace
from tests.parts.faulty import GATES, Gate, faulty_registry

home, stage, job = Home(Path(sys.argv[1])), sys.argv[2], sys.argv[3]


class Told(Gate):
    def hold(self, cancel):
        print("reached", flush=True)
        super().hold(cancel)


GATES[stage] = Told()
vault = VaultSecrets(home.vault, "a passphrase of the tests")
workspace = Workspace.open(home, secrets=vault, registry=faulty_registry)
if stage == "retention":
    workspace.events.subscribe(
        lambda event: isinstance(event, StageStarted) and event.stage == stage and GATES[stage].hold(
            __import__("engine.cancellation").cancellation.CancelToken()))
workspace.wait(workspace.run_job(job), 60)
"""


def run_and_kill(workspace: Workspace, stage: str, job_id: str) -> None:
    """Run the job in a process of its own, and kill that when it reaches the stage."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(workspace.home.root), stage, job_id],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        text=True,
    )
    assert child.stdout is not None
    with child, child.stdout:
        assert child.stdout.readline() == "reached\n"
        os.kill(child.pid, signal.SIGKILL)
        child.wait(10)


@pytest.mark.parametrize("stage", ["initialize", "dump", "upload", "sidecar"])
def test_a_kill_in_each_stage_is_settled_and_cleaned_at_the_next_start(bench: Bench, stage: str) -> None:
    workspace = bench.workspace
    shop = make_shop(bench.folder / "shop.sqlite")
    source: dict[str, object] = {"path": str(shop)}
    folder: dict[str, object] = {"path": str(bench.folder / "vault")}
    (source if stage in ("initialize", "dump") else folder)["gate"] = stage
    job = bench.job(
        source="faulty-source", source_values=source, destinations={"vault": ("faulty-folder", folder)}
    )
    run_and_kill(workspace, stage, job.id)
    [dead] = workspace.store.executions.list()
    assert dead.status is Status.RUNNING

    settled = workspace.settle()

    assert [its.id for its in settled] == [dead.id]
    assert workspace.store.executions.get(dead.id).status is Status.FAILED
    assert "ended" in (workspace.store.executions.get(dead.id).error or "")
    assert list(workspace.home.spool.iterdir()) == []
    assert list(workspace.home.scratch.iterdir()) == []
    assert workspace.store.leftovers.list() == []
    if (bench.folder / "vault").exists():
        assert bench.stored() == []
        assert workspace.catalogue.list() == []


def test_a_kill_after_the_status_was_settled_keeps_the_backup(bench: Bench) -> None:
    workspace = bench.workspace
    job = bench.job(retention={"mode": "simple", "keep": 1})
    run_and_kill(workspace, "retention", job.id)

    assert workspace.settle() == []
    [execution] = workspace.store.executions.list()
    assert execution.status is Status.SUCCESS
    [backup] = workspace.catalogue.list()
    assert workspace.wait(workspace.verify([backup.id], "decode"), 60).status is Status.SUCCESS


def test_settling_leaves_alone_what_another_process_runs(bench: Bench) -> None:
    workspace = bench.workspace
    shop = make_shop(bench.folder / "shop.sqlite")
    job = bench.job(source="faulty-source", source_values={"path": str(shop), "gate": "dump"})
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(workspace.home.root), "dump", job.id],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        text=True,
    )
    assert child.stdout is not None
    with child, child.stdout:
        try:
            assert child.stdout.readline() == "reached\n"
            assert workspace.settle() == []
            [execution] = workspace.store.executions.list()
            assert execution.status is Status.RUNNING
            assert any(path.name.startswith(execution.id) for path in workspace.home.spool.iterdir())

            workspace.cancel(execution.id)
            assert workspace.wait(execution.id, 20).status is Status.CANCELLED
        finally:
            child.kill()
    assert [its.status for its in workspace.store.executions.list()] == [Status.CANCELLED]


def test_settling_touches_no_file_of_anybody_else(bench: Bench) -> None:
    foreign = bench.workspace.home.spool / "thesis.final.odt"
    foreign.write_text("not ours")

    bench.workspace.settle()

    assert foreign.read_text() == "not ours"


def test_settling_removes_the_private_folders_of_a_killed_process(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / "strongroom-private-abcdefgh"
    left.mkdir(mode=0o700)
    (left / "dump.rdb").write_text("plain")
    (left / ".lock").touch()
    os.utime(left / ".lock", (0, 0))

    bench.workspace.settle()

    assert not left.exists()
