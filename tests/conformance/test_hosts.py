"""Every host against the suite that any plugin's host is held to, chains of them too."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.contract.config import build
from engine.hosts.local import LocalHost
from plugins.hosts.docker import Docker
from plugins.hosts.kubectl import Kubernetes
from plugins.hosts.podman import Podman
from plugins.hosts.ssh import SshServer as SshHostAdapter
from strongroom import CancelToken, ConnectionFailed, Host, HostAdapter
from strongroom.testing import HostConformance, Surroundings
from tests.parts.containers import Clients
from tests.parts.sshd import SshServer, running, sshd, sshd_with_password  # noqa: F401 - fixtures


def opened(
    adapter: type[HostAdapter], cancel: CancelToken, folder: Path, before: Host, **values: object
) -> Host:
    around = Surroundings(folder, cancel=cancel)
    return adapter(build(adapter.Config, values), around.context_on(before)).open()


def ssh_values(server: SshServer) -> dict[str, object]:
    return {key: value for key, value in server.values().items() if key != "path"}


@pytest.fixture
def clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clients:
    found = Clients(tmp_path / "clients")
    monkeypatch.setenv("PATH", f"{found.folder}{os.pathsep}{os.environ['PATH']}")
    return found


class TestThisMachine(HostConformance):
    @pytest.fixture
    def host(self, cancel: CancelToken) -> Iterator[Host]:
        yield LocalHost(cancel)


class TestSsh(HostConformance):
    @pytest.fixture
    def host(self, cancel: CancelToken, sshd: SshServer, tmp_path: Path) -> Iterator[Host]:  # noqa: F811
        host = opened(SshHostAdapter, cancel, tmp_path, LocalHost(cancel), **ssh_values(sshd))
        yield host
        host.close()

    @pytest.mark.parametrize("stubborn", ["", "trap '' TERM; "])
    def test_a_cut_connection_ends_a_tool_that_says_nothing(
        self,
        cancel: CancelToken,
        sshd: SshServer,  # noqa: F811
        tmp_path: Path,
        witness: Host,
        stubborn: str,
    ) -> None:
        with running() as server:
            host = opened(SshHostAdapter, cancel, tmp_path, LocalHost(cancel), **ssh_values(server))
            line = f"{stubborn}echo $$; while :; do sleep 0.2; done"
            with host.run(["sh", "-c", line]) as process:
                pid = process.read().decode().strip()
                server.drop_connections()
                with pytest.raises(ConnectionFailed):
                    while process.read():
                        pass
                    process.wait()
                self.assert_gone(witness, pid)
            host.close()


class TestSshByPasswordThroughAJumpHost(HostConformance):
    @pytest.fixture
    def host(
        self,
        cancel: CancelToken,
        sshd: SshServer,  # noqa: F811
        sshd_with_password: SshServer,  # noqa: F811
        tmp_path: Path,
    ) -> Iterator[Host]:
        jump = opened(SshHostAdapter, cancel, tmp_path, LocalHost(cancel), **ssh_values(sshd))
        values = {**ssh_values(sshd_with_password), "private_key": None}
        host = opened(SshHostAdapter, cancel, tmp_path, jump, **values, password=sshd_with_password.password)
        yield host
        host.close()
        jump.close()


class TestDocker(HostConformance):
    @pytest.fixture
    def host(self, cancel: CancelToken, clients: Clients, tmp_path: Path) -> Iterator[Host]:
        yield opened(Docker, cancel, tmp_path, LocalHost(cancel), container="shop-db-1")


def test_a_killed_client_is_not_taken_for_the_end_of_the_tool(clients: Clients, tmp_path: Path) -> None:
    cancel = CancelToken()
    host = opened(Docker, cancel, tmp_path, LocalHost(cancel), container="shop-db-1")
    with host.run(["sh", "-c", "echo $PPID; exec sleep 30"]) as process:
        process.read()
        client = process._pipe._popen.pid  # type: ignore[attr-defined]
        os.kill(client, signal.SIGKILL)
        with pytest.raises(ConnectionFailed, match="leads to the container shop-db-1 was ended by signal 9"):
            process.wait()


class TestPodman(HostConformance):
    @pytest.fixture
    def host(self, cancel: CancelToken, clients: Clients, tmp_path: Path) -> Iterator[Host]:
        yield opened(Podman, cancel, tmp_path, LocalHost(cancel), container="shop-db-1", user="postgres")


class TestKubectl(HostConformance):
    @pytest.fixture
    def host(self, cancel: CancelToken, clients: Clients, tmp_path: Path) -> Iterator[Host]:
        yield opened(
            Kubernetes, cancel, tmp_path, LocalHost(cancel), pod="shop-db-0", namespace="shop", container="db"
        )


class TestDockerOnAServer(HostConformance):
    @pytest.fixture
    def host(self, cancel: CancelToken, tmp_path: Path) -> Iterator[Host]:
        clients = Clients(tmp_path / "clients")
        path = f"SetEnv PATH={clients.folder}:/usr/local/bin:/usr/bin:/bin"
        with running(options=[path]) as server:
            before = opened(SshHostAdapter, cancel, tmp_path, LocalHost(cancel), **ssh_values(server))
            yield opened(Docker, cancel, tmp_path, before, container="shop-db-1")
            before.close()
