"""The destination fails: it refuses, is full, is read-only, or vanishes; the other destination gets all."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.conftest import JOB, SQLITE, Gate, make_bulk
from tests.faults.servers import BULK, configure, tools
from tests.faults.soundness import assert_sound, older
from tests.parts.commands import Installation, files
from tests.parts.disks import Machine
from tests.parts.postgres import Server

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults-postgres")]

TWO = SQLITE.replace('destinations = ["disk"]', 'destinations = ["usb", "disk"]') + (
    '[[destination]]\nname = "usb"\nadapter = "local"\nconfig = { path = "usb" }\n'
)


def partial(installation: Installation) -> dict[str, Any]:
    """Run the job, of which `disk` gets all and `usb` nothing; return what is said of `usb`."""
    document = installation.json("run", JOB, code=3)
    assert document["status"] == "Partial"
    told = {its["name"]: its for its in document["destinations"]}
    assert told["disk"]["status"] == "Success"
    assert told["usb"]["status"] == "Failed"
    assert [its["destination"] for its in document["backups"][0]["copies"]] == ["disk"]
    assert document["error"]["remedy"]
    return dict(told["usb"])


def fill(server: Server, name: str) -> str:
    """A database of ten megabytes."""
    server.drop_database(name)
    return server.create_database(name, BULK)


def test_one_that_refuses(installation: Installation) -> None:
    make_bulk(installation.folder / "shop.sqlite", 1)
    installation.apply(TWO)
    usb = installation.folder / "usb"
    usb.write_text("a file, where the folder has to be")
    before = older(installation.folder / "disk")
    assert str(usb) in partial(installation)["error"]

    alone = SQLITE.replace('"disk"', '"usb"').replace('path = "disk"', 'path = "usb"')
    installation.apply(alone)
    failed = installation.json("run", JOB, code=1)
    assert failed["status"] == "Failed"
    assert str(usb) in failed["error"]["message"]
    assert failed["error"]["kind"] == "StorageError"
    assert failed["error"]["remedy"]

    usb.unlink()
    installation.apply(TWO)
    assert_sound(installation, JOB, before)


def test_one_that_is_read_only(installation: Installation, apart: Machine) -> None:
    usb = installation.folder / "usb"
    apart.mount_memory(usb, 8 << 20)
    installation.prefix = apart.prefix(installation.folder)
    make_bulk(installation.folder / "shop.sqlite", 1)
    installation.apply(TWO)
    assert installation.json("run", JOB)["status"] == "Success"
    before = older(installation.folder / "disk", apart.inside(usb))
    apart.remount_read_only(usb)
    assert "read-only" in partial(installation)["error"].lower()
    apart.run("mount", "-o", "remount,rw", str(usb))
    assert_sound(installation, JOB, before)


def test_one_that_is_full(installation: Installation, apart: Machine) -> None:
    usb = installation.folder / "usb"
    apart.mount_memory(usb, 3 << 20)
    installation.prefix = apart.prefix(installation.folder)
    make_bulk(installation.folder / "shop.sqlite", 1)
    installation.apply(TWO)
    assert installation.json("run", JOB)["status"] == "Success"
    before = older(installation.folder / "disk", apart.inside(usb))

    make_bulk(installation.folder / "grown.sqlite", 4).replace(installation.folder / "shop.sqlite")
    told = partial(installation)
    assert f"No space is left in {usb}" in told["error"]
    assert older(apart.inside(usb)) == {apart.inside(usb): before[apart.inside(usb)]}, "nothing torn is left"

    apart.run("mount", "-o", "remount,size=32m", str(usb))
    assert_sound(installation, JOB, before)


@pytest.mark.parametrize("how", ["pulled out", "renamed away"])
def test_one_that_vanishes_in_the_middle_of_an_upload(
    installation: Installation, postgres: Server, apart: Machine, gate: Gate, how: str
) -> None:
    usb = installation.folder / "usb"
    apart.mount_memory(usb, 64 << 20)
    backups, away = usb / "backups", usb / "away"
    installation.prefix = apart.prefix(installation.folder)
    script = {"pg_dump": f'@REAL@ "$@" | {gate.held(4 << 20)}'}
    folder = tools(installation.folder / "tools", postgres, script)
    configure(installation, postgres, databases=[fill(postgres, "bulk")], tools=folder)
    gate.open()
    installation.apply(
        f'[[destination]]\nname = "usb"\nadapter = "local"\nconfig = {{ path = "{backups}" }}\n'
        f'[[job]]\nname = "{JOB}"\nsource = "shop"\ndestinations = ["usb", "disk"]\n'
        "options = { upload_attempts = 1 }\n"
    )
    assert installation.json("run", JOB)["status"] == "Success"
    gate.reached()
    before = older(installation.folder / "disk", apart.inside(backups))

    command = installation.start("run", JOB, "--json")
    gate.reached()
    assert len(files(apart.inside(backups))) > len(before[apart.inside(backups)]), "the upload has begun"
    if how == "pulled out":
        apart.pull_out(usb)
    else:
        apart.run("mv", str(backups), str(away))
    gate.open()
    ended = command.ended()
    assert ended.code == 3, ended.stderr
    told = {its["name"]: its for its in ended.document["destinations"]}
    assert (told["usb"]["status"], told["disk"]["status"]) == ("Failed", "Success")
    assert "Traceback" not in ended.stderr

    if how == "pulled out":
        # Its content went with it: what comes back is another, empty disk.
        apart.mount_memory(usb, 64 << 20)
        apart.run("mkdir", str(backups))
        before = {installation.folder / "disk": before[installation.folder / "disk"]}
    else:
        apart.run("mv", str(away), str(backups))
    gate.open()
    assert_sound(installation, JOB, before)


def test_one_that_is_not_there_is_no_empty_list(installation: Installation) -> None:
    make_bulk(installation.folder / "shop.sqlite", 1)
    installation.apply(SQLITE)
    (kept,) = installation.json("run", JOB)["backups"]
    assert [its["id"] for its in installation.json("backups")] == [kept["id"]]
    disk, away = installation.folder / "disk", installation.folder / "away"
    before = older(disk)
    disk.rename(away)
    disk.write_text("a file, where the folder was")
    assert installation.json("backups", code=1)["error"]["kind"] == "StorageError"
    assert [its["id"] for its in installation.json("backups", "--cached")] == [kept["id"]]
    (outcome,) = installation.json("verify", kept["id"], code=5)
    assert outcome["outcome"] == "could-not-verify", "a disk that does not answer proves nothing"
    disk.unlink()
    away.rename(disk)
    (outcome,) = installation.json("verify", kept["id"])
    assert outcome["outcome"] == "passed"
    assert_sound(installation, JOB, before)


def test_the_log_of_a_destination_that_failed_stays(installation: Installation) -> None:
    make_bulk(installation.folder / "shop.sqlite", 1)
    installation.apply(TWO)
    (installation.folder / "usb").write_text("a file")
    partial(installation)
    shown = installation.json("show", "1")
    assert shown["status"] == "Partial"
    errors = [line for line in shown["log"] if line["level"] == "error"]
    assert any("[usb]" in line["message"] for line in errors)
