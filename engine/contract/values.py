"""The values that adapters and the engine hand each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import TracebackType

from engine.errors import Cancelled, SourceError, StrongroomError


@dataclass(frozen=True, slots=True)
class Tool:
    """A client tool as found on a host."""

    name: str
    path: str
    version: str


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What a source's `check` found. `notes` are for people.

    `engine` is the family ("postgresql"), `version` what the server calls itself ("15.18"). A backup of each
    of `databases` will work, but for those in `failing`, each with the error that its dump would end with
    (`look_into_each` gathers them): a run makes the others, and ends Partial.
    """

    engine: str
    version: str
    databases: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    notes: tuple[str, ...] = ()
    failing: Mapping[str, StrongroomError] = field(default_factory=dict)

    def raise_failing(self) -> None:
        """Raise what keeps databases from being backed up, if there are any."""
        _raise_all(self.failing)


def look_into_each(databases: Iterable[str], look: Callable[[str], object]) -> dict[str, StrongroomError]:
    """Look into databases, each for itself; of those at which `look` raised, what it raised.

    When it has raised at every one, that is raised: there is nothing that could be backed up. A cancel is
    raised as ever.
    """
    failing: dict[str, StrongroomError] = {}
    looked_at = tuple(databases)
    for database in looked_at:
        try:
            look(database)
        except Cancelled:
            raise
        except StrongroomError as error:
            failing[database] = error
    if len(failing) == len(looked_at):
        _raise_all(failing)
    return failing


def _raise_all(failing: Mapping[str, StrongroomError]) -> None:
    errors = list(failing.values())
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise SourceError(" ".join(error.message for error in errors), remedy=errors[0].remedy)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Tables and their row counts. It proves something only when `consistent`: taken in one snapshot.

    `of` says what is counted: "rows" in each table; or "measures", where each name is a measure of its own
    ("files", "bytes"), and one that begins with "sum of" is compared and not shown.
    """

    tables: Mapping[str, int]
    consistent: bool
    of: str = "rows"

    def words(self) -> str:
        """What was counted, in a few words."""
        if self.of == "rows":
            return f"{_counted(len(self.tables), 'table')} with {_counted(sum(self.tables.values()), 'row')}"
        shown = (name for name in self.tables if not name.startswith(_SUM))
        return ", ".join(_counted(self.tables[name], name.removesuffix("s")) for name in shown)

    def differences(self, other: Fingerprint, *, most: int = 5) -> list[str]:
        """Say in words how `other` (what was restored) differs; empty when equal."""
        found = []
        for name in sorted(self.tables.keys() | other.tables.keys()):
            mine, theirs = self.tables.get(name), other.tables.get(name)
            if mine == theirs:
                continue
            if self.of != "rows":
                found.append(_unlike(name, mine or 0, theirs or 0))
            elif theirs is None:
                found.append(f"table {name} is missing")
            elif mine is None:
                found.append(f"table {name} should not be there")
            else:
                found.append(f"table {name} has {theirs} rows instead of {mine}")
        if len(found) > most:
            found[most:] = [f"and {len(found) - most} more"]
        return found


_SUM = "sum of "


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _unlike(name: str, mine: int, theirs: int) -> str:
    return f"the {name} differs" if name.startswith(_SUM) else f"{theirs:,} {name} instead of {mine:,}"


class Dump:
    """A dump that has begun: iterate over its chunks once, then ask for its fingerprint, then close it.

    `chunks` raises when the dump is not whole: a wrong exit status, a missing end mark. Reaching its
    end is therefore a statement. `fingerprint` is called after the last chunk; it returns what the
    dump's own snapshot held. `close` always runs.
    """

    def __init__(
        self,
        chunks: Iterable[bytes],
        *,
        engine_version: str = "",
        tool_version: str = "",
        fingerprint: Callable[[], Fingerprint | None] | None = None,
        close: Callable[[], None] | None = None,
        details: str = "",
    ) -> None:
        self._chunks = iter(chunks)
        self._fingerprint = fingerprint
        self._close = close
        self.engine_version = engine_version
        self.tool_version = tool_version
        self.details = details

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def fingerprint(self) -> Fingerprint | None:
        """What the dump's snapshot held; None when the adapter cannot tell or was not asked to."""
        return self._fingerprint() if self._fingerprint is not None else None

    def close(self) -> None:
        """Release the snapshot and end the tools. Safe to call twice."""
        close_chunks = getattr(self._chunks, "close", None)
        if close_chunks is not None:
            close_chunks()
        if self._close is not None:
            close, self._close = self._close, None
            close()

    def __enter__(self) -> Dump:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class BackupFacts:
    """What is known of a backup before it is fetched; `format` is its dump's extension, sizes are bytes."""

    database: str
    engine: str
    engine_version: str
    tool_version: str
    format: str
    dump_size: int


class TargetState(StrEnum):
    """What a restore would find at its target."""

    MISSING = "missing"
    EMPTY = "empty"
    FILLED = "filled"


@dataclass(frozen=True, slots=True)
class StorageReport:
    """What a storage's `check` found; `free` in bytes, None when it cannot be told."""

    detail: str
    free: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file at a destination; `name` is relative to its root, `modified` UTC."""

    name: str
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class Leftover:
    """What an upload may leave behind, told before its first byte goes out."""

    temporary_name: str
    upload_id: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """A file that was written, verified, and only then given its name; `proof` says how ("read back")."""

    proof: str


@dataclass(frozen=True, slots=True)
class Message:
    """What a notifier tells people. `facts` are shown as a table; none holds a secret."""

    title: str
    body: str
    level: str = "info"
    facts: tuple[tuple[str, str], ...] = field(default=())
