"""A real MariaDB server for tests, on a free port and a socket of its own, in a folder under /tmp.

Import the fixture that a test module uses:

    from tests.parts.mariadb import mariadb  # noqa: F401

It is started once a session, which is once an xdist worker, and stopped by its own process alone.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.parts.postgres import missing_part

PASSWORD = "s3cret ünd 'quoted' \"double\" \\ # ;$"
"""The administrator's password: no tool may trip over it, and nothing may print it."""
USER = "backup"
_START = 60.0  # seconds


class Server:
    """A running MariaDB of our own."""

    def __init__(self, *options: str) -> None:
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))
        self.temporary = self.folder / "tmp"  # of its own: each server that starts empties its tmpdir
        self.socket = self.folder / "s"
        self.port = _free_port()
        self.binaries = Path(str(shutil.which("mariadb"))).parent
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make the data folder, with no user but the administrator."""
        self.temporary.mkdir()
        subprocess.run(
            [
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={self.folder / 'data'}",
                f"--tmpdir={self.temporary}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                *self._user(),
            ],
            check=True,
            capture_output=True,
            timeout=_START,
            cwd=self.folder,
        )

    def _user(self) -> list[str]:
        return ["--user=root"] if os.geteuid() == 0 else []

    def start(self) -> None:
        """Start the server, and wait until it lets us in; the settings trade safety for speed."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(shutil.which("mariadbd") or "/usr/sbin/mariadbd"),
                    "--no-defaults",
                    *self._user(),
                    f"--datadir={self.folder / 'data'}",
                    f"--tmpdir={self.temporary}",
                    f"--socket={self.socket}",
                    f"--pid-file={self.folder / 'pid'}",
                    "--bind-address=127.0.0.1",
                    f"--port={self.port}",
                    "--innodb-flush-log-at-trx-commit=0",
                    "--innodb-buffer-pool-size=64M",
                    "--innodb-log-file-size=32M",
                    "--max-allowed-packet=64M",
                    "--skip-name-resolve",
                    "--skip-log-bin",
                    *self.options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
            )
        end = time.monotonic() + _START
        while self._client("SELECT 1").returncode != 0:
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"MariaDB did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)  # a server tells nobody that it is ready

    def _client(self, sql: str, database: str = "") -> subprocess.CompletedProcess[bytes]:
        argv = [
            str(self.binaries / "mariadb"),
            "--no-defaults",
            f"--socket={self.socket}",
            "--user=root",
            "--batch",
            "--skip-column-names",
            "--default-character-set=utf8mb4",
            "--max-allowed-packet=64M",
        ]
        if database:
            argv.append(f"--database={database}")
        return subprocess.run(argv, input=sql.encode(), capture_output=True, timeout=120)

    def sql(self, sql: str, database: str = "") -> list[list[str]]:
        """Run statements as the administrator; return the rows, whose fields hold no tab or line feed."""
        done = self._client(sql, database)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.decode("utf-8", "replace"))
        return [line.split("\t") for line in done.stdout.decode("utf-8").splitlines()]

    @contextmanager
    def holding(self, sql: str, database: str) -> Iterator[None]:
        """Hold what a statement takes, in a session of its own, for as long as the block lasts."""
        argv = [
            *(str(self.binaries / "mariadb"), "--no-defaults", f"--socket={self.socket}", "--user=root"),
            *("--batch", "--skip-column-names", "--unbuffered", f"--database={database}"),
        ]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as session:
            assert session.stdin is not None and session.stdout is not None
            session.stdin.write(f"{sql}; SELECT 'held';\n".encode())
            session.stdin.flush()
            assert session.stdout.readline() == b"held\n"
            yield
            session.stdin.close()

    def databases(self) -> list[str]:
        """Every database but the server's own."""
        names = [
            bytes.fromhex(row[0]).decode()
            for row in self.sql("SELECT HEX(SCHEMA_NAME) FROM information_schema.SCHEMATA")
        ]
        own = {"information_schema", "performance_schema", "mysql", "sys"}
        return sorted(name for name in names if name not in own)

    def make_user(self, name: str, password: str, grants: str) -> None:
        """A login with these rights, or with other ones if it was there; `grants` is GRANT's middle part."""
        secret = password.replace("\\", "\\\\").replace("'", "\\'")
        self.sql(
            f"CREATE OR REPLACE USER '{name}'@'%' IDENTIFIED BY '{secret}'; GRANT {grants} TO '{name}'@'%';"
        )

    def values(self, **more: object) -> dict[str, object]:
        """A source's configuration values for this server."""
        return {"host": "127.0.0.1", "port": self.port, "user": USER, "password": PASSWORD, **more}

    def kill(self) -> None:
        """End the server at once, as a crash would."""
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


def quoted(name: str) -> str:
    """A name for SQL."""
    return "`" + name.replace("`", "``") + "`"


def running(*options: str) -> Iterator[Server]:
    """A fresh server with these options; skips (in CI: fails) when it is not installed."""
    if shutil.which("mariadb-install-db") is None or shutil.which("mariadb") is None:
        missing_part("MariaDB (Debian: mariadb-server)")
    server = Server(*options)
    try:
        server.create()
        server.start()
        server.make_user(USER, PASSWORD, "ALL PRIVILEGES ON *.*")
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    """The session's server."""
    yield from running()
