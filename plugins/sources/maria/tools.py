"""Find the client tools of a host, and tell MariaDB's from MySQL's: they know different options."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from strongroom import Host, Tool, ToolMissing

_FOLDERS = (
    "/usr/local/mysql/bin",
    "/opt/homebrew/opt/mariadb/bin",
    "/opt/homebrew/opt/mysql-client/bin",
    "/usr/local/opt/mysql-client/bin",
    "C:/Program Files/MariaDB */bin",
    "C:/Program Files/MySQL/*/bin",
)
_MARIADB = re.compile(r"(\d+\.\d+\.\d+)-MariaDB")
_MYSQL = re.compile(r"(?:Distrib|Ver) (\d+\.\d+\.\d+)")


@dataclass(frozen=True, slots=True)
class Found:
    """A tool that answered when it was asked for its version."""

    name: str
    path: str
    version: str
    is_mariadb: bool

    @property
    def numbers(self) -> tuple[int, ...]:
        """The version, to compare."""
        return tuple(int(part) for part in self.version.split("."))

    def as_tool(self) -> Tool:
        return Tool(self.name, self.path, self.version)


class Toolbox:
    """The client tools of a host. `folder`, where one is given, is the only place that is looked in."""

    def __init__(self, host: Host, folder: str, *, clients: Sequence[str], dumpers: Sequence[str]) -> None:
        self._host = host
        self._folder = folder
        self._names = {"client": clients, "dump": dumpers}
        self._known: dict[str, Found] = {}

    def client(self) -> Found:
        """The tool that asks and restores. Raises `ToolMissing`."""
        return self._find("client")

    def dump(self) -> Found:
        """The tool that dumps. Raises `ToolMissing`."""
        return self._find("dump")

    def _find(self, kind: str) -> Found:
        if kind not in self._known:
            found = next(
                (
                    tool
                    for name in self._names[kind]
                    for path in self._paths(name)
                    if (tool := self._ask(name, path))
                ),
                None,
            )
            if found is None:
                raise self._nothing(self._names[kind])
            self._known[kind] = found
        return self._known[kind]

    def _paths(self, name: str) -> list[str]:
        if self._folder:
            return [str(Path(self._folder).expanduser() / name)]
        first = self._host.which(name)
        return [
            *([first] if first else []),
            *(path for each in _FOLDERS for path in self._host.glob(f"{each}/{name}")),
        ]

    def _ask(self, name: str, path: str) -> Found | None:
        if not self._host.exists(path):
            return None
        try:
            answer = self._host.capture([path, "--no-defaults", "--version"], timeout=20)
        except ToolMissing:
            return None
        text = answer.stdout.decode("utf-8", "replace")
        if answer.exit_status != 0:
            return None
        if match := _MARIADB.search(text):
            return Found(name, path, match[1], is_mariadb=True)
        if match := _MYSQL.search(text):
            return Found(name, path, match[1], is_mariadb=False)
        return None

    def _nothing(self, names: Sequence[str]) -> ToolMissing:
        place = f"in {self._folder}" if self._folder else f"on {self._host.name or 'this host'}"
        package = "mariadb-client" if names[0].startswith("mariadb") else "mysql-client, or mariadb-client"
        return ToolMissing(
            f"Neither {names[0]} nor {names[1]} is {place}.",
            remedy=f"Install the client tools (Debian, Ubuntu: apt install {package})."
            + (" Or correct the source's folder of tools." if self._folder else ""),
        )
