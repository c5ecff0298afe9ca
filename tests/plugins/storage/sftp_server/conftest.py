"""A folder on a real SSH server, and storages over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import strongroom
from plugins.storage.sftp import SftpServer
from strongroom.testing.readers import context
from tests.parts.sshd import (  # noqa: F401 - fixtures
    SshServer,
    sshd,
    sshd_with_password,
    sshd_without_shell,
)

Opener = Callable[..., SftpServer]


@pytest.fixture
def server(sshd: SshServer) -> SshServer:  # noqa: F811
    return sshd


@pytest.fixture
def folder(server: SshServer) -> Path:
    """An empty folder of the server's, seen behind its back."""
    return server.new_folder()


@pytest.fixture
def cancel() -> strongroom.CancelToken:
    return strongroom.CancelToken()


@pytest.fixture
def opened(
    server: SshServer, folder: Path, cancel: strongroom.CancelToken, tmp_path: Path
) -> Iterator[Opener]:
    """Opens storages over `folder`, or with other settings and another token; they are closed at the end."""
    made: list[SftpServer] = []

    def open_one(token: strongroom.CancelToken | None = None, **changed: Any) -> SftpServer:
        config = SftpServer.Config(**server.values(**{"path": str(folder), **changed}))
        made.append(SftpServer(config, context(tmp_path, token or cancel)))
        return made[-1]

    yield open_one
    for storage in made:
        storage.close()


@pytest.fixture
def storage(opened: Opener) -> SftpServer:
    return opened()


def put(storage: strongroom.Storage, name: str, data: bytes, *, overwrite: bool = False) -> str:
    """Store bytes; return how they were proven."""
    reader = strongroom.BytesReader(data)
    return storage.put(name, reader, begun=lambda leftover: None, overwrite=overwrite).proof


def got(storage: strongroom.Storage, name: str) -> bytes:
    return b"".join(storage.get(name))
