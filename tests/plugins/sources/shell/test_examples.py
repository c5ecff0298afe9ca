"""The examples of docs/sources.md, run: a directory of slapd's, and a snapshot of etcd's."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import strongroom
from engine.contract.config import build
from plugins.sources.command import Command
from strongroom import TargetState
from strongroom.testing.laboratory import Surroundings, dumped
from tests.parts.mariadb import _free_port
from tests.parts.postgres import missing_part

PAGE = Path(__file__).parents[4] / "docs" / "sources.md"
DIRECTORY = """dn: dc=shop
objectClass: dcObject
objectClass: organization
dc: shop
o: A shop

"""
CONFIGURATION = """include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
suffix "dc=shop"
directory {folder}
"""


def example(name: str, **changes: str) -> dict[str, object]:
    """The configuration that the page shows for a source, with these texts for its paths."""
    import tomllib

    section = PAGE.read_text(encoding="utf-8").partition("\n## Command\n")[2]
    blocks = re.findall(r"```toml\n(.*?)```", section, re.DOTALL)
    text = next(block for block in blocks if f'name = "{name}"' in block)
    for old, new in changes.items():
        assert old in text, f"the page's example {name} no longer has {old}"
        text = text.replace(old, new)
    config: dict[str, object] = tomllib.loads(text)["source"][0]["config"]
    return config


def need(*tools: str, package: str) -> None:
    if any(shutil.which(tool, path="/usr/sbin:/usr/bin:/bin") is None for tool in tools):
        missing_part(f"{tools[0]} (Debian: {package})")


def entries(configuration: Path) -> set[str]:
    text = subprocess.run(
        ["/usr/sbin/slapcat", "-o", "ldif-wrap=no", "-f", configuration], capture_output=True, check=True
    ).stdout.decode()
    return {line for line in text.splitlines() if line.startswith(("dn:", "sn:", "description:"))}


def test_a_directory_comes_back_by_slapadd(tmp_path: Path) -> None:
    need("slapcat", "slapadd", package="slapd")
    folder, configuration = tmp_path / "data", tmp_path / "slapd.conf"
    folder.mkdir()
    configuration.write_text(CONFIGURATION.format(folder=folder))
    people = "".join(
        f"dn: cn=Person {n},dc=shop\nobjectClass: person\ncn: Person {n}\nsn: {n}\n"
        "description:: WsO2w6sg5ryi\n\n"
        for n in range(200)
    )
    subprocess.run(
        ["/usr/sbin/slapadd", "-q", "-f", configuration], input=(DIRECTORY + people).encode(), check=True
    )
    before = entries(configuration)
    assert len(before) == 402  # 201 names, 200 surnames, one description

    changes = {"/etc/ldap/slapd.conf": str(configuration), "/var/lib/ldap": str(folder)}
    changes |= {"systemctl stop slapd && ": "", " && systemctl start slapd": ""}
    around = Surroundings(tmp_path)
    source = Command(build(Command.Config, example("directory", **changes)), around.context)
    report = source.check()
    chunks, counted = dumped(source, "directory")
    assert report.version == ""
    assert counted.consistent
    assert dict(counted.tables) == {"entries": 201}

    for file in folder.iterdir():
        file.unlink()
    source.restore("directory", chunks)
    assert entries(configuration) == before
    assert counted.differences(source.fingerprint("directory")) == []

    with pytest.raises(strongroom.ToolFailed, match="slapadd"):
        source.restore("directory", [b"dn: dc=shop\nobjectClass: nonsense\n\n"])


@contextmanager
def etcd(folder: Path) -> Iterator[str]:
    """A server on a data folder; gives its address."""
    client, peer = f"http://127.0.0.1:{_free_port()}", f"http://127.0.0.1:{_free_port()}"
    with (folder.parent / "etcd.log").open("ab") as log:
        process = subprocess.Popen(
            [
                *("etcd", "--data-dir", folder, "--listen-client-urls", client),
                *("--advertise-client-urls", client, "--listen-peer-urls", peer, "--log-outputs", "stderr"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": "/usr/bin:/bin", "ETCD_UNSUPPORTED_ARCH": "arm64", "HOME": str(folder.parent)},
        )
    try:
        end = time.monotonic() + 30
        while subprocess.run(["etcdctl", "--endpoints", client, "endpoint", "health"],
                             capture_output=True).returncode != 0:  # fmt: skip
            assert process.poll() is None and time.monotonic() < end, (folder.parent / "etcd.log").read_text()
            time.sleep(0.05)  # a server tells nobody that it is ready
        yield client
    finally:
        process.terminate()
        process.wait(20)


def keys(address: str) -> list[str]:
    argv = ["etcdctl", "--endpoints", address, "get", "", "--from-key"]
    return subprocess.run(argv, capture_output=True, check=True, text=True).stdout.splitlines()


def test_a_snapshot_of_etcd_comes_back_in_a_folder_of_its_own() -> None:
    need("etcd", "etcdctl", package="etcd-server and etcd-client")
    with tempfile.TemporaryDirectory(prefix="et-", dir="/tmp") as place:
        folder = Path(place)
        around = Surroundings(folder)
        with etcd(folder / "live") as address:
            for number in range(20):
                argv = ["etcdctl", "--endpoints", address, "put", f"/shop/{number:02}", f"Zoë 漢 {number}"]
                subprocess.run(argv, capture_output=True, check=True)
            before = keys(address)
            assert len(before) == 40
            changes = {"http://127.0.0.1:2379": address, "/var/lib/etcd-restored": str(folder / "restored")}
            source = Command(build(Command.Config, example("cluster", **changes)), around.context)
            assert source.check().version[0].isdigit()
            with source.dump("cluster", fingerprint=False) as dump:
                chunks = list(dump)
        name = source.scratch_name("cluster", "drill_1", folder)
        assert source.target_state(name) is TargetState.MISSING
        source.restore(name, chunks)
        assert source.target_state(name) is TargetState.FILLED
        with etcd(folder / f"restored/{name}") as address:
            assert keys(address) == before
        cut = b"".join(chunks)[:-100]
        other = source.scratch_name("cluster", "drill_2", folder)
        with pytest.raises(strongroom.ToolFailed, match="restore command failed"):
            source.restore(other, [cut])
        assert source.target_state(other) is TargetState.MISSING
        source.drop(name)
        assert source.target_state(name) is TargetState.MISSING
