"""The kinds of adapter: `Source`, `Storage`, `Notifier`, and `HostAdapter` for where sources' tools run.

An adapter is a class with a `name`, a `title`, an `icon`, a nested `Config` and its capabilities as
plain class attributes. It is made for one piece of work, with its configuration and a `Context`.
An error is always raised, never returned; errors are `StrongroomError`s that say what to do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from engine.cancellation import CancelToken
from engine.contract.config import AdapterConfig
from engine.contract.hosts import Host
from engine.contract.readers import Reader
from engine.contract.values import (
    BackupFacts,
    Dump,
    Fingerprint,
    Leftover,
    Message,
    Published,
    SourceReport,
    StorageReport,
    StoredFile,
    TargetState,
)
from engine.errors import SourceError
from engine.events import LogLevel, LogType

Log = Callable[[str, LogLevel, LogType, str], None]
"""`log(message, level, type, details)`: one line of the execution's log."""


def no_sign(moved: int = 0) -> None:
    """The sign of life that nobody waits for."""


def no_log(message: str, level: LogLevel, type: LogType, details: str) -> None:
    """The log of whoever keeps none."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the engine hands an adapter beside its configuration.

    `host` runs tools; `cancel` says when to stop; `scratch` makes a folder (0700) that is emptied in
    every outcome, for what a tool can write only as plain files; `log` writes to the execution's log.
    `alive(bytes)` is a sign of life during long work that reads nothing from the engine, such as reading
    an upload back: what gives none for the job's `stall_after` seconds is taken for stalled.
    """

    host: Host
    cancel: CancelToken
    scratch: Callable[[], AbstractContextManager[Path]]
    log: Log = no_log
    alive: Callable[[int], None] = no_sign


class Adapter(ABC):
    """What the kinds share."""

    name: ClassVar[str]
    """The word in the configuration file: lower case, letters, digits, hyphens."""
    title: ClassVar[str]
    """The word on the screen."""
    icon: ClassVar[str] = "plug"
    """The name of an icon of the application, or of one that the plugin ships."""
    Config: ClassVar[type[AdapterConfig]]

    def __init__(self, config: Any, context: Context) -> None:
        self.config = config
        self.context = context

    def close(self) -> None:  # noqa: B027 - optional, most adapters hold nothing open
        """Let go of connections. Called in every outcome."""


class Source(Adapter):
    """Something that can be dumped and restored.

    Fields of its `Config` whose names begin with `restore_` are choices of a restore, which each restore
    may make anew.
    """

    extension: ClassVar[str]
    """The dump's own file name extension, without a dot: `dump`, `sqlite`."""
    engine: ClassVar[str]
    """The engine's family; a restore goes only into a source of the same family."""
    can_replace: ClassVar[bool] = False
    """Whether `replace` works: a restore is then built beside, checked, and swapped in."""
    restores_over: bool = False
    """Whether `restore` takes a filled database too and removes what is in it itself. May hang on the
    configuration (set it in `__init__`); it goes before `can_replace`, and only a person's explicit
    overwrite leads there."""
    undoes: bool = False
    """Whether a restore over a filled database that fails leaves it as it was."""
    untouched: bool = False
    """Whether a restore that has just failed had not yet touched its target. Only a source that prepares
    for long before it does has to tell."""
    restores_part: bool = False
    """Whether, as it is configured now, `restore` takes only a part of a backup: then there is nothing to
    compare, and a part never takes the place of a whole."""
    accepts: ClassVar[tuple[str, ...]] = ()
    """Other families whose backups may be restored here, with a warning."""

    @abstractmethod
    def check(self) -> SourceReport:
        """Connect for real and look for all that a dump will need: version, privileges, tools.

        A report means that a backup will work. What would keep every database from being backed up is
        raised; what would keep one of several is told in the report's `failing`.
        """

    @abstractmethod
    def databases(self) -> list[str]:
        """The databases to back up: those configured, there or not; else all but the system's. Sorted."""

    @abstractmethod
    def dump(self, database: str, *, fingerprint: bool = True) -> Dump:
        """Begin a dump. With `fingerprint`, its snapshot's tables and rows are counted too."""

    @abstractmethod
    def fingerprint(self, database: str) -> Fingerprint:
        """Count the tables and rows of a live database, in one snapshot where the engine has one."""

    @abstractmethod
    def target_state(self, database: str) -> TargetState:
        """Say what a restore under that name would find."""

    @abstractmethod
    def restore(self, database: str, chunks: Iterable[bytes]) -> None:
        """Restore a dump into a database that is missing (it is created) or empty.

        Raises when the tool says that anything went wrong. A dump is input, not a friend: clients run
        without shell escapes.
        """

    def preflight(self, database: str, facts: BackupFacts) -> tuple[str, ...]:
        """Look, before anything is fetched, whether that backup can be restored under that name.

        Raises what would fail it: a server or tool too old, a missing privilege or tool, no room. Returns
        what people should know, as sentences.
        """
        return ()

    @abstractmethod
    def drop(self, database: str) -> None:
        """Remove a database that the engine made itself (beside, scratch). A missing one is fine."""

    def replace(self, beside: str, database: str) -> str | None:
        """Give `beside` the name `database`; return the name under which the old one is kept, if any.

        On an error the old one has its name back; else `NotPutBack` is raised, and says what lies where.
        Where there is an old one, no cancel ends it half-way.
        """
        raise SourceError(f"{self.title} cannot swap databases by renaming.")

    def resume_replace(self, beside: str, database: str) -> bool:
        """After a process died within `replace`: finish it if it had begun; return whether it is done.

        By default it is one step, or two renames: where the old one has lost the name, the new one gets it.
        """
        if self.target_state(beside) is TargetState.MISSING:
            return True
        if self.target_state(database) is not TargetState.MISSING:
            return False
        self.replace(beside, database)
        return True

    def beside_name(self, database: str, label: str) -> str:
        """A name of the engine's own beside `database`, valid for this source; `label` makes it unique."""
        return f"{database}_{label}"

    def scratch_name(self, database: str, label: str, folder: Path) -> str:
        """A name for the database that a drill makes and drops; one that is a file may lie in `folder`."""
        return self.beside_name(database, label)

    def restored_name(self, recorded: str) -> str:
        """The database that a backup of `recorded` goes into when nobody says another name."""
        return recorded

    def extension_for(self, database: str) -> str:
        """The extension of that database's dump, where one adapter writes several formats."""
        return self.extension

    def restore_command(self, database: str) -> str:
        """The standard tool's command that reads the dump from standard input, for people."""
        return f"cat > {database}.{self.extension_for(database)}"


class Storage(Adapter):
    """Somewhere that artifacts can be kept. Names are relative, with forward slashes.

    The engine checks every name before the adapter sees it; the adapter still keeps within its root.
    """

    needs_length: ClassVar[bool] = False
    """An upload must know its length first: it then starts when the dump has ended."""
    verifies: ClassVar[str] = "read back"
    """How `put` and `verify` prove that the stored bytes are the given ones, in words."""
    resumes: ClassVar[bool] = False
    locks: ClassVar[bool] = False

    @abstractmethod
    def check(self) -> StorageReport:
        """Write a probe, read it back, delete it; leave nothing. Raises what would fail an upload."""

    @abstractmethod
    def put(
        self,
        name: str,
        reader: Reader,
        *,
        begun: Callable[[Leftover], None],
        overwrite: bool = False,
    ) -> Published:
        """Publish atomically: write under a temporary name, verify, and only then give it its name.

        `begun` is called before the first byte goes out, with what would have to be removed; and once
        more when a server has told the rest of it, such as the ID of an upload that it has begun. On any
        error, a cancel included, the adapter removes what it wrote, as far as it still can, and raises.
        Without `overwrite`, a file of that name raises `AlreadyExists` and stays as it is.
        """

    @abstractmethod
    def get(self, name: str, offset: int = 0) -> Iterator[bytes]:
        """The file's bytes from `offset` on. Raises `StorageMissing`."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterable[StoredFile]:
        """All files whose name begins with `prefix`, folders below included. Never empty for a failure.

        Temporary files of uploads under way are left out.
        """

    @abstractmethod
    def stat(self, name: str) -> StoredFile:
        """One file. Raises `StorageMissing`."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a file. A missing one is fine; a delete that failed raises."""

    @abstractmethod
    def verify(self, name: str, size: int, sha256: str) -> str:
        """Prove that the stored bytes have that size and SHA-256 (lower-case hex); return how.

        Raises `ChecksumMismatch` when they have not, `StorageMissing`, and `CouldNotVerify` when
        neither can be shown.
        """

    @abstractmethod
    def discard(self, leftover: Leftover) -> None:
        """Remove what an interrupted upload left. Nothing there is fine."""


class Notifier(Adapter):
    """A channel that tells people."""

    @abstractmethod
    def check(self) -> str:
        """Send a test message for real; return what was done, in words."""

    @abstractmethod
    def render(self, message: Message) -> dict[str, Any]:
        """The payload as it would be sent, as JSON values without secrets; kept for the preview."""

    @abstractmethod
    def send(self, message: Message) -> None:
        """Deliver. A delivery that was not confirmed raises."""


class HostAdapter(Adapter):
    """A way to a machine or a container on which sources' tools run; its `context.host` is the one before it.

    That is this machine, or the host by whose way this one is reached: a jump host, or the server that a
    container runs on.
    """

    @abstractmethod
    def open(self) -> Host:
        """The host, connected; whoever asked closes it.

        Raises `ConnectionFailed`, `NeedsTrust` and `ToolMissing`.
        """

    def check(self) -> str:
        """Run something there for real; return what was found, in words."""
        host = self.open()
        try:
            told = host.capture(["uname", "-sm"])
        finally:
            host.close()
        system = told.stdout.decode("utf-8", "replace").strip()
        if told.exit_status != 0 or not system:
            raise SourceError(f"{host.name} runs no tools: {told.stderr.strip() or 'it says nothing'}.")
        return f"{host.name} runs tools ({system})"
