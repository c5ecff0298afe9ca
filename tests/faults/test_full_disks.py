"""A disk gets full: that of the folder, of the SSH server or of the S3 server; the others get all."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from engine.events import Status
from tests.faults.conftest import FULL, JOB, SEED
from tests.faults.places import Folder
from tests.faults.three import Three, error_of, three_destinations
from tests.parts.commands import Installation
from tests.parts.disks import Machine
from tests.parts.s3 import S3Server
from tests.parts.sshd import SshServer, running

pytestmark = pytest.mark.faults

MIB = 1 << 20
PLACES = range(30 if FULL else 1)
"""Random places at which the local folder's disk is full: what a cut is to the other two."""


def resize(machine: Machine, disk: Path, size: int) -> None:
    machine.run("mount", "-o", f"remount,size={size}", str(disk))


@pytest.mark.parametrize("number", PLACES)
def test_a_local_disk_that_is_full_at_a_random_byte(
    installation: Installation, s3: S3Server, bucket: str, sshd: SshServer, apart: Machine, number: int
) -> None:
    disk = installation.folder / "disk"
    apart.mount_memory(disk, 64 * MIB)
    installation.prefix = apart.prefix(installation.folder)
    with three_destinations(installation, s3, bucket, sshd) as three:
        three.places["disk"] = Folder(apart.inside(disk))
        assert installation.json("run", JOB)["status"] == "Success"
        before = three.before()
        used = sum(its.stat().st_size for its in apart.inside(disk).rglob("*") if its.is_file())
        at = random.Random(f"{SEED} full {number}").randrange(used)
        print(f"full after {at} of {used} bytes")
        resize(apart, disk, (used + at) // 4096 * 4096 + 8 * 4096)
        document = installation.start("run", JOB, "--json").ended().document
        execution = three.workspace.store.executions.get(document["execution"])
        if three.costs_only(execution, "disk") is Status.SUCCESS:
            assert at > used - (64 << 10), "there was no room for it"
        else:
            assert "space" in error_of(execution, "disk")
        resize(apart, disk, 64 * MIB)
        three.sound(before)


@contextmanager
def with_a_small_disk(
    installation: Installation, kind: str, machine: Machine, s3: S3Server, bucket: str, sshd: SshServer
) -> Iterator[tuple[Three, Path]]:
    """The job, with one of the servers on a disk of its own of 64 MiB."""
    with ExitStack() as stack:
        if kind == "cloud":
            disk = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="s3d-", dir="/tmp")))
            machine.mount_memory(disk, 64 * MIB)
            s3 = S3Server(data=disk, prefix=machine.prefix(disk))
            stack.callback(s3.close)
            s3.start()
            bucket = s3.make_bucket()
            its = stack.enter_context(three_destinations(installation, s3, bucket, sshd))
        else:
            sshd = stack.enter_context(running(on=machine, keys=["ed25519"]))
            disk = sshd.root
            machine.mount_memory(disk, 64 * MIB)
            its = stack.enter_context(
                three_destinations(installation, s3, bucket, sshd, folder=disk, seen_at=machine.inside)
            )
        yield its, disk


@pytest.mark.parametrize("kind", ["cloud", "server"])
def test_a_server_whose_disk_gets_full(
    installation: Installation, s3: S3Server, bucket: str, sshd: SshServer, apart: Machine, kind: str
) -> None:
    with with_a_small_disk(installation, kind, apart, s3, bucket, sshd) as (three, disk):
        three.succeeds()
        before = three.before()
        resize(apart, disk, 20 * MIB)
        execution = three.run()
        assert three.costs_only(execution, kind) is Status.FAILED
        if kind == "server":  # an S3 server says no more than that it failed
            assert "space" in error_of(execution, kind)
        resize(apart, disk, 128 * MIB)
        three.sound(before)
