"""A connection to one destination breaks, or lies, at a random byte; the other two destinations get all.

Each case is a test of its own, and its byte depends on its number alone: the node ID repeats it.
"""

from __future__ import annotations

import random

import pytest

from engine.events import Status
from tests.faults.conftest import FULL, SEED
from tests.faults.three import Three, error_of
from tests.parts.queues import eventually

pytestmark = pytest.mark.faults

CUTS = range(30 if FULL else 2)
"""Cuts of each destination; every second one stays away until the next run."""
FLIPS = range(30 if FULL else 1)
REMOTE = ["cloud", "server"]


@pytest.mark.parametrize("number", CUTS)
@pytest.mark.parametrize("where", REMOTE)
def test_a_connection_cut_at_a_random_byte(three: Three, where: str, number: int) -> None:
    chance = random.Random(f"{SEED} cut {where} {number}")
    size = three.measure(where)
    at, how, lasting = chance.randrange(size), chance.choice(["reset", "end"]), bool(number % 2)
    print(f"{how} of {where} at byte {at} of {size}{', for good' if lasting else ''}")
    before = three.before()
    fault = three.proxy(where).cut(at, how, lasting=lasting)  # type: ignore[arg-type]
    execution = three.run()
    assert fault.happened
    if three.costs_only(execution, where) is Status.SUCCESS:
        assert at > size * 0.9 or not lasting, "it cannot have arrived"
    three.sound(before)


@pytest.mark.parametrize("where", REMOTE)
def test_a_cut_is_tried_again_from_the_spool(three: Three, where: str, quick_retries: None) -> None:
    three.configure(upload_attempts=4)
    size = three.measure(where)
    before = three.before()
    proxy = three.proxy(where)
    first, second = proxy.cut(size // 3), proxy.cut(size // 3 + size // 2)
    execution = three.run()
    assert first.happened and second.happened
    assert three.costs_only(execution, where) is Status.SUCCESS, error_of(execution, where)
    log = [line["message"] for line in three.installation.json("show", str(execution.seq))["log"]]
    retried = [line for line in log if f"[{where}]" in line and "trying again" in line]
    assert len(retried) == (2 if where == "server" else 0), log
    assert len([line for line in log if line.startswith("Dumping")]) == 1, "it is dumped once"
    three.sound(before)


@pytest.mark.parametrize("where", REMOTE)
def test_one_that_is_down_from_the_beginning(three: Three, where: str) -> None:
    three.succeeds()
    before = three.before()
    three.proxy(where).refuse()
    execution = three.run()
    assert three.costs_only(execution, where) is Status.FAILED
    assert "127.0.0.1" in error_of(execution, where)
    three.sound(before)


@pytest.mark.parametrize("number", FLIPS)
@pytest.mark.parametrize("where", REMOTE)
def test_a_bit_that_flips_on_the_way(three: Three, where: str, number: int) -> None:
    """Nothing is stored with it: the copy is whole, or it has failed."""
    chance = random.Random(f"{SEED} flip {where} {number}")
    size = three.measure(where)
    at = chance.randrange(size)
    print(f"a bit flips on the way to {where} in byte {at} of {size}")
    before = three.before()
    fault = three.proxy(where).corrupt(at)
    execution = three.run()
    assert fault.happened
    three.costs_only(execution, where)
    three.sound(before)


def test_both_that_are_remote_are_cut_and_the_disk_has_it(three: Three) -> None:
    sizes = {name: three.measure(name) for name in REMOTE}
    before = three.before()
    for name in REMOTE:
        three.proxy(name).cut(sizes[name] // 2, lasting=True)
    execution = three.run()
    assert execution.status is Status.PARTIAL
    for name in REMOTE:
        assert error_of(execution, name) in str(execution.error)
    three.sound(before)


def test_all_three_fail_and_the_dump_is_stopped(three: Three) -> None:
    three.succeeds()
    before = three.before()
    for name in REMOTE:
        three.proxy(name).refuse()
    disk = three.installation.folder / "disk"
    away = disk.rename(disk.with_name("away"))
    disk.write_text("a file, where the folder was")
    execution = three.run()
    assert execution.status is Status.FAILED
    for name in ("disk", *REMOTE):
        assert error_of(execution, name) in str(execution.error)
    disk.unlink()
    away.rename(disk)
    three.sound(before)


def test_a_slow_destination_holds_up_nobody(three: Three) -> None:
    """The others are done, and the dump too, long before the slow one is."""
    three.succeeds()
    before = three.before()
    three.cloud.slow(1 << 20)

    def meanwhile() -> None:
        eventually(lambda: all(len(three.places[its].files()) == 4 for its in ("disk", "server")))
        assert len(three.places["cloud"].files()) == 2, "the slow one is not done"
        three.cloud.heal()

    assert three.run(meanwhile).status is Status.SUCCESS
    three.sound(before)
