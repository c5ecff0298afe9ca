"""SQLite as a source: one file, copied online from one snapshot while its application goes on writing.

A dump is a whole database file. It is made in the scratch folder, for SQLite copies by pages and in no
order; the copy is checked before its first byte goes out, and the rows are counted in it.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pydantic

import strongroom
from plugins.sources.lite import opening, placing
from plugins.sources.lite.opening import SIDE_SUFFIXES
from plugins.sources.lite.remote import Remote
from plugins.sources.onefile.names import Names
from plugins.sources.onefile.placing import publish, remove, sides, take_over_rights
from strongroom import (
    CHUNK,
    BackupFacts,
    Context,
    Dump,
    Fingerprint,
    LogLevel,
    LogType,
    SourceReport,
    TargetState,
)

_IS_PATTERN = re.compile(r"[*?\[]")
PAGES = 2048
"""Pages copied between two looks at the cancel token: 8 MiB at SQLite's usual page size."""


class Sqlite(strongroom.Source):
    """SQLite files. The name of the first is its stem; other names are files beside it, or whole paths."""

    name = "sqlite"
    title = "SQLite"
    icon = "database"
    extension = "sqlite"
    engine = "sqlite"
    can_replace = True

    class Config(strongroom.AdapterConfig):
        path: str = strongroom.field(
            title="Database file",
            description="The SQLite file. It may be in use: the copy is one consistent snapshot.",
            placeholder="/var/lib/app/app.db",
            widget="file",
            min_length=1,
        )
        paths: list[str] = strongroom.field(
            title="Further files",
            description="Whole paths of more SQLite files, or patterns (*, ?, [...]) looked up at each run.",
            placeholder="/var/lib/app/tenants/*.db",
            default_factory=list,
        )
        lock_timeout: float = strongroom.field(
            30.0,
            title="Wait for a lock (s)",
            description="How long to wait while another program holds the file locked.",
            advanced=True,
            ge=0,
            le=3600,
        )

        @pydantic.field_validator("paths")
        @classmethod
        def _are_absolute(cls, values: list[str]) -> list[str]:
            for value in values:
                if not Path(value).is_absolute():
                    raise ValueError(f"{value!r} is no whole path")
            return values

    config: Config

    def __init__(self, config: Config, context: Context) -> None:
        super().__init__(config, context)
        self._remote: Remote | None = None

    @property
    def path(self) -> Path:
        """The source's own file, absolute."""
        path = Path(self.config.path)
        if self.context.host.local:
            return path.expanduser().absolute()
        if not path.is_absolute():
            raise strongroom.ConfigError(
                f"{path} is no whole path on {self.context.host.name}.",
                field="path",
                remedy="Begin it with /.",
            )
        return path

    @property
    def _names(self) -> Names:
        return Names(self.path, self.title, self.context.host.local)

    @property
    def _far(self) -> Remote | None:
        """The way to files of another host; None for this machine, where the library is used."""
        if self._remote is None and not self.context.host.local:
            self._remote = Remote(self.context, self.config.lock_timeout)
        return self._remote

    # ---------------------------------------------------------------------------------- looking

    def check(self) -> SourceReport:
        """Open each file, take a snapshot of it, read its schema and see whether the scratch has room."""
        databases = self.databases()
        far = self._far
        several = len(databases) > 1
        notes: list[str] = []

        def look(database: str) -> None:
            path = self.file_of(database)
            found = far.look_at(str(path)) if far is not None else self._look_at(path)
            notes.extend([f"{database}: {'; '.join(found)}"] if several else found)

        failing = strongroom.look_into_each(databases, look)
        notes += [
            f"nothing matches {pattern}"
            for pattern in self.config.paths
            if _IS_PATTERN.search(pattern) and not self._matching(pattern)
        ]
        version = far.tool().version if far is not None else sqlite3.sqlite_version
        tools = (far.tool(),) if far is not None else ()
        return SourceReport("sqlite", version, tuple(databases), tools, tuple(notes), failing)

    def _look_at(self, path: Path) -> list[str]:
        with self._reading(path) as connection:
            pages = self._pragma(connection, "page_count")
            size = int(pages) * int(self._pragma(connection, "page_size"))
            tables = len(opening.tables(connection))
            notes = [f"{size:,} bytes", f"{tables} table{'' if tables == 1 else 's'}"]
            if (mode := self._pragma(connection, "journal_mode")) != "wal":
                notes.append(f"journal mode {mode}: writers wait while the file is copied")
        with self.context.scratch() as folder:
            self._need_room(folder, size)
        return notes

    def databases(self) -> list[str]:
        """The source's own file and the further ones."""
        found = {self.path.stem}
        for pattern in self.config.paths:
            matching = self._matching(pattern)
            if not matching and not _IS_PATTERN.search(pattern):
                matching = [pattern]  # it is missed, not left out
            found |= {self._names.name_of(Path(path)) for path in matching}
        return sorted(found)

    def _matching(self, pattern: str) -> list[str]:
        host = self.context.host
        paths = [pattern] if host.exists(pattern) else host.glob(pattern)
        return [path for path in paths if not path.endswith(SIDE_SUFFIXES)]

    def fingerprint(self, database: str) -> Fingerprint:
        """Count the rows of the live file, in one read transaction."""
        path = self.file_of(database)
        if self._far is not None:
            return self._far.fingerprint(str(path))
        with self._reading(path) as connection:
            return self._count(path, connection)

    def target_state(self, database: str) -> TargetState:
        path = self.file_of(database)
        if self._far is not None:
            return self._far.target_state(str(path))
        if not path.exists():
            return TargetState.MISSING
        if path.stat().st_size == 0 and not sides(path, SIDE_SUFFIXES):
            return TargetState.EMPTY
        try:
            with self._reading(path) as connection:
                found = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        except strongroom.SourceError:
            return TargetState.FILLED  # whatever it is, it is somebody's
        return TargetState.FILLED if found else TargetState.EMPTY

    # ---------------------------------------------------------------------------------- dumping

    def dump(self, database: str, *, fingerprint: bool = True) -> Dump:
        """Begin a dump; the copy is made and checked when the first chunk is asked for."""
        path = self.file_of(database)
        if self._far is not None:
            return self._far.dump(str(path), fingerprint=fingerprint)
        opening.require_sqlite(path)
        resources = ExitStack()
        folder = resources.enter_context(self.context.scratch())
        copy = folder / "copy.sqlite"
        copied = False

        def chunks() -> Iterator[bytes]:
            nonlocal copied
            self._copy(path, copy, folder)
            copied = True
            with copy.open("rb") as file:
                while chunk := file.read(CHUNK):
                    self.context.cancel.raise_if_cancelled()
                    yield chunk

        def count() -> Fingerprint | None:
            if not copied:
                return None
            connection = opening.connect(copy, "immutable=1")
            try:
                return self._count(copy, connection)
            finally:
                connection.close()

        return Dump(
            chunks(),
            engine_version=sqlite3.sqlite_version,
            tool_version=f"SQLite {sqlite3.sqlite_version}",
            fingerprint=count if fingerprint else None,
            close=resources.close,
            details=str(path),
        )

    def _copy(self, path: Path, copy: Path, folder: Path) -> None:
        cancel = self.context.cancel
        with self._reading(path) as source:
            # With the transaction held, no write of another program restarts the copy: without it, a
            # copy in steps beside a busy writer was restarted 4,762 times in 12 s and never ended.
            size = int(self._pragma(source, "page_count")) * int(self._pragma(source, "page_size"))
            self._need_room(folder, size)
            if size == 0:
                self.context.log(
                    f"{path.name} has no page: what is backed up is an empty database.",
                    LogLevel.WARNING,
                    LogType.GENERAL,
                    "If it should hold something, restore an older backup before retention deletes it.",
                )
            copy.touch(0o600)
            target = opening.connect(copy, "mode=rw")
            try:
                target.execute("PRAGMA synchronous = OFF")
                target.execute("PRAGMA journal_mode = OFF")
                source.backup(
                    target, pages=PAGES, progress=lambda *_: cancel.raise_if_cancelled(), sleep=0.01
                )
                if copy.stat().st_size == 0:
                    # An empty file is an empty database; with a header it can be told from a lost one.
                    target.execute("PRAGMA user_version = 0")
            except sqlite3.Error as error:
                cancel.raise_if_cancelled()
                raise opening.translated(path, error) from error
            finally:
                target.close()
        if note := placing.prove_whole(copy, cancel):
            self.context.log(f"{path.name}: {note}.", LogLevel.WARNING, LogType.GENERAL, "")

    # -------------------------------------------------------------------------------- restoring

    def preflight(self, database: str, facts: BackupFacts) -> tuple[str, ...]:
        """Raises for a link on another host: what is renamed there would be the link."""
        path = str(self.file_of(database))
        host = self.context.host
        if self._far is not None and host.capture(["test", "-L", path], timeout=20).exit_status == 0:
            raise strongroom.SourceError(
                f"{path} on {host.name} is a link.",
                remedy="Restore into the file that it leads to (--as PATH).",
            )
        return ()

    def restore(self, database: str, chunks: Iterable[bytes]) -> None:
        """Write the file beside, check it, and only then give it its name."""
        path = self._names.real_of(database)
        state = self.target_state(database)
        if state is TargetState.FILLED:
            raise strongroom.TargetNotEmpty(
                f"{path} is there, and not empty.",
                remedy="Restore under another name (--as), or say that it may be replaced (--overwrite).",
            )
        if self._far is not None:
            self._far.restore(str(path), chunks, state, str(self.path))
            return
        if not path.parent.is_dir():
            raise strongroom.SourceError(
                f"There is no folder {path.parent}.", remedy="Make it, or choose another place."
            )
        temporary = placing.write_beside(path, chunks, self.context.cancel)
        try:
            placing.prove_and_sync(temporary, self.context.cancel)
            take_over_rights(temporary, path if path.exists() else self.path)
            publish(temporary, path, SIDE_SUFFIXES, over_empty=state is TargetState.EMPTY)
        finally:
            temporary.unlink(missing_ok=True)

    def drop(self, database: str) -> None:
        if self._far is not None:
            self._far.drop(str(self.file_of(database)))
        else:
            remove(self.file_of(database), SIDE_SUFFIXES)

    def replace(self, beside: str, database: str) -> str | None:
        """Swap by renaming; the old file, its WAL written back, is kept as `<name>_before_<label>`."""
        path, new = self._names.real_of(database), self.file_of(beside)
        kept = self._names.kept(beside, database)
        if self._far is not None:
            replaced = self._far.replace(str(new), str(path), str(kept))
            return self._names.name_of_kept(database, kept) if replaced else None
        if not new.exists():
            raise strongroom.DatabaseMissing(f"There is no file {new}.", remedy="Restore again.")
        swapped = placing.swap(new, path, kept, self.config.lock_timeout, self.context.cancel)
        return self._names.name_of_kept(database, kept) if swapped else None

    # ------------------------------------------------------------------------------------ names

    def file_of(self, database: str) -> Path:
        """The file of a database's name: the source's own, one beside it, or an absolute path."""
        return self._names.file_of(database)

    def beside_name(self, database: str, label: str) -> str:
        return self._names.beside(database, label)

    def scratch_name(self, database: str, label: str, folder: Path) -> str:
        if self._far is not None:  # `folder` is on this machine
            return self.beside_name(database, label)
        return str(folder / f"{label}.{self.extension}")

    def restored_name(self, recorded: str) -> str:
        """A source of one file restores into that file, whatever the backup's database was called."""
        return recorded if self.config.paths else self.path.stem

    def restore_command(self, database: str) -> str:
        return f"cat > {shlex.quote(f'{database}.{self.extension}')}"

    # ---------------------------------------------------------------------------------- helpers

    def _reading(self, path: Path) -> Any:
        return opening.reading(path, self.context.scratch, self.config.lock_timeout, self.context.cancel)

    def _count(self, path: Path, connection: sqlite3.Connection) -> Fingerprint:
        try:
            return Fingerprint(opening.count_rows(connection, self.context.cancel), consistent=True)
        except sqlite3.Error as error:
            raise opening.translated(path, error) from error

    @staticmethod
    def _pragma(connection: sqlite3.Connection, name: str) -> str:
        return str(connection.execute(f"PRAGMA {name}").fetchone()[0])

    @staticmethod
    def _need_room(folder: Path, size: int) -> None:
        free = shutil.disk_usage(folder).free
        if free < size:
            raise strongroom.SourceError(
                f"The copy needs {size:,} bytes, and {folder} has {free:,} free.",
                remedy="Make room there, or put STRONGROOM_HOME on a larger disk.",
            )


@strongroom.hookimpl
def strongroom_sources() -> list[type[strongroom.Source]]:
    """This plugin's adapter."""
    return [Sqlite]
