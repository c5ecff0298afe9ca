"""DuckDB as a source: one file, exported as Parquet from a copy that was made under DuckDB's own lock."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import strongroom
from plugins.sources.duck import archiving, exporting, loading, opening
from plugins.sources.duck.opening import SIDE_SUFFIXES, SOURCE
from plugins.sources.onefile import placing
from plugins.sources.onefile.names import Names
from strongroom import BackupFacts, Dump, Fingerprint, LogLevel, LogType, SourceReport, TargetState

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_THINGS = (
    "SELECT (SELECT count(*) FROM duckdb_tables() WHERE database_name = $1 AND NOT internal)"
    " + (SELECT count(*) FROM duckdb_views() WHERE database_name = $1 AND NOT internal)"
    " + (SELECT count(*) FROM duckdb_sequences() WHERE database_name = $1)"
    " + (SELECT count(*) FROM duckdb_types() WHERE database_name = $1 AND NOT internal)"
    " + (SELECT count(*) FROM duckdb_functions() WHERE database_name = $1 AND NOT internal)"
)


class DuckDB(strongroom.Source):
    """A DuckDB file. Its database's name is the file's stem; other names are files beside it."""

    name = "duckdb"
    title = "DuckDB"
    icon = "database"
    extension = "tar"
    engine = "duckdb"
    can_replace = True

    class Config(strongroom.AdapterConfig):
        path: str = strongroom.field(
            title="Database file",
            description="The DuckDB file. While a program has it open for writing, nobody else can open it.",
            placeholder="/var/lib/app/app.duckdb",
            widget="file",
            min_length=1,
        )
        lock_timeout: float = strongroom.field(
            30.0,
            title="Wait for a lock (s)",
            description="How long to wait while another program has the file open for writing.",
            advanced=True,
            ge=0,
            le=3600,
        )
        memory_limit: int = strongroom.field(
            1024,
            title="Memory (MiB)",
            description="What DuckDB may use. Beyond it, it writes to the scratch folder; the indexes of one"
            " table must fit when it is restored.",
            advanced=True,
            ge=128,
            le=1 << 20,
        )

    config: Config

    @property
    def path(self) -> Path:
        """The source's own file, absolute."""
        return Path(self.config.path).expanduser().absolute()

    @property
    def _names(self) -> Names:
        return Names(self.path, self.title)

    # ---------------------------------------------------------------------------------- looking

    def check(self) -> SourceReport:
        """Open the file, look for what DuckDB cannot export, and see whether the scratch has room."""
        self._need_local()
        version = opening.library().__version__
        with self._attached(self.path) as (connection, folder):
            if found := exporting.obstacles(connection):
                raise strongroom.SourceError(
                    f"DuckDB cannot export {self.path}: {'; '.join(found)}.",
                    remedy="Drop that constraint, or back the file up with a source of the kind files.",
                )
            count = len(opening.tables(connection))
            notes = [f"{self._size(self.path):,} bytes", f"{count} table{'' if count == 1 else 's'}"]
            notes.append("programs that write to it must have closed it when a backup runs")
            if outside := exporting.outside(connection):
                notes.append(f"these read files, and are not made anew by a restore: {', '.join(outside)}")
            self._need_room(folder, 2 * self._size(self.path))
        return SourceReport("duckdb", version, (self.path.stem,), notes=tuple(notes))

    def databases(self) -> list[str]:
        return [self.path.stem]

    def fingerprint(self, database: str) -> Fingerprint:
        """Count the rows of the live file, which nobody can write to meanwhile."""
        with self._attached(self.file_of(database)) as (connection, _):
            return Fingerprint(opening.count_rows(connection, self.context.cancel), consistent=True)

    def target_state(self, database: str) -> TargetState:
        self._need_local()
        path = self.file_of(database)
        if not path.exists():
            return TargetState.MISSING
        if path.is_file() and path.stat().st_size == 0 and not placing.sides(path, SIDE_SUFFIXES):
            return TargetState.EMPTY
        try:
            with self._attached(path) as (connection, _):
                row = connection.execute(_THINGS, [SOURCE]).fetchone()
        except strongroom.SourceError:
            return TargetState.FILLED  # whatever it is, it is somebody's
        return TargetState.FILLED if row is None or row[0] else TargetState.EMPTY

    # ---------------------------------------------------------------------------------- dumping

    def dump(self, database: str, *, fingerprint: bool = True) -> Dump:
        """Begin a dump; the export is made when the first chunk is asked for."""
        self._need_local()
        path = self.file_of(database)
        opening.require_duckdb(path)
        version = opening.library().__version__
        cancel = self.context.cancel
        resources = ExitStack()
        counted: dict[str, int] | None = None

        def chunks() -> Iterator[bytes]:
            nonlocal counted
            export = resources.enter_context(self.context.scratch())
            with self.context.scratch() as folder:
                self._need_room(folder, 2 * self._size(path))
                with opening.opened(None, folder, self.config.memory_limit, cancel) as connection:
                    opening.attach(connection, path, self.config.lock_timeout, cancel)
                    # A copy is made sooner than an export: programs that write are kept out for less time.
                    copy = opening.copy_attached(path, folder, cancel)
                    connection.execute(f"DETACH {SOURCE}")
                    opening.attach(connection, copy, 0, cancel)
                    if fingerprint:
                        counted = opening.count_rows(connection, cancel)
                    exporting.export(connection, export, cancel)
            yield from archiving.archive(export, cancel)

        def count() -> Fingerprint | None:
            return Fingerprint(counted, consistent=True) if counted is not None else None

        return Dump(
            chunks(),
            engine_version=version,
            tool_version=f"DuckDB {version}",
            fingerprint=count if fingerprint else None,
            close=resources.close,
            details=str(path),
        )

    # -------------------------------------------------------------------------------- restoring

    def preflight(self, database: str, facts: BackupFacts) -> tuple[str, ...]:
        """See whether the scratch folder and the target's have room, and whether the library is as new."""
        self._need_local()
        version = opening.library().__version__
        with self.context.scratch() as folder:
            self._need_room(folder, facts.dump_size)
        if (parent := self.file_of(database).parent).is_dir():
            self._need_room(parent, facts.dump_size)
        if _major(facts.engine_version) > _major(version):
            return (f"DuckDB {facts.engine_version} made this backup, and DuckDB {version} restores it.",)
        return ()

    def restore(self, database: str, chunks: Iterable[bytes]) -> None:
        """Build the file beside from the export, and only then give it its name."""
        path, cancel = self._names.real_of(database), self.context.cancel
        state = self.target_state(database)
        if state is TargetState.FILLED:
            raise strongroom.TargetNotEmpty(
                f"{path} is there, and not empty.",
                remedy="Restore under another name (--as), or say that it may be replaced (--overwrite).",
            )
        if not path.parent.is_dir():
            raise strongroom.SourceError(
                f"There is no folder {path.parent}.", remedy="Make it, or choose another place."
            )
        temporary = placing.temporary_name(path)
        try:
            with self.context.scratch() as export, self.context.scratch() as spill:
                archiving.unpack(chunks, export, cancel)
                memory = self.config.memory_limit
                with opening.opened(temporary, spill, memory, cancel, closed_to=export) as connection:
                    self._tell(loading.build(connection, export, cancel))
            placing.sync_file(temporary)
            temporary.chmod(0o600)
            placing.take_over_rights(temporary, path if path.exists() else self.path)
            placing.publish(temporary, path, SIDE_SUFFIXES, over_empty=state is TargetState.EMPTY)
        except OSError as error:
            raise strongroom.SourceError(
                f"{path} could not be restored: {error.strerror}.",
                remedy="Make room there, or give the user that runs Strongroom the right to write to it.",
            ) from error
        finally:
            placing.remove(temporary, SIDE_SUFFIXES)

    def _tell(self, left_out: list[str]) -> None:
        if left_out:
            count = len(left_out)
            self.context.log(
                f"{count} view{'' if count == 1 else 's'} or macros that read files outside of the database"
                " were not made: a backup may not open files.",
                LogLevel.WARNING,
                LogType.GENERAL,
                "Make them by hand:\n" + "\n".join(statement.strip() for statement in left_out),
            )

    def drop(self, database: str) -> None:
        placing.remove(self.file_of(database), SIDE_SUFFIXES)

    def replace(self, beside: str, database: str) -> str | None:
        """Swap by renaming; the old file is kept, its .wal with it, as `<name>_before_<label>`."""
        path, new = self._names.real_of(database), self.file_of(beside)
        if not new.exists():
            raise strongroom.DatabaseMissing(f"There is no file {new}.", remedy="Restore again.")
        if not path.exists():
            placing.publish(new, path, SIDE_SUFFIXES, over_empty=False)
            return None
        kept = self._names.kept(beside, database)
        placing.need_free(kept)
        placing.take_over_rights(new, path)
        # A program that has the file open would go on with the renamed one: then there is no swap.
        if path.stat().st_size:
            try:
                opening.require_duckdb(path)
            except strongroom.ConnectionFailed:
                raise
            except strongroom.SourceError:
                pass  # no database: it is kept all the same
            else:
                with self._attached(path):
                    pass
        placing.change_places(new, path, kept, SIDE_SUFFIXES)
        return self._names.name_of_kept(database, kept)

    # ------------------------------------------------------------------------------------ names

    def file_of(self, database: str) -> Path:
        """The file of a database's name: the source's own, one beside it, or an absolute path."""
        return self._names.file_of(database)

    def beside_name(self, database: str, label: str) -> str:
        return self._names.beside(database, label)

    def scratch_name(self, database: str, label: str, folder: Path) -> str:
        return str(folder / f"{label}.duckdb")

    def restored_name(self, recorded: str) -> str:
        """A source of one file restores into that file, whatever the backup's database was called."""
        return self.path.stem

    def restore_command(self, database: str) -> str:
        """Reads the archive into a folder; DuckDB's own IMPORT DATABASE takes it from there."""
        folder = database.replace("'", "_").replace("/", "_")
        return f"(mkdir '{folder}' && tar -x -C '{folder}')  # then: IMPORT DATABASE '{folder}'"

    # ---------------------------------------------------------------------------------- helpers

    def _need_local(self) -> None:
        if not self.context.host.local:
            raise strongroom.ConfigError(
                f"A DuckDB file is read by DuckDB's library, and not on {self.context.host.name}.",
                field="host",
                remedy="Run Strongroom where the file is, or back it up with a source of the kind command.",
            )

    @contextmanager
    def _attached(self, path: Path) -> Iterator[tuple[DuckDBPyConnection, Path]]:
        self._need_local()
        opening.require_duckdb(path)
        config, cancel = self.config, self.context.cancel
        with (
            self.context.scratch() as folder,
            opening.opened(None, folder, config.memory_limit, cancel) as connection,
        ):
            opening.attach(connection, path, config.lock_timeout, cancel)
            yield connection, folder

    @staticmethod
    def _size(path: Path) -> int:
        return sum(file.stat().st_size for file in (path, *placing.sides(path, SIDE_SUFFIXES)))

    @staticmethod
    def _need_room(folder: Path, size: int) -> None:
        free = shutil.disk_usage(folder).free
        if free < size:
            raise strongroom.SourceError(
                f"{size:,} bytes are needed, and {folder} has {free:,} free.",
                remedy="Make room there, or put STRONGROOM_HOME on a larger disk.",
            )


def _major(version: str) -> int:
    first = version.lstrip("v").partition(".")[0]
    return int(first) if first.isdecimal() else 0


@strongroom.hookimpl
def strongroom_sources() -> list[type[strongroom.Source]]:
    """This plugin's adapter."""
    return [DuckDB]
