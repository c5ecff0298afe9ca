"""A server that speaks MongoDB's protocol, for tests: SecantusDB, in a process and a folder of its own.

MongoDB's own server is not to be had from a package registry. Import the fixture that a test module uses:

    from tests.parts.mongodb import mongodb  # noqa: F401

It is started once a session, which is once an xdist worker, and stopped by its own process alone.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.parts.postgres import missing_part

PASSWORD = "s3cret und 'quoted' \"double\" \\ # ;$HOME@/:?"
"""The user's password: nothing may trip over it, and nothing may print it."""
USER = "backup"
_START = 60.0  # seconds


class Server:
    """A running server of our own."""

    def __init__(self, *options: str) -> None:
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="mongo-", dir="/tmp"))
        self.port = _free_port()
        self.has_users = False
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        """Start the server, and wait until it answers."""

        argv = [sys.executable, "-m", "secantus", "--host", "127.0.0.1", "--port", str(self.port)]
        argv += ["--storage-path", str(self.folder / "data"), "--cache-size", "128M"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*argv, *self.options, *more],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
            )
        end = time.monotonic() + _START
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError as error:
                if self._process.poll() is not None or time.monotonic() > end:
                    text = (self.folder / "log").read_text()[-2000:]
                    raise RuntimeError(f"the server did not start: {text}") from error
                time.sleep(0.02)  # a server tells nobody that it is ready

    def with_users(self) -> None:
        """Make the user, and ask for passwords from now on."""
        self.start()
        with self.client() as client:
            client.admin.command("createUser", USER, pwd=PASSWORD, roles=["root"])
        self.stop()
        self.has_users = True
        self.start("--auth")

    def client(self) -> Any:
        """A client; use it as a block."""
        import pymongo

        login = {"username": USER, "password": PASSWORD} if self.has_users else {}
        return pymongo.MongoClient("127.0.0.1", self.port, directConnection=True, **login)

    def values(self, **more: object) -> dict[str, object]:
        """A source's configuration values for this server."""
        login = {"user": USER, "password": PASSWORD} if self.has_users else {}
        return {"host": "127.0.0.1", "port": self.port, **login, **more}

    def stop(self) -> None:
        """End it as one should."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Stop the server, without writing back what goes anyway, and remove all that it had."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def running(*options: str, users: bool = False) -> Iterator[Server]:
    """A fresh server; skips (in CI: fails) when it is not installed."""
    if find_spec("secantus") is None:
        missing_part("SecantusDB (PyPI: secantusdb)")
    server = Server(*options)
    try:
        server.with_users() if users else server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def mongodb() -> Iterator[Server]:
    """The session's server, which asks for a password."""
    yield from running(users=True)
