"""Firebird as a source: gbak of each database, counted by gbak itself, swapped in by renaming its file."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pydantic
from pydantic import SecretStr

import strongroom
from plugins.sources.bird import looking, streaming, swapping
from plugins.sources.bird.failures import failure
from plugins.sources.bird.tools import Server, Toolbox, need_plain
from strongroom import BackupFacts, Context, Dump, Fingerprint, SourceReport, TargetState

_IS_PATH = re.compile(r"[/\\]|^[A-Za-z]:")
_HERE = ("", "localhost", "127.0.0.1", "::1")
_MOST = 255
"""Bytes of a file's name."""
_GONE = 15.0
"""Seconds that a server may take to let go of a database whose client was ended."""


class Firebird(strongroom.Source):
    """Databases of a Firebird server, by their paths or aliases."""

    name = "firebird"
    title = "Firebird"
    icon = "database"
    extension = "fbk"
    engine = "firebird"

    class Config(strongroom.AdapterConfig):
        databases: list[str] = strongroom.field(
            title="Databases",
            description="Paths on the server, or aliases of its databases.conf. No server lists them.",
            placeholder="/var/lib/firebird/data/shop.fdb",
            min_length=1,
        )
        host: str = strongroom.field(
            "localhost",
            title="Host",
            description="Left empty, the tools open the files themselves, without a server (embedded).",
            placeholder="localhost",
        )
        port: int = strongroom.field(3050, title="Port", ge=1, le=65535)
        user: str = strongroom.field(
            "SYSDBA",
            title="User",
            description="The owner of the databases, SYSDBA, or a user with the role RDB$ADMIN.",
            min_length=1,
        )
        password: SecretStr | None = strongroom.field(None, title="Password")
        tools: str = strongroom.field(
            "",
            title="Folder of client tools",
            description="Left empty, gbak, isql (isql-fb) and gfix are looked for on PATH and at the usual"
            " places.",
            widget="folder",
            advanced=True,
        )

        @pydantic.field_validator("databases")
        @classmethod
        def _are_names(cls, values: list[str]) -> list[str]:
            for value in values:
                if not value or value.startswith("-") or set(value) & {"\0", "\n", "\r"}:
                    raise ValueError(f"{value!r} is no path and no alias")
            return values

    config: Config

    def __init__(self, config: Config, context: Context) -> None:
        super().__init__(config, context)
        self._server = Server(config.host, config.port, config.user, config.password)
        self._tools = Toolbox(context.host, config.tools, self._server)
        self._folder: tuple[str, str] | None = None
        self._renames: bool | None = None

    # ---------------------------------------------------------------------------------- looking

    def check(self) -> SourceReport:
        """Log in to each database, and have gbak back its definitions up."""
        tools = [self._tools.find(name) for name in ("gbak", "isql", "gfix")]
        databases = self.databases()
        versions: set[str] = set()

        def look(database: str) -> None:
            versions.add(looking.about(self._tools, database).version)
            self._dump_definitions(database)

        failing = strongroom.look_into_each(databases, look)
        notes = [] if self.config.host else ["without a server: nobody else may have the files open"]
        if not self.can_replace:
            notes.append(
                "the files cannot be renamed from here: with --overwrite a database is dropped before the"
                " backup is restored"
            )
        return SourceReport("firebird", max(versions), tuple(databases), tuple(tools), tuple(notes), failing)

    def _dump_definitions(self, database: str) -> None:
        argv = [self._tools.find("gbak").path, "-b", "-g", "-m", self._server.target(database), "stdout"]
        with self.context.host.run(argv, env=self._server.environment()) as process:
            for _ in process:
                pass
            if (status := process.wait()) != 0:
                raise failure("gbak", status, process.stderr(), self._server, database)

    def databases(self) -> list[str]:
        return sorted(set(self.config.databases))

    def fingerprint(self, database: str) -> Fingerprint:
        return looking.count_rows(self._tools, self.target_of(database))

    def target_state(self, database: str) -> TargetState:
        try:
            found = looking.things(self._tools, self.target_of(database))
        except strongroom.DatabaseMissing:
            return TargetState.MISSING
        return TargetState.FILLED if found else TargetState.EMPTY

    @property
    def can_replace(self) -> bool:  # type: ignore[override]
        """Whether the server's files are here, and may be renamed."""
        if self._renames is None:
            self._renames = self.config.host in _HERE and self._can_rename(self.config.databases[0])
        return self._renames

    def _can_rename(self, database: str) -> bool:
        try:
            return swapping.can_rename(self.context.host, looking.about(self._tools, database).path)
        except strongroom.SourceError:
            return False

    # ---------------------------------------------------------------------- dumping and restoring

    def dump(self, database: str, *, fingerprint: bool = True) -> Dump:
        target = self.target_of(database)
        self._tools.find("gbak")
        version = looking.about(self._tools, target).version
        return streaming.begin_dump(self.context, self._tools, target, version, fingerprint=fingerprint)

    def preflight(self, database: str, facts: BackupFacts) -> tuple[str, ...]:
        """Raises where gbak or the server is older than what made the backup: neither reads a newer one's."""
        tools = [self._tools.find(name) for name in ("gbak", "isql", "gfix")]
        have = {"gbak here": tools[0].version}
        with suppress(strongroom.DatabaseMissing):
            have["the server"] = looking.about(self._tools, self.config.databases[0]).version
        for what, version in have.items():
            if _major(version) < _major(facts.engine_version):
                raise strongroom.SourceError(
                    f"This is a backup of Firebird {facts.engine_version}, and {what} is {version}.",
                    remedy="Restore into a server that is as new, with tools that are as new.",
                )
        return ()

    def restore(self, database: str, chunks: Iterable[bytes]) -> None:
        """Restore into a database that is made, and dropped again on any error; or into an empty one."""
        target = self.target_of(database)
        state = self.target_state(database)
        if state is TargetState.FILLED:
            raise strongroom.TargetNotEmpty(
                f"The database {database!r} at {self._server.place} is not empty.",
                remedy="Restore under another name (--as), or say that it may be replaced (--overwrite).",
            )
        empty = looking.about(self._tools, target) if state is TargetState.EMPTY else None
        try:
            streaming.restore(self.context, self._tools, target, chunks, over_empty=empty is not None)
        except strongroom.TargetNotEmpty:
            raise  # somebody made it meanwhile: it is theirs
        except BaseException:
            # A cancelled host starts nothing any more: then whoever asked for the restore clears away.
            with suppress(strongroom.SourceError, strongroom.Cancelled):
                self.drop(database)
                if empty is not None:
                    self._make(target, empty)
            raise

    def _make(self, target: str, like: looking.About) -> None:
        """Make an empty database, as gbak's -rep has taken away the one that was there."""
        path = self._server.target(target).replace("'", "''")
        sql = f"CREATE DATABASE '{path}' PAGE_SIZE {like.page_size} DEFAULT CHARACTER SET {like.charset};\n"
        done = self._tools.run("isql", ["-q", "-b"], stdin=sql.encode())
        if done.exit_status != 0:
            raise failure("isql", done.exit_status, done.stderr, self._server, target)

    def drop(self, database: str) -> None:
        """Drop a database; a missing one is fine. One that a client's end has left in use is waited for."""
        target = self.target_of(database)
        waited = 0.0
        while True:
            try:
                self._tools.ask(target, "DROP DATABASE")
                return
            except strongroom.DatabaseMissing:
                return
            except strongroom.ToolFailed as error:
                if "in use" not in error.message or waited >= _GONE:
                    raise
            waited += 0.25
            self.context.cancel.wait(0.25)
            self.context.cancel.raise_if_cancelled()

    def replace(self, beside: str, database: str) -> str | None:
        """Swap by renaming; the old file is kept as `<name>_before_<label>`."""
        new, path = self._path_of(beside), self._path_of(database)
        looking.about(self._tools, new)
        if not self.context.host.exists(path):
            swapping.rename(self.context.host, new, path)
            return None
        kept = _kept(path, new)
        swapping.change_places(self._tools, new, path, kept)
        return kept

    def resume_replace(self, beside: str, database: str) -> bool:
        """Each file may have been shut down for the swap: what there is comes online again first."""
        new, path = self._path_of(beside), self._path_of(database)
        swapping.online_again(self._tools, new, path, _kept(path, new))
        return super().resume_replace(beside, database)

    # ------------------------------------------------------------------------------------ names

    def target_of(self, database: str) -> str:
        """A path or alias as it is; any other name is a file beside the source's first database."""
        need_plain(database)
        if database in self.config.databases or _IS_PATH.search(database):
            return database
        folder, suffix = self._beside()
        return f"{folder}/{database}" + ("" if posixpath.splitext(database)[1] else suffix)

    def _path_of(self, database: str) -> str:
        target = self.target_of(database)
        return target if _IS_PATH.search(target) else looking.about(self._tools, target).path

    def _beside(self) -> tuple[str, str]:
        """The folder of the first database, and its suffix."""
        if self._folder is None:
            first = self.config.databases[0]
            path = first if _IS_PATH.search(first) else looking.about(self._tools, first).path
            folder, name = posixpath.split(path.replace("\\", "/"))
            self._folder = folder, posixpath.splitext(name)[1] or ".fdb"
        return self._folder

    def beside_name(self, database: str, label: str) -> str:
        stem, suffix = posixpath.splitext(self._path_of(database))
        return _fit(stem, f"_{label}{suffix}")

    def scratch_name(self, database: str, label: str, folder: Path) -> str:
        """Beside the source's first database: a server may not write to our folder."""
        where, suffix = self._beside()
        return f"{where}/{label}{suffix}"

    def restored_name(self, recorded: str) -> str:
        """A source of one database restores into that, whatever the backup's was called."""
        names = self.config.databases
        return names[0] if recorded not in names and len(names) == 1 else recorded

    def restore_command(self, database: str) -> str:
        return f"gbak -c stdin {shlex.quote(self._server.target(database))}"


def _major(version: str) -> int:
    first = version.partition(".")[0]
    return int(first) if first.isdecimal() else 0


def _kept(path: str, new: str) -> str:
    """Where the old file goes: `<name>_before_<label>`, with the label of the new one's name."""
    stem, suffix = posixpath.splitext(path)
    label = posixpath.splitext(new)[0].removeprefix(f"{stem}_").rpartition("/")[2]
    return _fit(stem, f"_before_{label}{suffix}")


def _fit(stem: str, ending: str) -> str:
    """`stem + ending`, the last part of the path cut so that it stays within the limit."""
    folder, slash, name = stem.rpartition("/")
    return folder + slash + name.encode()[: _MOST - len(ending.encode())].decode("utf-8", "ignore") + ending


@strongroom.hookimpl
def strongroom_sources() -> list[type[strongroom.Source]]:
    """This plugin's adapter."""
    return [Firebird]
