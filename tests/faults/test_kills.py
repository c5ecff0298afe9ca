"""SIGKILL at seeded random moments of every stage, and a restart: settled, cleaned, and run again."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from engine.cancellation import CancelToken
from tests.faults.conftest import FULL, JOB, Gate, make_bulk
from tests.faults.servers import BULK, configure, tools
from tests.faults.soundness import assert_sound, older
from tests.parts.commands import Installation
from tests.parts.postgres import Server
from tests.parts.queues import eventually

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults-kills")]

SEED = 20261124
KILLS = 30 if FULL else 2
"""Kills for each stage."""

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
def killed(installation: Installation) -> Installation:
    """A job to two folders; in one of them retention is at work in every run."""
    make_bulk(installation.folder / "shop.sqlite", 3)
    installation.apply(
        '[[key]]\nname = "default"\n'
        '[[source]]\nname = "shop"\nadapter = "sqlite"\nconfig = { path = "shop.sqlite" }\n'
        '[[destination]]\nname = "disk"\nadapter = "local"\nconfig = { path = "disk" }\n'
        '[[destination]]\nname = "few"\nadapter = "local"\nconfig = { path = "few" }\n'
        f'[[job]]\nname = "{JOB}"\nsource = "shop"\n'
        'destinations = ["disk", { name = "few", retention = { mode = "simple", keep = 2 } }]\n'
    )
    return installation


@pytest.mark.parametrize("stage", ["begin", *STAGES])
def test_a_kill_at_a_random_moment_of_each_stage(killed: Installation, stage: str) -> None:
    chance = random.Random(f"{SEED} {stage}")
    assert_sound(killed, JOB)
    for _ in range(KILLS):
        before = older(killed.folder / "disk")
        command = killed.at_once("run", JOB, "--json")
        command.go()
        if stage in STAGES:
            command.until(STAGES[stage])
        CancelToken().wait(chance.uniform(0, SPANS.get(stage, 0.12)))
        command.kill()
        command.ended()
        assert_sound(killed, JOB, before, verified=True)
        assert len(list((killed.folder / "few").rglob("*.age"))) == 2
    history = killed.json("history", "--limit", "1000", "--kind", "run")
    assert {its["status"] for its in history} <= {"Success", "Failed"}
    interrupted = [its for its in history if its["status"] == "Failed"]
    assert all(its["error"]["kind"] == "Interrupted" for its in interrupted), interrupted
    assert interrupted or stage != "initialize", "the kills miss the runs"


def test_a_kill_while_retention_deletes_many(killed: Installation) -> None:
    keep_all = f'[[job]]\nname = "{JOB}"\nsource = "shop"\ndestinations = ["few"]\n'
    keep_one = keep_all.replace('"few"', '{ name = "few", retention = { mode = "simple", keep = 1 } }')
    make_bulk(killed.folder / "small.sqlite", 1).replace(killed.folder / "shop.sqlite")
    chance = random.Random(SEED)
    for _ in range(20 if FULL else 2):
        killed.apply(keep_all)
        with killed.workspace() as workspace:
            for _ in range(8):
                workspace.wait(workspace.run_job(JOB), 60)
        killed.apply(keep_one)
        command = killed.at_once("run", JOB, "--json")
        command.go()
        command.until("Deleted ")
        CancelToken().wait(chance.uniform(0, 0.02))
        command.kill()
        command.ended()
        assert_sound(killed, JOB)
        (kept,) = killed.json("backups", "few")
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
