"""The examples of docs/sources.md, run: a directory of slapd's, and a snapshot of etcd's."""

from __future__ import annotations

import os
import re
import shutil
import socket
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
CONFIGURATION = """pidfile {pid}
include /etc/ldap/schema/core.schema
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


STOP = """#!/bin/sh
pid=$(cat {pid})
kill $pid
while kill -0 $pid 2>/dev/null; do sleep 0.05; done
"""
START = """#!/bin/sh
/usr/sbin/slapd {who}-F {folder} -h ldap://127.0.0.1:{port} > /dev/null 2>&1 < /dev/null
"""


class Directory:
    """A slapd of our own as Debian has it: its configuration in a folder, its data another user's."""

    def __init__(self, folder: Path) -> None:
        self.configuration, self.data = folder / "slapd.d", folder / "data"
        self.port, self.run = _free_port(), folder / "run"
        for path in (self.configuration, self.data, self.run):
            path.mkdir()
        pid = self.run / "slapd.pid"
        text = CONFIGURATION.format(folder=self.data, pid=pid)
        (folder / "slapd.conf").write_text(text)
        # It writes the folder, and complains then that there is no data yet.
        convert = ["/usr/sbin/slaptest", "-f", folder / "slapd.conf", "-F", self.configuration]
        subprocess.run(convert, capture_output=True, check=False)
        self.user = "openldap:openldap" if os.geteuid() == 0 else f"{os.geteuid()}:{os.getegid()}"
        self.own()
        user, group = self.user.split(":")
        who = f"-u {user} -g {group} " if os.geteuid() == 0 else ""
        (folder / "stop").write_text(STOP.format(pid=pid))
        (folder / "start").write_text(START.format(who=who, folder=self.configuration, port=self.port))
        for script in (folder / "stop", folder / "start"):
            script.chmod(0o700)
        self.stop, self.start = str(folder / "stop"), str(folder / "start")

    def own(self) -> None:
        """Give all that it has to its user."""
        subprocess.run(["chown", "-R", self.user, self.configuration, self.data, self.run], check=True)

    def load(self, text: str) -> None:
        """Fill it, while it does not run."""
        argv = ["/usr/sbin/slapadd", "-q", "-n", "1", "-F", self.configuration]
        subprocess.run(argv, input=text.encode(), check=True)
        self.own()

    def entries(self) -> set[str]:
        argv = ["/usr/sbin/slapcat", "-o", "ldif-wrap=no", "-n", "1", "-F", self.configuration]
        text = subprocess.run(argv, capture_output=True, check=True).stdout.decode()
        return {line for line in text.splitlines() if line.startswith(("dn:", "sn:", "description:"))}

    def answers(self) -> bool:
        """Whether it runs, and lets somebody in who has no name (RFC 4511, section 4.2)."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as link:
                link.sendall(bytes.fromhex("300c020101600702010304008000"))
                return link.recv(64).startswith(bytes.fromhex("300c02010161070a0100"))
        except OSError:
            return False


@pytest.fixture
def directory() -> Iterator[Directory]:
    """A slapd that runs and holds a few people; its folders are open to its user."""
    need("slapcat", "slapadd", "slapd", package="slapd")
    with tempfile.TemporaryDirectory(prefix="sl-", dir="/tmp") as place:
        Path(place).chmod(0o755)
        found = Directory(Path(place))
        found.load(DIRECTORY + people(200))
        subprocess.run([found.start], check=True)
        yield found
        subprocess.run([found.stop], check=False)


def people(count: int) -> str:
    return "".join(
        f"dn: cn=Person {n},dc=shop\nobjectClass: person\ncn: Person {n}\nsn: {n}\n"
        "description:: WsO2w6sg5ryi\n\n"
        for n in range(count)
    )


def test_a_directory_comes_back_by_slapadd(directory: Directory, tmp_path: Path) -> None:
    before = directory.entries()
    assert len(before) == 402  # 201 names, 200 surnames, one description
    changes = {"/etc/ldap/slapd.d": str(directory.configuration), "/var/lib/ldap": str(directory.data)}
    changes |= {"openldap:openldap": directory.user}
    changes |= {"systemctl stop slapd": directory.stop, "systemctl start slapd": directory.start}
    around = Surroundings(tmp_path)
    source = Command(build(Command.Config, example("directory", **changes)), around.context)
    report = source.check()
    chunks, counted = dumped(source, "directory")
    assert report.version == ""
    assert counted.consistent
    assert dict(counted.tables) == {"entries": 201}

    subprocess.run([directory.stop], check=True)
    for file in directory.data.iterdir():
        file.unlink()
    directory.load(DIRECTORY + people(3))
    subprocess.run([directory.start], check=True)
    source.restore("directory", chunks)
    assert directory.answers(), "its user owns what was restored"
    assert directory.entries() == before
    assert counted.differences(source.fingerprint("directory")) == []
    assert sorted(file.name for file in directory.data.iterdir()) == ["data.mdb", "lock.mdb"]

    whole = b"".join(chunks)
    for bad in (b"dn: dc=shop\nobjectClass: nonsense\n\n", b"garbage\n", b"\x00" * 4096, whole + b"dn: x\n"):
        with pytest.raises(strongroom.ToolFailed, match="restore command failed"):
            source.restore("directory", [bad])
        assert directory.answers(), "slapd goes on"
        assert directory.entries() == before, "and with what it had"
        assert sorted(file.name for file in directory.data.iterdir()) == ["data.mdb", "lock.mdb"]


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
            changes |= {"127.0.0.1:12379": f"127.0.0.1:{_free_port()}"}
            changes |= {"127.0.0.1:12380": f"127.0.0.1:{_free_port()}"}
            source = Command(build(Command.Config, example("cluster", **changes)), around.context)
            assert source.check().version[0].isdigit()
            chunks, counted = dumped(source, "cluster")
            assert counted.consistent
            assert counted.tables["keys"] == 20
            assert source.target_state("cluster") is TargetState.FILLED
            with pytest.raises(strongroom.ToolFailed, match="restore it --as another name"):
                source.restore("cluster", chunks)
        name = source.scratch_name("cluster", "drill_1", folder)
        assert source.target_state(name) is TargetState.MISSING
        source.restore(name, chunks)
        assert source.target_state(name) is TargetState.FILLED
        assert counted.differences(source.fingerprint(name)) == [], "as a drill compares it"
        with etcd(folder / f"restored/{name}") as address:
            assert keys(address) == before
            argv = ["etcdctl", "--endpoints", address, "put", "/shop/07", "Zoë 漢 8"]
            subprocess.run(argv, capture_output=True, check=True)
        assert counted.differences(source.fingerprint(name)), "one character is another"
        cut = b"".join(chunks)[:-100]
        other = source.scratch_name("cluster", "drill_2", folder)
        with pytest.raises(strongroom.ToolFailed, match="restore command failed"):
            source.restore(other, [cut])
        assert source.target_state(other) is TargetState.MISSING
        source.drop(name)
        assert source.target_state(name) is TargetState.MISSING
