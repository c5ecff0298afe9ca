"""Several processes on one installation: a job never runs twice at once, and every run ends honestly."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any

import pytest

from tests.faults.conftest import FULL, JOB, SQLITE, make_bulk
from tests.faults.soundness import assert_sound
from tests.faults.three import three_destinations
from tests.parts.commands import Ended, Installation
from tests.parts.s3 import S3Server
from tests.parts.sshd import SshServer

pytestmark = pytest.mark.faults

ROUNDS = 100 if FULL else 2


def interval(execution: dict[str, Any]) -> tuple[datetime, datetime]:
    """When an execution was at work."""
    return datetime.fromisoformat(execution["started_at"]), datetime.fromisoformat(execution["finished_at"])


def assert_apart(executions: list[dict[str, Any]]) -> None:
    """No two of these were at work at the same time."""
    spans = sorted(map(interval, executions))
    for (_, ended), (began, _) in itertools.pairwise(spans):
        assert ended <= began, f"one ran until {ended}, the next from {began}"


def start_at_once(installation: Installation, *names: str) -> list[Ended]:
    """Run these jobs, each in a process of its own, all begun at the same instant."""
    commands = [installation.at_once("run", name, "--json") for name in names]
    for command in commands:
        command.go()
    return [command.ended() for command in commands]


@pytest.fixture
def busy(installation: Installation) -> Installation:
    """An installation that lets four runs go at once, with a job that takes a moment."""
    make_bulk(installation.folder / "shop.sqlite", 2)
    installation.apply("[settings]\nmax_concurrent_jobs = 4\n" + SQLITE)
    return installation


def test_a_job_started_at_the_same_instant_from_two_processes(
    installation: Installation, s3: S3Server, bucket: str, sshd: SshServer
) -> None:
    with three_destinations(installation, s3, bucket, sshd, megabytes=2) as three:
        three.configure("[settings]\nmax_concurrent_jobs = 4\n")
        before = three.before()
        for number in range(ROUNDS):
            if number % 5 == 4:
                three.thin()
            ended = start_at_once(installation, JOB, JOB)
            for one in ended:
                assert one.code == 0, one.stderr
                assert one.document["status"] == "Success"
                assert "Traceback" not in one.stderr
            first, second = (one.document for one in ended)
            assert first["execution"] != second["execution"]
            assert first["backups"][0]["artifact"] != second["backups"][0]["artifact"]
            assert_apart([first, second])
            stored = {its["artifact"] for document in (first, second) for its in document["backups"]}
            for place in three.places.values():
                assert stored <= set(place.files())
        history = installation.json("history", "--limit", "1000", "--kind", "run")
        assert len(history) == 2 * ROUNDS
        assert_apart(history)
        three.sound(before)


def test_two_jobs_started_at_the_same_instant_on_a_fresh_installation(installation: Installation) -> None:
    """Both make what is made on first use: the signing key above all, of which there may be only one."""
    make_bulk(installation.folder / "shop.sqlite", 1)
    installation.apply(
        "[settings]\nmax_concurrent_jobs = 4\n"
        + SQLITE
        + '[[job]]\nname = "other"\nsource = "shop"\ndestinations = ["disk"]\n'
    )
    for one in start_at_once(installation, JOB, "other"):
        assert one.code == 0, one.stderr
    assert {its["signature"] for its in installation.json("backups")} == {"valid"}
    assert_sound(installation, JOB)


def test_two_first_commands_ever_at_the_same_instant(installation: Installation) -> None:
    """Both find no folder and no store, and make them."""
    commands = [installation.at_once("jobs", "--json") for _ in range(3)]
    for command in commands:
        command.go()
    for command in commands:
        ended = command.ended()
        assert (ended.code, ended.document) == (0, []), ended.stderr


def test_a_file_applied_at_the_same_instant_from_several_processes(installation: Installation) -> None:
    """One creates all of it, and the others find that nothing is left to do."""
    sources = "".join(
        f'[[source]]\nname = "s{number}"\nadapter = "sqlite"\nconfig = {{ path = "{number}.sqlite" }}\n'
        for number in range(20)
    )
    file = installation.folder / "all.toml"
    file.write_text(SQLITE + sources, encoding="utf-8")
    commands = [installation.at_once("apply", str(file), "--json") for _ in range(4)]
    for command in commands:
        command.go()
    ended = [command.ended() for command in commands]
    assert [one.code for one in ended] == [0] * 4, [one.stdout for one in ended]
    actions = [{change["action"] for change in one.document["changes"]} for one in ended]
    assert actions.count({"create"}) == 1
    assert actions.count({"unchanged"}) == 3


def test_an_agent_beside_the_command_line(busy: Installation) -> None:
    busy.apply(SQLITE.replace('source = "shop"\n', 'source = "shop"\nschedule = "* * * * *"\n'))
    agent = busy.start("agent")
    ended = start_at_once(busy, JOB, JOB)
    assert [one.code for one in ended] == [0, 0], ended
    assert agent.is_running
    agent.interrupt()
    assert agent.ended().code == 0
    history = busy.json("history", "--limit", "100")
    assert {its["status"] for its in history} <= {"Success", "Cancelled"}
    assert_apart([its for its in history if its["started_at"]])
    assert_sound(busy, JOB)
