"""A destination's server crashes in the middle of an upload, and is there again, sooner or later."""

from __future__ import annotations

import random

import pytest

from engine.events import Status
from tests.faults.conftest import FULL, SEED
from tests.faults.three import Three, error_of
from tests.parts.s3 import S3Server
from tests.parts.sshd import SshServer

pytestmark = pytest.mark.faults

RESTARTS = range(10 if FULL else 1)
REMOTE = ["cloud", "server"]


def server_of(three: Three, where: str) -> S3Server | SshServer:
    return three.s3 if where == "cloud" else three.sshd


@pytest.mark.parametrize("number", RESTARTS)
@pytest.mark.parametrize("where", REMOTE)
def test_a_server_that_is_back_before_the_last_attempt(three: Three, where: str, number: int) -> None:
    """With the waits that people have: two seconds, four, eight, each with some chance in it."""
    three.configure(upload_attempts=4)
    size = three.measure(where)
    at = random.Random(f"{SEED} restart {where} {number}").randrange(size // 20, size * 9 // 10)
    print(f"the server of {where} ends at byte {at} of {size}")
    before = three.before()
    fault = three.proxy(where).stall(at, new=False)

    def meanwhile() -> None:
        fault.wait()
        server_of(three, where).stop()
        three.heal()
        server_of(three, where).start()

    execution = three.run(meanwhile)
    assert three.costs_only(execution, where) is Status.SUCCESS, error_of(execution, where)
    three.sound(before)


@pytest.mark.parametrize("where", REMOTE if FULL else ["cloud"])
def test_a_server_that_is_back_for_the_next_run(three: Three, where: str) -> None:
    size = three.measure(where)
    before = three.before()
    fault = three.proxy(where).stall(size // 2, new=False)
    server = server_of(three, where)

    def meanwhile() -> None:
        fault.wait()
        server.stop()
        three.heal()

    try:
        execution = three.run(meanwhile)
    finally:
        server.start()
    assert three.costs_only(execution, where) is Status.FAILED
    three.sound(before)
