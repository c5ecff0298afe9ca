"""Find the programs of Redis and Valkey on a host: the command-line client, and a server for scratch work."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from strongroom import Host, Tool, ToolMissing

_FOLDERS = ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin", "/opt/redis/bin", "/opt/valkey/bin")
_VERSION = re.compile(r"^(redis|valkey)(?:-cli | server v=)(\d+(?:\.\d+)+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Release:
    """A version of one of the two, in numbers."""

    kind: str
    """"redis" or "valkey"."""
    version: str

    @property
    def numbers(self) -> tuple[int, ...]:
        """The first two parts of the version."""
        return tuple(int(part) for part in re.findall(r"\d+", self.version)[:2])

    @property
    def format(self) -> int:
        """The number of the RDB format that this release writes; of one that is not known, the last known."""
        for since, number in _FORMATS[self.kind]:
            if self.numbers >= since:
                return number
        return 8

    def reads(self, other: Release) -> bool:
        """Whether this release surely takes what the other one writes."""
        if self.kind == other.kind and self.numbers >= other.numbers:
            return True
        # From Redis 7.4 and Valkey 9 on, neither reads the other's any more.
        return (
            other.format <= (11 if self.kind != other.kind else self.format) and self.format >= other.format
        )

    def takes(self, header: str) -> bool:
        """Whether this release loads a file that begins so: `REDIS0011`, `VALKEY080`."""
        number = int("".join(filter(str.isdigit, header)) or 0)
        if header.startswith("VALKEY"):
            return self.kind == "valkey" and self.format >= number
        return number <= (
            11 if self.kind == "valkey" else max(self.format, 12 if self.numbers >= (8, 0) else 0)
        )

    def __str__(self) -> str:
        return f"{self.kind.capitalize()} {self.version}"


# From `RDB_VERSION` in rdb.h of each release.
_FORMATS: dict[str, tuple[tuple[tuple[int, int], int], ...]] = {
    "redis": (((7, 4), 12), ((7, 2), 11), ((7, 0), 10), ((5, 0), 9)),
    "valkey": (((9, 0), 80), ((7, 2), 11)),
}


@dataclass(frozen=True, slots=True)
class Found:
    """A program that answered when it was asked for its version."""

    name: str
    path: str
    release: Release

    def as_tool(self) -> Tool:
        return Tool(self.name, self.path, self.release.version)


class Toolbox:
    """The programs of a host. `folder`, where one is given, is the only place that is looked in."""

    def __init__(self, host: Host, folder: str, *, first: str, second: str) -> None:
        self._host = host
        self._folder = folder
        self._kinds = (first, second)
        self._client: Found | None = None
        self._servers: list[Found] | None = None

    def client(self) -> Found:
        """The command-line client; the preferred kind's, else the other's. Raises `ToolMissing`."""
        if self._client is None:
            names = [f"{kind}-cli" for kind in self._kinds]
            self._client = next(self._all(names), None)
        if self._client is None:
            raise self._nothing([f"{kind}-cli" for kind in self._kinds])
        return self._client

    def servers(self) -> list[Found]:
        """The servers that are installed, the preferred kind's first. Raises `ToolMissing` for none."""
        names = [f"{kind}-server" for kind in self._kinds]
        if self._servers is None:
            self._servers = list(self._all(names))
        if not self._servers:
            raise self._nothing(names)
        return self._servers

    def server_for(self, written_by: Release, target: Release | None) -> Found:
        """A server that loads such a dump, and whose keys the target takes. Raises `ToolMissing`."""
        servers = self.servers()
        for server in servers:
            if server.release.reads(written_by) and (target is None or target.reads(server.release)):
                return server
        found = ", ".join(str(server.release) for server in servers)
        into = f" and writes what {target} takes" if target is not None else ""
        raise ToolMissing(
            f"A restore starts a server of its own that reads a dump of {written_by}{into};"
            f" on {self._host.name or 'this host'} there is {found}.",
            remedy=f"Install the server of {written_by} there. It need not run: a restore starts it itself.",
        )

    def server_taking(self, header: str, target: Release | None) -> Found:
        """A server that loads a file that begins so, its keys being for the target. Raises `ToolMissing`."""
        servers = self.servers()
        fit = [server for server in servers if server.release.takes(header)]
        for server in fit:
            if target is None or target.reads(server.release):
                return server
        # What no rule knows may work all the same: the server says so before anything is touched.
        return (fit or servers)[0]

    def _all(self, names: Sequence[str]) -> Iterator[Found]:
        for name in names:
            seen: set[str] = set()
            for path in self._paths(name):
                if path not in seen and (tool := self._ask(name, path)):
                    yield tool
                seen.add(path)

    def _paths(self, name: str) -> list[str]:
        if self._folder:
            return [str(Path(self._folder).expanduser() / name)]
        first = self._host.which(name)
        return [*([first] if first else []), *(f"{folder}/{name}" for folder in _FOLDERS)]

    def _ask(self, name: str, path: str) -> Found | None:
        if not self._host.exists(path):
            return None
        try:
            answer = self._host.capture([path, "--version"], timeout=20)
        except ToolMissing:
            return None
        match = _VERSION.match(answer.stdout.decode("utf-8", "replace"))
        if answer.exit_status != 0 or match is None:
            return None
        return Found(name, path, Release(match[1].lower(), match[2]))

    def _nothing(self, names: Sequence[str]) -> ToolMissing:
        place = f"in {self._folder}" if self._folder else f"on {self._host.name or 'this host'}"
        package = "redis-tools" if names[0].endswith("-cli") else "redis-server"
        return ToolMissing(
            f"Neither {names[0]} nor {names[1]} is {place}.",
            remedy=f"Install it (Debian, Ubuntu: apt install {package}, or Valkey's package)."
            + (" Or correct the source's folder of tools." if self._folder else ""),
        )
