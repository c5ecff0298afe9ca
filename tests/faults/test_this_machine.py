"""This machine fails: its spool disk is full, its spool lies in memory, no keyring or vault is there."""

from __future__ import annotations

import shutil

import pytest

from tests.faults.conftest import JOB, SQLITE, make_bulk
from tests.faults.servers import BULK, source_of
from tests.faults.soundness import assert_sound, older
from tests.faults.three import three_destinations
from tests.parts.commands import Installation
from tests.parts.disks import Machine
from tests.parts.postgres import PASSWORD, Server
from tests.parts.s3 import S3Server
from tests.parts.sshd import SshServer

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults-postgres")]

MIB = 1 << 20


def on_a_small_disk(installation: Installation, apart: Machine, size: int) -> None:
    """Let STRONGROOM_HOME be a disk of its own."""
    apart.mount_disk(installation.home.root, size)
    installation.prefix = apart.prefix(installation.folder)


def test_a_spool_disk_that_gets_full_in_the_middle_of_a_dump(
    installation: Installation, postgres: Server, apart: Machine, s3: S3Server, bucket: str, sshd: SshServer
) -> None:
    on_a_small_disk(installation, apart, 24 * MIB)
    postgres.drop_database("bulk")
    installation.environ["SHOP_PASSWORD"] = PASSWORD
    source = source_of(postgres, databases=[postgres.create_database("bulk", BULK)])
    with three_destinations(installation, s3, bucket, sshd, source=source) as three:
        assert installation.json("run", JOB)["status"] == "Success"
        before = three.before()

        home = installation.home.root
        # Room for what the last backup took, so that the run begins; it takes twice as much now.
        postgres.sql("bulk", "CREATE TABLE more AS SELECT * FROM bulk")
        free = free_at_home(installation, apart)
        apart.run("fallocate", "-l", str(free - 8 * MIB), str(home / "others.data"))
        failed = installation.json("run", JOB, code=1)
        assert failed["status"] == "Failed"
        assert failed["error"]["kind"] == "SpoolError"
        assert f"The spool folder {home / 'spool'} is full" in failed["error"]["message"]
        assert "Free some space" in failed["error"]["remedy"]
        assert three.before() == before, "what had been sent is taken back everywhere"
        assert three.places["cloud"].unfinished() == []
        assert installation.json("history", "--limit", "1")[0]["status"] == "Failed"

        apart.run("rm", str(home / "others.data"))
        three.sound(before)


def free_at_home(installation: Installation, apart: Machine) -> int:
    """Bytes that are free where the spool is."""
    return shutil.disk_usage(apart.inside(installation.home.root)).free


def test_a_disk_without_room_for_the_copy_of_a_file(installation: Installation, apart: Machine) -> None:
    on_a_small_disk(installation, apart, 24 * MIB)
    make_bulk(installation.folder / "shop.sqlite", 2)
    installation.apply(SQLITE)
    assert installation.json("run", JOB)["status"] == "Success"
    before = older(installation.folder / "disk")
    make_bulk(installation.folder / "grown.sqlite", 30).replace(installation.folder / "shop.sqlite")
    failed = installation.json("run", JOB, code=1)
    assert failed["status"] == "Failed"
    assert str(installation.home.root / "scratch") in failed["error"]["message"]
    assert failed["error"]["remedy"]
    make_bulk(installation.folder / "small.sqlite", 2).replace(installation.folder / "shop.sqlite")
    assert_sound(installation, JOB, before)


def test_a_disk_without_a_byte_left_is_a_clear_error(installation: Installation, apart: Machine) -> None:
    on_a_small_disk(installation, apart, 24 * MIB)
    make_bulk(installation.folder / "shop.sqlite", 1)
    installation.apply(SQLITE)
    assert installation.json("run", JOB)["status"] == "Success"
    before = older(installation.folder / "disk")
    home = installation.home.root
    apart.run("sh", "-c", f"dd if=/dev/zero of={home}/others.data bs=64k status=none 2> /dev/null || true")
    ended = installation.start("run", JOB, "--json").ended()
    assert ended.code == 1, ended.stdout + ended.stderr
    told = ended.document["error"]
    assert "full" in told["message"] or "space" in told["message"] or "free" in told["message"], told
    assert told["remedy"]
    assert "bug" not in told["remedy"]
    assert "report it" not in told["remedy"]
    assert older(installation.folder / "disk") == before
    apart.run("rm", str(home / "others.data"))
    assert_sound(installation, JOB, before)


def test_a_spool_in_memory_is_refused_until_it_is_allowed(installation: Installation, apart: Machine) -> None:
    apart.mount_memory(installation.home.root, 64 * MIB)
    installation.prefix = apart.prefix(installation.folder)
    make_bulk(installation.folder / "shop.sqlite", 1)
    installation.apply(SQLITE)
    failed = installation.json("run", JOB, code=1)
    assert failed["error"]["kind"] == "SpoolError"
    assert "tmpfs" in failed["error"]["message"]
    assert "STRONGROOM_SPOOL_TMPFS=allow" in failed["error"]["remedy"]
    installation.environ["STRONGROOM_SPOOL_TMPFS"] = "allow"
    assert_sound(installation, JOB)


def test_without_a_keyring_nothing_is_written_in_plain(shop: Installation) -> None:
    before = shop.json("run", JOB)
    kept = older(shop.folder / "disk")
    vault = {
        name: shop.environ.pop(name) for name in list(shop.environ) if name.startswith("STRONGROOM_VAULT")
    }
    shop.environ |= {
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={shop.folder}/no-bus",
    }
    failed = shop.run("run", JOB, "--json", code=1).document
    assert failed["status"] == "Failed"
    assert failed["error"]["kind"] == "NoKeyring"
    assert "STRONGROOM_VAULT=file" in failed["error"]["remedy"]
    assert shop.run("keys", "new", "another", "--json", code=1).document["error"]["kind"] == "NoKeyring"
    assert older(shop.folder / "disk") == kept
    assert [its["name"] for its in shop.run("keys", "list", "--json").document] == ["default"]

    del shop.environ["PYTHON_KEYRING_BACKEND"]
    shop.environ |= vault
    assert before["status"] == "Success"
    assert_sound(shop, JOB, kept)


@pytest.mark.parametrize("passphrase", ["", "a wrong one"])
def test_a_vault_that_does_not_open(shop: Installation, passphrase: str) -> None:
    right = shop.environ["STRONGROOM_VAULT_PASSPHRASE"]
    shop.environ["STRONGROOM_VAULT_PASSPHRASE"] = passphrase
    failed = shop.json("run", JOB, code=1)
    assert failed["status"] == "Failed"
    assert "passphrase" in failed["error"]["message"]
    assert failed["error"]["remedy"]
    assert not passphrase or passphrase not in str(failed)
    shop.environ["STRONGROOM_VAULT_PASSPHRASE"] = right
    assert_sound(shop, JOB)
