"""A real Firebird 3 server for tests, on a free port, with a root, locks and a security database of its own.

Import the fixture that a test module uses:

    from tests.parts.firebird import firebird  # noqa: F401

It is started once a session, which is once an xdist worker, and stopped by its own process alone. What Debian
installed is linked to and not touched.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.parts.postgres import missing_part

PASSWORD = "s3cret ünd 'quoted' \\ $x"
"""The administrator's password: no tool may trip over it, and nothing may print it."""
USER = "SYSDBA"
_START = 30.0  # seconds
_INSTALLED = Path("/usr/lib/x86_64-linux-gnu/firebird/3.0")
_SETTINGS = """
RemoteServicePort = {port}
RemoteBindAddress = 127.0.0.1
DatabaseAccess = Full
SecurityDatabase = {root}/security3.fdb
TempDirectories = {root}/tmp
ServerMode = Super
AuthServer = Srp
UserManager = Srp
"""
_ROW = re.compile(r"^ +(\d+) +[0-9a-f]+:[0-9a-f]+ \n={78}\nWORDS:  \n(.*?)\n={78}$", re.MULTILINE | re.DOTALL)
_TABLES = (
    "SELECT '=' || TRIM(TRAILING FROM rdb$relation_name) FROM rdb$relations"
    " WHERE rdb$system_flag = 0 AND rdb$view_blr IS NULL ORDER BY rdb$relation_name"
)


def installed_folder() -> Path | None:
    """Where Debian has the engine, whatever the machine's kind."""
    found = [_INSTALLED, *sorted(Path("/usr/lib").glob("*/firebird/3.0"))]
    return next((folder for folder in found if (folder / "plugins").is_dir()), None)


class Server:
    """A running Firebird of our own."""

    def __init__(self, installed: Path) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="fb-", dir="/tmp"))
        self.data = self.root / "data"
        self.port = _free_port()
        self.binaries = Path("/usr/bin")
        self._installed = installed
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make the root and the security database, with its administrator."""
        for name in ("lock", "tmp", "data"):
            (self.root / name).mkdir()
        for name in ("plugins", "intl", "lib", "firebird.msg"):
            if (self._installed / name).exists():
                (self.root / name).symlink_to(self._installed / name)
        shutil.copy(self._installed / "plugins.conf", self.root / "plugins.conf")
        settings = _SETTINGS.format(port=self.port, root=self.root)
        (self.root / "firebird.conf").write_text(settings, encoding="utf-8")
        (self.root / "databases.conf").write_text(
            f"by_alias = {self.data}/of alias.fdb\n"
            f"security.db = {self.root}/security3.fdb\n{{\n  RemoteAccess = false\n}}\n",
            encoding="utf-8",
        )
        security = self.root / "security3.fdb"
        script = (
            f"CREATE DATABASE '{security}';\nCOMMIT;\nIN '/usr/share/firebird/3.0/security.sql';\nCOMMIT;\n"
        )
        self._embedded(script)
        quoted = PASSWORD.replace("'", "''")
        self._embedded(f"CREATE USER {USER} PASSWORD '{quoted}';\nCOMMIT;\n", str(security))

    def environment(self) -> dict[str, str]:
        """For programs that are to see this root, and open files by themselves."""
        locks = {"FIREBIRD_LOCK": str(self.root / "lock"), "FIREBIRD_TMP": str(self.root / "tmp")}
        return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "FIREBIRD": str(self.root), **locks}

    def _embedded(self, script: str, *database: str) -> None:
        subprocess.run(
            ["isql-fb", "-q", "-b", "-ch", "UTF8", "-user", USER, *database],
            input=script.encode(),
            env=self.environment(),
            check=True,
            capture_output=True,
            timeout=_START,
        )

    def start(self) -> None:
        """Start the server, and wait until it lets us in."""
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(shutil.which("firebird") or "/usr/sbin/firebird")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=self.environment(),
                cwd=self.root,
            )
        end = time.monotonic() + _START
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"Firebird did not start: {(self.root / 'log').read_text()[-2000:]}")
            time.sleep(0.05)  # a server tells nobody that it is ready
        self.isql(f"CREATE DATABASE '{self.target('warm')}';\nDROP DATABASE;\n")

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def path(self, database: str) -> str:
        """The file of a name."""
        return database if database.startswith("/") else f"{self.data}/{database}.fdb"

    def target(self, database: str) -> str:
        """The file of a name, through the server."""
        return f"127.0.0.1/{self.port}:{self.path(database)}"

    def client(self, *database: str) -> tuple[list[str], dict[str, str]]:
        """isql's command line and environment."""
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        login = {"ISC_USER": USER, "ISC_PASSWORD": PASSWORD}
        argv = [str(self.binaries / "isql-fb"), "-q", "-b", "-ch", "UTF8", *map(self.target, database)]
        return argv, {**environment, **login}

    def isql(self, script: str, *database: str) -> str:
        """Run statements as the administrator; return what isql printed."""
        argv, env = self.client(*database)
        done = subprocess.run(argv, input=script.encode(), capture_output=True, timeout=120, env=env)
        if done.returncode != 0 or done.stderr:
            raise RuntimeError(done.stderr.decode("utf-8", "replace")[-2000:])
        return done.stdout.decode("utf-8")

    def make(self, database: str, tables: Mapping[str, Sequence[tuple[int, str]]]) -> str:
        """Make a database of tables of a number and a text."""
        target = self.target(database).replace("'", "''")
        self.isql(f"CREATE DATABASE '{target}' PAGE_SIZE 8192 DEFAULT CHARACTER SET UTF8;\n")
        script = []
        for table, rows in tables.items():
            name = '"' + table.replace('"', '""') + '"'
            script.append(f"CREATE TABLE {name} (number BIGINT, words BLOB SUB_TYPE TEXT);\nCOMMIT;\n")
            script += [_insert(name, number, text) for number, text in rows]
        self.isql("".join([*script, "COMMIT;\n"]), database)
        return self.path(database)

    def rows(self, database: str) -> dict[str, list[tuple[int, str]]]:
        """Every row of every table, ordered by the number."""
        listed = self.isql(f"SET HEADING OFF;\n{_TABLES};\n", database).splitlines()
        found = {}
        for table in (line[1:].rstrip() for line in listed if line.startswith("=")):
            name = '"' + table.replace('"', '""') + '"'
            sql = f"SELECT number, words FROM {name} ORDER BY number"  # noqa: S608
            text = self.isql(f"SET HEADING OFF;\nSET BLOB ALL;\n{sql};\n", database)
            found[table] = [(int(match[1]), match[2]) for match in _ROW.finditer(text)]
        return found

    def files(self) -> set[Path]:
        """The databases that are there."""
        return {path for path in self.data.iterdir() if path.is_file()}

    def values(self, **more: object) -> dict[str, object]:
        """A source's configuration values for this server."""
        return {"host": "127.0.0.1", "port": self.port, "user": USER, "password": PASSWORD, **more}

    def close(self) -> None:
        """Stop the server, and remove all that it had."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.root, ignore_errors=True)


def _insert(table: str, number: int, text: str) -> str:
    """An INSERT; a literal has 64 KiB at most, so that a long text has to be one that can be doubled."""
    doubled = 0
    while len(text) > 8192:
        half, odd = divmod(len(text), 2)
        assert not odd and text[:half] == text[half:], "this text is too long for a literal"
        text, doubled = text[:half], doubled + 1
    literal = "'" + text.replace("'", "''") + "'"
    if not doubled:
        return f"INSERT INTO {table} VALUES ({number}, {literal});\n"  # noqa: S608
    return (
        "SET TERM ^;\nEXECUTE BLOCK AS DECLARE b BLOB SUB_TYPE TEXT CHARACTER SET UTF8;\n"
        "DECLARE i INTEGER = 0;\n"
        f"BEGIN b = {literal}; WHILE (i < {doubled}) DO BEGIN b = b || b; i = i + 1; END\n"
        f"INSERT INTO {table} VALUES ({number}, :b); END^\nSET TERM ;^\n"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def firebird() -> Iterator[Server]:
    """The session's server; skips (in CI: fails) when Firebird is not installed."""
    installed = installed_folder()
    if installed is None or shutil.which("isql-fb") is None:
        missing_part("Firebird (Debian: firebird3.0-server and firebird3.0-utils)")
    assert installed is not None
    server = Server(installed)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.close()
