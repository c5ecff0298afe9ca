"""Firebird's client tools on a host, and how they reach a database."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import SecretStr

from strongroom import Completed, Host, SourceError, Tool, ToolMissing

_PLACES = ("/opt/firebird/bin", "/usr/lib/firebird/bin", "/usr/local/firebird/bin")
_VERSION = re.compile(r"ersion:?\s+(?:[A-Z]{2}-[A-Z])?(\d+(?:\.\d+)+)")
# Debian calls it isql-fb: unixODBC has an isql of its own, which is looked at last.
_NAMES = {"gbak": ("gbak",), "isql": ("isql-fb", "isql"), "gfix": ("gfix",)}


@dataclass(frozen=True, slots=True)
class Server:
    """Where the databases are; no `host` means files that the tools open by themselves."""

    host: str
    port: int
    user: str
    password: SecretStr | None

    @property
    def place(self) -> str:
        """For people."""
        return f"{self.host}:{self.port}" if self.host else "this host's files"

    def target(self, database: str) -> str:
        """The database as an argument."""
        return f"{self.host}/{self.port}:{database}" if self.host else database

    def environment(self) -> dict[str, str]:
        """The login, which no argument may hold."""
        found = {"ISC_USER": self.user, "LC_ALL": "C.UTF-8"}
        if self.password is not None:
            found["ISC_PASSWORD"] = self.password.get_secret_value()
        return found

    def without_secret(self, text: str) -> str:
        """The text without the password, should a tool repeat it."""
        secret = self.password.get_secret_value() if self.password is not None else ""
        return text.replace(secret, "•••") if len(secret) > 3 else text


class Toolbox:
    """Finds gbak, isql and gfix once, and runs them."""

    def __init__(self, host: Host, folder: str, server: Server) -> None:
        self.host = host
        self.server = server
        self._folder = folder
        self._found: dict[str, Tool] = {}

    def find(self, name: str) -> Tool:
        """Raises `ToolMissing`."""
        if name not in self._found:
            self._found[name] = self._look(name)
        return self._found[name]

    def _look(self, name: str) -> Tool:
        folders = (self._folder,) if self._folder else ("", *_PLACES)
        for folder in folders:
            for file in _NAMES[name]:
                path = self.host.which(f"{folder}/{file}" if folder else file)
                if path is None:
                    continue
                done = self.host.capture([path, "-z"], stdin=b"quit;\n", timeout=20)
                if match := _VERSION.search(done.stdout.decode("utf-8", "replace") + done.stderr):
                    return Tool(name, path, match[1])
        raise ToolMissing(
            f"Firebird's {name} is not on {self.host.name or 'this host'}.",
            remedy="Install it (Debian: the package firebird3.0-utils), or name its folder (tools).",
        )

    def run(self, name: str, arguments: list[str], *, stdin: bytes = b"", timeout: float = 120) -> Completed:
        """Run a tool to its end."""
        argv = [self.find(name).path, *arguments]
        return self.host.capture(argv, env=self.server.environment(), stdin=stdin, timeout=timeout)

    def ask(self, database: str, sql: str, *, timeout: float = 120) -> list[str]:
        """Run statements by isql in one snapshot; return what the column LINE held. Raises `SourceError`s."""
        from plugins.sources.bird.failures import failure

        script = f"SET HEADING OFF;\nSET BAIL ON;\nSET TERM ^;\n{sql}^\n"
        arguments = ["-q", "-b", "-ch", "UTF8", self.server.target(database)]
        done = self.run("isql", arguments, stdin=script.encode(), timeout=timeout)
        if done.exit_status != 0 or "Statement failed" in done.stderr:
            raise failure("isql", done.exit_status, done.stderr, self.server, database)
        text = done.stdout.decode("utf-8", "replace")
        return [line[1:].rstrip() for line in text.splitlines() if line.startswith("=")]

    def do(self, name: str, arguments: list[str], database: str) -> None:
        """Run a tool that only acts. Raises `SourceError`s."""
        from plugins.sources.bird.failures import failure

        done = self.run(name, [*arguments, self.server.target(database)])
        if done.exit_status != 0 or done.stderr.strip():
            said = done.stderr + done.stdout.decode("utf-8", "replace")
            raise failure(name, done.exit_status, said, self.server, database)


def need_plain(database: str) -> None:
    """Raises `SourceError` for a name that a tool would take for something else."""
    if not database or database.startswith("-") or set(database) & {"\0", "\n", "\r"}:
        raise SourceError(f"{database!r} is no name of a database.", remedy="Give a path or an alias.")
