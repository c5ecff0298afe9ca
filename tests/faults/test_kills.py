"""SIGKILL at seeded random moments of every stage, and a restart: settled, cleaned, and run again."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cancellation import CancelToken
from tests.faults.conftest import FULL, JOB, SEED, Gate, make_bulk
from tests.faults.servers import BULK, configure, tools
from tests.faults.soundness import assert_sound, older
from tests.faults.three import Three, three_destinations
from tests.parts.commands import Installation
from tests.parts.postgres import Server
from tests.parts.queues import eventually
from tests.parts.s3 import S3Server
from tests.parts.sshd import SshServer

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults-kills")]

KILLS = 30 if FULL else 1
"""Kills for each stage."""
ANYWHERE = 200 if FULL else 4
"""Kills at any moment between a run's first event and its last."""
RETAINED = """[
    "disk",
    { name = "cloud", retention = { mode = "simple", keep = 2 } },
    { name = "server", retention = { mode = "simple", keep = 2 } },
]"""

STAGES = {
    "initialize": "The source answers",
    "dump": "Dumping shop",
    "upload": "dumped,",
    "seal": "is stored whole",
    "completion": "Backed up, stored",
    "retention": "Retention:",
}
"""The line of a run's log after which it is killed; `begin` is the moment in which the command begins."""
SPANS = {"begin": 0.6, "initialize": 0.05}
"""Seconds from there within which the kill comes."""


@pytest.fixture
def killed(installation: Installation, s3: S3Server, bucket: str, sshd: SshServer) -> Iterator[Three]:
    """A job to three places; in two of them retention is at work in every run."""
    with three_destinations(installation, s3, bucket, sshd, megabytes=6) as three:
        three.configure(destinations=RETAINED)
        yield three


def kill(three: Three, number: int, after: str, seconds: float) -> None:
    """Kill a run so many seconds after it has said `after`; see that nothing came of it but an end."""
    if number % 5 == 0:
        three.thin()
    three.close()  # nobody else is there to take over
    before = older(three.places["disk"])
    command = three.installation.at_once("run", JOB, "--json")
    command.go()
    if after != "nothing":
        command.until(after)
    CancelToken().wait(seconds)
    command.kill()
    command.ended()
    three.sound(before)
    for name in ("cloud", "server"):
        assert len([its for its in three.places[name].files() if its.endswith(".age")]) == 2


def assert_told(three: Three, *, missed: bool) -> None:
    """Every run that was killed is Failed, as interrupted; `missed` allows that none was hit."""
    history = three.installation.json("history", "--limit", "1000", "--kind", "run")
    assert {its["status"] for its in history} <= {"Success", "Failed"}
    interrupted = [its for its in history if its["status"] == "Failed"]
    assert all(its["error"]["kind"] == "Interrupted" for its in interrupted), interrupted
    assert interrupted or missed, "the kills miss the runs"


@pytest.mark.parametrize("stage", ["begin", *STAGES])
def test_a_kill_at_a_random_moment_of_each_stage(killed: Three, stage: str) -> None:
    killed.succeeds()
    for number in range(KILLS):
        moment = random.Random(f"{SEED} {stage} {number}").uniform(0, SPANS.get(stage, 0.12))
        print(f"kill {number}, {moment:.3f} s after {STAGES.get(stage, 'the beginning')!r}")
        kill(killed, number, STAGES.get(stage, "nothing"), moment)
    assert_told(killed, missed=stage != "initialize")


def test_a_kill_at_a_random_moment_between_the_first_event_and_the_last(killed: Three) -> None:
    killed.succeeds()
    command = killed.installation.at_once("run", JOB, "--json")
    command.go()
    command.until("")
    begun = time.monotonic()
    assert command.ended().code == 0
    span = time.monotonic() - begun
    for number in range(ANYWHERE):
        moment = random.Random(f"{SEED} anywhere {number}").uniform(0, span)
        print(f"kill {number}, {moment:.3f} s of {span:.3f} s after the first event")
        kill(killed, number, "", moment)
    assert_told(killed, missed=False)


@pytest.mark.parametrize("where", ["disk", "cloud", "server"] if FULL else ["cloud"])
def test_a_kill_while_retention_deletes_many(killed: Three, where: str) -> None:
    make_bulk(killed.installation.folder / "small.sqlite", 1).replace(
        killed.installation.folder / "shop.sqlite"
    )
    keep_one = f'[{{ name = "{where}", retention = {{ mode = "simple", keep = 1 }} }}]'
    for number in range(20 if FULL else 1):
        killed.configure(destinations=f'["{where}"]')
        for _ in range(6):
            killed.run()
        killed.close()
        killed.configure(destinations=keep_one)
        moment = random.Random(f"{SEED} retention {where} {number}").uniform(0, 0.02)
        print(f"kill {number}, {moment:.3f} s after the first deletion")
        command = killed.installation.at_once("run", JOB, "--json")
        command.go()
        command.until("Deleted ")
        CancelToken().wait(moment)
        command.kill()
        command.ended()
        assert_sound(killed.installation, JOB, places=killed.places)
        (kept,) = killed.installation.json("backups", where)
        assert kept["job"] == JOB


def test_a_kill_in_the_middle_of_a_postgresql_dump(
    installation: Installation, postgres: Server, gate: Gate, tmp_path: Path
) -> None:
    postgres.drop_database("bulk")
    postgres.create_database("bulk", BULK)
    armed = tmp_path / "armed"
    script = f'[ -e {armed} ] || exec @REAL@ "$@"; @REAL@ "$@" | {gate.held(6 << 20)}'
    folder = tools(tmp_path / "tools", postgres, {"pg_dump": script})
    configure(installation, postgres, databases=["bulk"], tools=folder)
    assert installation.json("run", JOB)["status"] == "Success"
    before = older(installation.folder / "disk")

    armed.touch()
    command = installation.start("run", JOB, "--json")
    gate.reached()
    assert installation.json("history", "--limit", "1")[0]["status"] == "Running"
    command.kill()
    command.ended()
    gate.open()
    alive = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'bulk'"
    eventually(lambda: postgres.sql("postgres", alive) == "0", "the orphaned tools have ended")
    assert installation.json("history", "--limit", "1")[0]["error"]["kind"] == "Interrupted"
    armed.unlink()
    assert_sound(installation, JOB, before)
