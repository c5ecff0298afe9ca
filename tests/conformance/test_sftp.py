"""The SFTP storage against the suite that any plugin's storage is held to, with a real OpenSSH server.

What lies there is looked at in the server's folder, behind the storage's back.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import strongroom
from plugins.storage.sftp import SftpServer
from strongroom.testing import StorageConformance
from strongroom.testing.readers import context
from tests.conformance.test_storages import flip_in_the_middle, paths_below
from tests.parts.go_sftp import GoServer, go_sftp  # noqa: F401 - a fixture
from tests.parts.sshd import SshServer, sshd, sshd_without_shell  # noqa: F401 - fixtures


class TestSftpServer(StorageConformance):
    """A server with a shell: it hashes what was uploaded itself."""

    proof = "SHA-256 computed by the server"

    @pytest.fixture
    def server(self, sshd: SshServer) -> SshServer:  # noqa: F811
        return sshd

    @pytest.fixture
    def folder(self, server: SshServer) -> Path:
        return server.new_folder()

    @pytest.fixture
    def opener(self, server: SshServer, folder: Path) -> Callable[[strongroom.Context], strongroom.Storage]:
        config = SftpServer.Config(**server.values(path=str(folder)))
        return lambda context: SftpServer(config, context)

    @pytest.fixture
    def everything(self, folder: Path) -> Callable[[], set[str]]:
        return lambda: paths_below(folder)

    @pytest.fixture
    def damage(self, folder: Path) -> Callable[[str], None]:
        return lambda name: flip_in_the_middle(folder / name)

    def test_its_proof_is_the_one_that_this_server_allows(self, storage: strongroom.Storage) -> None:
        reader = strongroom.BytesReader(b"some bytes")
        published = storage.put("job/a.dump", reader, begun=lambda leftover: None)
        assert published.proof.startswith(self.proof)
        assert storage.verify("job/a.dump", reader.size, reader.sha256()).startswith(self.proof)


class TestSftpServerWithoutShell(TestSftpServer):
    """A server that speaks SFTP alone, as most hosted ones do: everything is read back."""

    proof = "read back"

    @pytest.fixture
    def server(self, sshd_without_shell: SshServer) -> SshServer:  # noqa: F811
        return sshd_without_shell


class TestSftpServerOfAnotherMake(StorageConformance):
    """A server that is not OpenSSH's. Its rename replaces, so it cannot tell racing uploads apart."""

    told_apart = False

    @pytest.fixture
    def folder(self, go_sftp: GoServer) -> Path:  # noqa: F811
        return go_sftp.root / f"t{secrets.token_hex(4)}"

    @pytest.fixture
    def opener(
        self,
        go_sftp: GoServer,  # noqa: F811
        folder: Path,
        tmp_path: Path,
    ) -> Callable[[strongroom.Context], strongroom.Storage]:
        config = SftpServer.Config(**go_sftp.values(path=f"/{folder.name}"))
        # The folder is made by way of the server, which remembers what it has seen.
        with closing(SftpServer(config, context(tmp_path))) as storage:
            storage.put("first", strongroom.BytesReader(b""), begun=lambda leftover: None)
            storage.delete("first")
        return lambda context: SftpServer(config, context)

    @pytest.fixture
    def everything(self, folder: Path) -> Callable[[], set[str]]:
        return lambda: paths_below(folder)

    def test_its_check_says_what_this_server_cannot(self, storage: strongroom.Storage) -> None:
        notes = " ".join(storage.check().notes)
        assert "rename replaces" in notes and "fsync" in notes and "read back" in notes
