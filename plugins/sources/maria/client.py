"""The command-line client as the way to ask a server, and the options file that all tools get."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from plugins.sources.maria.connection import Connection
from plugins.sources.maria.failures import failure, last_words
from plugins.sources.maria.tools import Found
from strongroom import Completed, Host

Row = tuple[str, ...]

_ARGUMENTS = (
    *("--batch", "--skip-column-names", "--binary-mode", "--default-character-set=utf8mb4"),
    "--skip-auto-rehash",
)
_ESCAPED = re.compile(r"\\([nt0\\])")
_ESCAPES = {"n": "\n", "t": "\t", "0": "\0", "\\": "\\"}


def rows_of(output: bytes) -> list[Row]:
    """Split what `--batch` prints: a line a row, tabs between, and what would be either escaped."""
    text = output.decode("utf-8", "surrogateescape")
    return [tuple(_unescaped(value) for value in line.split("\t")) for line in text.split("\n")[:-1]]


def _unescaped(value: str) -> str:
    return _ESCAPED.sub(lambda match: _ESCAPES[match[1]], value)


class Client:
    """Asks one server. Raises `SourceError`s, and `Cancelled`."""

    def __init__(self, host: Host, tool: Found, connection: Connection) -> None:
        self._host = host
        self._users: tuple[str | None] | None = None
        self.tool = tool
        self.connection = connection

    @contextmanager
    def options(self, tool: Found) -> Iterator[str]:
        """The options file for a tool, as its argument; it lives as long as the block."""
        text = self.connection.options(mariadb_tools=tool.is_mariadb, include=self._users_file())
        with self._host.secret_file(text) as path:
            yield f"--defaults-file={path}"

    def _users_file(self) -> str | None:
        """The user's own options file on that host, where the source has no password."""
        if self.connection.password is not None:
            return None
        if self._users is None:
            home = (
                self._host.capture(["printenv", "HOME"], timeout=20).stdout.decode("utf-8", "replace").strip()
            )
            path = f"{home}/.my.cnf"
            self._users = (path if home and "\n" not in home and self._host.exists(path) else None,)
        return self._users[0]

    def ask(self, sql: str, *, database: str = "", timeout: float = 120.0) -> list[Row]:
        """Run statements, and return the rows of all their answers."""
        return rows_of(self.run(sql.encode("utf-8", "surrogateescape") + b"\n", database, timeout=timeout))

    def run(self, script: bytes, database: str, *, timeout: float = 600.0) -> bytes:
        """Run a script in a database, and return what it printed."""
        done = self._run(script, database, timeout)
        if done.exit_status != 0:
            raise failure(self.tool.name, done.exit_status, done.stderr, self.connection, database)
        return done.stdout

    def run_on(self, script: bytes, database: str, *, timeout: float = 600.0) -> str:
        """Run a script, passing over statements that fail; return what was said of them, "" if none did."""
        done = self._run(script, database, timeout, "--force")
        return last_words(self.connection.without_secret(done.stderr)) if "ERROR" in done.stderr else ""

    def _run(self, script: bytes, database: str, timeout: float, *more: str) -> Completed:
        with self.options(self.tool) as options:
            argv = [self.tool.path, options, *_ARGUMENTS, *more]
            if database:
                argv.append(f"--database={database}")
            return self._host.capture(argv, stdin=script, timeout=timeout)
