"""A destination falls silent: connections stay open and nothing moves. Nobody waits for it for ever."""

from __future__ import annotations

import random
import time
from typing import Literal, get_args

import pytest

from engine.events import Status
from tests.faults.conftest import FULL, JOB, SEED
from tests.faults.places import Folder
from tests.faults.test_stopping import WITHIN
from tests.faults.three import Three, error_of, three_destinations
from tests.parts.commands import Installation
from tests.parts.disks import Machine
from tests.parts.proxy import Fault
from tests.parts.queues import eventually
from tests.parts.s3 import S3Server
from tests.parts.sshd import SshServer

pytestmark = pytest.mark.faults

REMOTE = ["cloud", "server"]
How = Literal["stall", "half-open"]
ALL: list[tuple[str, How, int]] = [
    (where, how, number) for where in REMOTE for how in get_args(How) for number in range(15)
]
CASES = ALL if FULL else [("cloud", "stall", 0), ("server", "half-open", 0)]
"""Where, how, and the number of the byte."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an upload has left is to be removed within four seconds, not thirty, where nobody answers."""
    monkeypatch.setattr("engine.pipeline.upload.PATIENCE", 4.0)


def silence(three: Three, where: str, how: How, at: int) -> Fault:
    proxy = three.proxy(where)
    return proxy.stall(at) if how == "stall" else proxy.cut(at, "half-open", lasting=True)


@pytest.mark.parametrize(("where", "how", "number"), CASES)
def test_silence_from_a_random_byte_on_fails_that_destination_alone(
    three: Three, where: str, how: How, number: int
) -> None:
    three.configure(stall_after=4)
    chance = random.Random(f"{SEED} {how} {where} {number}")
    size = three.measure(where)
    # Its last bytes only say goodbye, which is nobody's failure.
    at = chance.randrange(int(size * 0.95))
    print(f"{how} of {where} at byte {at} of {size}")
    before = three.before()
    fault = silence(three, where, how, at)
    begun = time.monotonic()
    execution = three.run()
    took = time.monotonic() - begun
    assert fault.happened
    assert three.costs_only(execution, where) is Status.FAILED
    assert took < 40, f"it took {took:.1f} s to give it up"
    three.sound(before)


@pytest.mark.parametrize("where", REMOTE)
def test_silence_is_tried_again_on_a_new_connection(three: Three, where: str, quick_retries: None) -> None:
    three.configure(stall_after=4, upload_attempts=3)
    size = three.measure(where)
    before = three.before()
    fault = three.proxy(where).stall(size // 2, new=False)
    execution = three.run()
    assert fault.happened
    assert three.costs_only(execution, where) is Status.SUCCESS, error_of(execution, where)
    three.sound(before)


@pytest.mark.parametrize("where", REMOTE)
def test_the_others_are_done_while_one_is_silent_and_it_goes_on_when_it_may(three: Three, where: str) -> None:
    size = three.measure(where)
    before = three.before()
    fault = three.proxy(where).stall(size // 2)

    def meanwhile() -> None:
        fault.wait()
        others = [its for name, its in three.places.items() if name != where]
        eventually(lambda: all(len(its.files()) == 4 for its in others), "the others have it")
        running = three.installation.json("history", "--limit", "1")[0]
        assert running["status"] == "Running"
        three.heal()

    execution = three.run(meanwhile)
    assert three.costs_only(execution, where) is Status.SUCCESS, "a short silence is no failure"
    three.sound(before)


@pytest.mark.parametrize("where", REMOTE)
def test_a_cancel_while_a_destination_is_silent(three: Three, where: str) -> None:
    size = three.measure(where)
    before = three.before()
    fault = three.proxy(where).stall(size // 2)
    execution_id = three.workspace.run_job(JOB)
    fault.wait()
    asked = time.monotonic()
    three.workspace.cancel(execution_id)
    execution = three.workspace.wait(execution_id, 60)
    took = time.monotonic() - asked
    assert execution.status is Status.CANCELLED
    assert took < WITHIN, f"it took {took:.1f} s"
    three.sound(before)


def test_a_local_disk_that_hangs(
    installation: Installation, s3: S3Server, bucket: str, sshd: SshServer, apart: Machine
) -> None:
    """What writes there can be neither stopped nor killed until the disk answers; the run ends without it."""
    disk = installation.folder / "disk"
    apart.mount_disk(disk, 128 << 20)
    installation.prefix = apart.prefix(installation.folder)
    with three_destinations(installation, s3, bucket, sshd) as three:
        three.places["disk"] = Folder(apart.inside(disk))
        three.configure(stall_after=4)
        assert installation.json("run", JOB)["status"] == "Success"
        before = three.before()
        with installation.workspace() as workspace:
            store = workspace.store
            apart.run("fsfreeze", "--freeze", str(disk))
            try:
                command = installation.start("run", JOB, "--json")
                eventually(lambda: store.executions.list(limit=1)[0].status is Status.PARTIAL)
            finally:
                apart.run("fsfreeze", "--unfreeze", str(disk))
            ended = command.ended()
            assert ended.code == 3, ended.stderr
            execution = store.executions.get(ended.document["execution"])
        assert three.costs_only(execution, "disk") is Status.FAILED
        three.sound(before)
