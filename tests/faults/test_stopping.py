"""Ctrl-C in each stage, and cancels at seeded random moments: code 4, within seconds, and nothing is left."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.cancellation import CancelToken
from engine.events import Status
from tests.faults.conftest import FULL, JOB, SEED, Gate
from tests.faults.servers import BULK, configure, tools
from tests.faults.soundness import assert_honest, assert_sound, older
from tests.faults.three import three_destinations
from tests.parts.commands import Command, Installation
from tests.parts.postgres import Server
from tests.parts.queues import eventually
from tests.parts.s3 import S3Server
from tests.parts.sshd import SshServer

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults-postgres")]

CANCELS = 100 if FULL else 4
WITHIN = 5.0
"""Seconds within which a cancelled execution ends (DESIGN, section 2)."""


def stop(command: Command) -> dict[str, object]:
    """Press Ctrl-C; the command ends in time, with its code, as Cancelled."""
    begun = time.monotonic()
    command.interrupt()
    ended = command.ended()
    took = time.monotonic() - begun
    assert ended.code == 4, ended.stdout + ended.stderr
    assert ended.document["status"] == "Cancelled"
    assert "Traceback" not in ended.stderr
    assert took < WITHIN, f"it took {took:.1f} s"
    return dict(ended.document)


def sessions_at(server: Server, database: str) -> str:
    return server.sql(
        "postgres",
        f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'",  # noqa: S608 - a test's own
    )


@pytest.mark.parametrize("stage", ["initialize", "dump", "upload"])
def test_ctrl_c_in_a_stage_of_a_run(
    installation: Installation, postgres: Server, gate: Gate, tmp_path: Path, stage: str
) -> None:
    postgres.drop_database("bulk")
    postgres.create_database("bulk", BULK)
    armed = tmp_path / "armed"
    scripts = {
        "initialize": {"psql": f'[ -e {armed} ] && {{ {gate.hold}; }}; exec @REAL@ "$@"'},
        "dump": {"pg_dump": f'[ -e {armed} ] && {{ {gate.hold}; }}; exec @REAL@ "$@"'},
        "upload": {"pg_dump": f'[ -e {armed} ] || exec @REAL@ "$@"; @REAL@ "$@" | {gate.held(6 << 20)}'},
    }
    folder = tools(tmp_path / "tools", postgres, scripts[stage])
    configure(installation, postgres, databases=["bulk"], tools=folder)
    assert installation.json("run", JOB)["status"] == "Success"
    before = older(installation.folder / "disk")

    armed.touch()
    command = installation.start("run", JOB, "--json")
    gate.reached()
    document = stop(command)
    assert document["backups"] == []
    assert older(installation.folder / "disk") == before
    assert list(installation.home.spool.iterdir()) == []
    eventually(lambda: sessions_at(postgres, "bulk") == "0", "the server's sessions are closed")
    assert installation.json("history", "--limit", "1")[0]["status"] == "Cancelled"

    armed.unlink()
    assert_sound(installation, JOB, before)


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGKILL"])
def test_a_restore_that_is_stopped_leaves_the_old_database_as_it_was(
    installation: Installation, postgres: Server, gate: Gate, tmp_path: Path, how: str
) -> None:
    postgres.drop_database("bulk")
    postgres.create_database("bulk", BULK)
    armed = tmp_path / "armed"
    script = f'[ -e {armed} ] || exec @REAL@ "$@"; {gate.held(3 << 20)} | @REAL@ "$@"'
    folder = tools(tmp_path / "tools", postgres, {"pg_restore": script})
    configure(installation, postgres, databases=["bulk"], tools=folder)
    (backup,) = installation.json("run", JOB)["backups"]
    postgres.sql("bulk", "CREATE TABLE newer AS SELECT 1 AS a; DELETE FROM bulk WHERE number > 100")
    rows = postgres.rows("bulk")
    databases = postgres.databases()

    armed.touch()
    command = installation.start("restore", backup["id"], "--to", "shop", "--overwrite", "--json")
    gate.reached()
    assert len(postgres.databases()) == len(databases) + 1, "it is built beside"
    if how == "Ctrl-C":
        stop(command)
    else:
        command.kill()
        command.ended()
        gate.open()
        eventually(
            lambda: all(
                sessions_at(postgres, name) == "0" for name in {*postgres.databases()} - {"postgres"}
            ),
            "its tools have ended too",
        )
    assert postgres.rows("bulk") == rows
    armed.unlink()
    with installation.workspace() as workspace:
        workspace.settle()
    assert postgres.databases() == databases, "what was half-built is gone"
    again = installation.json("restore", backup["id"], "--to", "shop", "--overwrite")
    assert again["status"] == "Success"
    assert postgres.sql("bulk", "SELECT count(*) FROM bulk") == "40000"


def test_cancels_at_random_moments(
    installation: Installation, s3: S3Server, bucket: str, sshd: SshServer
) -> None:
    retained = '["disk", "cloud", { name = "server", retention = { mode = "simple", keep = 2 } }]'
    with three_destinations(installation, s3, bucket, sshd, megabytes=6) as three:
        three.configure(destinations=retained)
        begun = time.monotonic()
        three.succeeds()
        span = time.monotonic() - begun
        ended: dict[Status, int] = {}
        for number in range(CANCELS):
            if number % 5 == 0:
                three.thin()
            moment = random.Random(f"{SEED} cancel {number}").uniform(0, span * 1.1)
            print(f"cancel {number}, after {moment:.3f} s of {span:.3f} s")
            before = older(three.places["disk"], three.places["cloud"])
            execution_id = three.workspace.run_job(JOB)
            CancelToken().wait(moment)
            asked = time.monotonic()
            three.workspace.cancel(execution_id)
            execution = three.workspace.wait(execution_id, 60)
            took = time.monotonic() - asked
            assert took < WITHIN, f"it took {took:.1f} s"
            assert execution.status in (Status.CANCELLED, Status.SUCCESS), execution.error
            if execution.destinations:
                assert_honest(execution, three.places)
            ended[execution.status] = ended.get(execution.status, 0) + 1
            three.sound(before)
        assert ended.get(Status.CANCELLED, 0) >= CANCELS // 3, f"the moments miss the run: {ended}"


def test_a_time_limit_ends_a_run_as_failed(
    installation: Installation, postgres: Server, make_gate: Callable[[], Gate], tmp_path: Path
) -> None:
    postgres.drop_database("bulk")
    postgres.create_database("bulk", BULK)
    gate, armed = make_gate(), tmp_path / "armed"
    armed.touch()
    script = f'[ -e {armed} ] || exec @REAL@ "$@"; @REAL@ "$@" | {gate.held(6 << 20)}'
    folder = tools(tmp_path / "tools", postgres, {"pg_dump": script})
    configure(installation, postgres, databases=["bulk"], tools=folder)
    installation.apply(
        f'[[job]]\nname = "{JOB}"\nsource = "shop"\ndestinations = ["disk"]\noptions = {{ time_limit = 2 }}\n'
    )
    failed = installation.json("run", JOB, code=1)
    assert failed["status"] == "Failed"
    assert failed["error"]["kind"] == "TimeLimit"
    assert failed["backups"] == []
    armed.unlink()
    installation.apply(f'[[job]]\nname = "{JOB}"\nsource = "shop"\ndestinations = ["disk"]\n')
    assert_sound(installation, JOB)
