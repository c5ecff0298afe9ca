"""The stand-in for sftp-server passes everything, and breaks at the request that it is told of."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.programs import required_program
from tests.parts.queues import eventually
from tests.parts.sftp_standin import StandIn
from tests.parts.sshd import SshServer, running


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> StandIn:
    return StandIn(tmp_path_factory.mktemp("standin"))


@pytest.fixture(scope="module")
def server(standin: StandIn) -> Iterator[SshServer]:
    with running(options=[standin.option], keys=["ed25519"]) as its:
        yield its


class Client:
    """OpenSSH's own `sftp` and `ssh`."""

    def __init__(self, server: SshServer) -> None:
        self.options = [
            *("-i", str(server.key()), "-o", f"UserKnownHostsFile={server.known_hosts}"),
            *("-o", "BatchMode=yes", "-F", "none"),
        ]
        self.port, self.where = str(server.port), f"{server.user}@{server.host}"

    def sftp(self, *lines: str) -> subprocess.CompletedProcess[str]:
        argv = [required_program("sftp", package="openssh-client"), *self.options, "-P", self.port, "-b", "-"]
        return subprocess.run(
            [*argv, self.where], input="\n".join(lines), capture_output=True, text=True, timeout=30
        )

    def ssh(self, command: str) -> str:
        argv = [required_program("ssh", package="openssh-client"), *self.options, "-p", self.port]
        return subprocess.run(
            [*argv, self.where, command], capture_output=True, text=True, timeout=30, check=True
        ).stdout


@pytest.fixture
def client(server: SshServer) -> Client:
    return Client(server)


@pytest.fixture
def folder(server: SshServer, standin: StandIn) -> Path:
    standin.clear()
    return server.new_folder()


def test_it_passes_files_and_commands_through(client: Client, folder: Path, tmp_path: Path) -> None:
    data = bytes(range(256)) * 8192
    (tmp_path / "up").write_bytes(data)
    done = client.sftp(
        f"put {tmp_path}/up {folder}/a", f"rename {folder}/a {folder}/b", f"get {folder}/b {tmp_path}/d"
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "b").read_bytes() == (tmp_path / "d").read_bytes() == data
    assert client.ssh(f"cat {folder}/b | wc -c; exit 0").strip() == str(len(data))


@pytest.mark.parametrize("do", ["cut", "lose answer", "die"])
def test_it_breaks_at_a_rename(client: Client, folder: Path, standin: StandIn, do: str) -> None:
    (folder / "a").touch()
    standin.order("rename", do)  # type: ignore[arg-type]
    done = client.sftp(f"mkdir {folder}/c", f"rename {folder}/a {folder}/b")
    assert done.returncode != 0
    assert standin.happened
    assert (folder / "c").exists()
    assert (folder / "b").exists() == (do == "lose answer"), "the server has done it, or has not"
    assert client.sftp(f"rename {folder}/c {folder}/d").returncode == 0, "once is once"


def test_it_waits_for_the_name_that_it_is_told(client: Client, folder: Path, standin: StandIn) -> None:
    standin.order("mkdir", "cut", "/second")
    assert client.sftp(f"mkdir {folder}/first").returncode == 0
    assert not standin.happened
    assert client.sftp(f"mkdir {folder}/second").returncode != 0
    assert standin.happened


def test_it_stalls_until_the_client_leaves(
    server: SshServer, client: Client, folder: Path, standin: StandIn
) -> None:
    standin.order("mkdir", "stall")
    argv = [required_program("sftp", package="openssh-client"), *client.options, "-P", client.port, "-b", "-"]
    with subprocess.Popen(
        [*argv, client.where], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        process.stdin.write(f"mkdir {folder}/c\n".encode())
        process.stdin.close()
        eventually(lambda: standin.happened)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.kill()
    eventually(lambda: not server.sessions(), "its processes end with the connection")
    assert not (folder / "c").exists()
