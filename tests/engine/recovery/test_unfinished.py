"""A restore that is killed while it builds leaves nothing behind after the next start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.events import Status
from tests.conftest import Bench, rows_of

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


@pytest.mark.parametrize("told_before", [False, True])
def test_what_a_killed_restore_built_is_dropped_at_the_next_start(bench: Bench, told_before: bool) -> None:
    job = bench.job()
    bench.run(job)
    [backup] = bench.workspace.catalogue.list()
    shop = bench.folder / "shop.sqlite"
    before = rows_of(shop)
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
    assert [path.name for path in bench.folder.glob("*_restore_*")] != []

    if told_before:  # a command that only reads has noticed the death first
        [dead] = bench.workspace.queue.settle_orphans()
        assert [path.name for path in bench.folder.glob("*_restore_*")] != []
        assert bench.workspace.settle() == []
    else:
        [dead] = bench.workspace.settle()

    assert dead.status is Status.FAILED
    assert list(bench.folder.glob("*_restore_*")) == []
    assert rows_of(shop) == before
    assert any("was removed" in line for line in bench.log_of(dead))
