"""New keys in the middle of a transfer, asked for by either end: nothing is lost, and nothing hangs."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path

import pytest

from engine.ssh.packets import Packets
from plugins.storage.sftp import SftpServer
from strongroom.testing.readers import StreamReader, context
from tests.parts.sshd import SshServer, running
from tests.plugins.storage.sftp_server.conftest import Opener

MIB = 1 << 20
SIZE = 48 * MIB


def there_and_back(storage: SftpServer) -> None:
    """Up, proven by reading, and down again."""
    storage.put("a.dump", StreamReader(SIZE), begun=lambda leftover: None)
    digest = hashlib.sha256()
    for chunk in storage.get("a.dump"):
        digest.update(chunk)
    assert digest.hexdigest() == StreamReader.digest(SIZE)


def keys_agreed_on(storage: SftpServer) -> list[bytes]:
    """The hash of each key exchange from now on."""
    transport = storage._open().connection.transport
    agreed: list[bytes] = []
    set_k_h = transport._set_K_H

    def noting(k: object, h: bytes) -> None:
        agreed.append(h)
        set_k_h(k, h)

    transport._set_K_H = noting
    return agreed


def test_keys_are_renewed_by_this_end(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Packets, "REKEY_BYTES", 5 * MIB)
    storage = opened(read_back="always")
    agreed = keys_agreed_on(storage)
    there_and_back(storage)
    assert len(set(agreed)) >= 12


def test_keys_are_renewed_by_the_server(tmp_path: Path) -> None:
    with running(options=["RekeyLimit 5M"]) as server:
        values = server.values(path=str(server.new_folder()), read_back="always")
        with closing(SftpServer(SftpServer.Config(**values), context(tmp_path))) as storage:
            agreed = keys_agreed_on(storage)
            there_and_back(storage)
            assert len(set(agreed)) >= 12


def test_a_cipher_without_gcm_renews_its_keys_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Packets, "REKEY_BYTES", 5 * MIB)
    server: SshServer
    with running(options=["Ciphers aes128-ctr"]) as server:
        values = server.values(path=str(server.new_folder()), read_back="always")
        with closing(SftpServer(SftpServer.Config(**values), context(tmp_path))) as storage:
            there_and_back(storage)
