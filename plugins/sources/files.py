"""A folder as a source: all that is below it as a tar archive, made and unpacked by find and tar."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterable

import pydantic

import strongroom
from plugins.sources.tree import archiving, choosing, looking, picking, placing
from plugins.sources.tree.archiving import Tools
from strongroom import Context, Dump, Fingerprint, SourceReport, TargetState


class Files(strongroom.Source):
    """A folder, and the rules of what below it is backed up."""

    name = "files"
    title = "Files"
    icon = "folder"
    extension = "tar"
    engine = "files"
    can_replace = True

    class Config(strongroom.AdapterConfig):
        path: str = strongroom.field(
            title="Folder",
            description="All below it is backed up.",
            placeholder="/var/www/shop",
            widget="folder",
        )
        include: list[str] = strongroom.field(
            title="Only these",
            description="Names at any depth (*.pdf), or paths from the folder on (docs/letters), a folder"
            " with all below it. Left empty: everything.",
            placeholder="docs/letters",
            default_factory=list,
            advanced=True,
        )
        exclude: list[str] = strongroom.field(
            title="Left out",
            description="Names at any depth (*.iso, tmp/), or paths from the folder on (var/cache).",
            placeholder="*.iso",
            default_factory=list,
        )
        presets: list[str] = strongroom.field(
            title="Left out by name",
            description=f"Lists of what people leave out: {', '.join(choosing.PRESETS)}.",
            placeholder="caches",
            default_factory=list,
        )
        one_file_system: bool = strongroom.field(
            False,
            title="Stay on one file system",
            description="Leave out what is mounted below.",
            advanced=True,
        )

        restore_paths: list[str] = strongroom.field(
            title="Only these paths",
            description="Of a restore: paths from the folder on, each with all below it. Into a folder that"
            " is there, they take the place of what it has of them.",
            placeholder="docs/offer.pdf",
            default_factory=list,
            advanced=True,
        )

        @pydantic.field_validator("restore_paths", mode="before")
        @classmethod
        def _are_paths(cls, values: object) -> object:
            if isinstance(values, str):
                values = [values]
            if not isinstance(values, list):
                return values
            for value in values:
                parts = str(value).split("/")
                if str(value).startswith("/") or "\0" in str(value) or {"", ".", ".."} & set(parts):
                    raise ValueError(f"{value!r} is no path from the folder on")
            return values

        @pydantic.field_validator("path")
        @classmethod
        def _is_absolute(cls, value: str) -> str:
            if not value.startswith("/"):
                raise ValueError("give the whole path, from / on")
            return posixpath.normpath(value)

        @pydantic.field_validator("presets")
        @classmethod
        def _are_presets(cls, values: list[str]) -> list[str]:
            for value in values:
                if value not in choosing.PRESETS:
                    raise ValueError(f"{value!r} is no such list; there are {', '.join(choosing.PRESETS)}")
            return values

        @pydantic.field_validator("include", "exclude")
        @classmethod
        def _are_patterns(cls, values: list[str]) -> list[str]:
            for value in values:
                if not value.strip("/") or "\0" in value:
                    raise ValueError(f"{value!r} is no pattern")
            return values

    config: Config

    def __init__(self, config: Config, context: Context) -> None:
        super().__init__(config, context)
        self._found: Tools | None = None
        self.restores_part = self.restores_over = self.undoes = bool(config.restore_paths)

    # ---------------------------------------------------------------------------------- looking

    def check(self) -> SourceReport:
        """See that every chosen file can be read, and that every pattern of `include` chooses one."""
        tools, config = self._tools(), self.config
        self._need(config.path)
        chosen = self._chosen(config.path)
        unmet = looking.look(self.context, tools, config.path, chosen, config.include)
        notes = (f"{unmet} {choosing.CORRECT}",) if unmet else ()
        return SourceReport("files", tools.version, (self._own,), (tools.as_tool(),), notes)

    def databases(self) -> list[str]:
        return [self._own]

    def fingerprint(self, database: str) -> Fingerprint:
        """Read all of a folder, and count it."""
        folder = self.folder_of(database)
        self._need(folder)
        # What was restored is compared whole; the rules say what is backed up of the source's own folder.
        chosen = (
            self._chosen(folder)
            if folder == self.config.path
            else choosing.arguments(folder, [], [], one_file_system=False)
        )
        return archiving.counted(self.context, self._tools(), folder, chosen)

    def target_state(self, database: str) -> TargetState:
        return placing.state(self.context.host, self._tools(), self.folder_of(database))

    # ---------------------------------------------------------------------- dumping and restoring

    def dump(self, database: str, *, fingerprint: bool = True) -> Dump:
        folder = self.folder_of(database)
        self._need(folder)
        return archiving.begin_dump(
            self.context,
            self._tools(),
            folder,
            self._chosen(folder),
            self.config.include,
            fingerprint=fingerprint,
        )

    def restore(self, database: str, chunks: Iterable[bytes]) -> None:
        """Unpack into a folder that is made for it, or is empty; on any error it is gone or empty again."""
        folder = self._real(database)
        state = self.target_state(database)
        paths = self.config.restore_paths
        if state is TargetState.FILLED and paths:
            picking.restore(self.context, self._tools(), folder, paths, chunks)
            return
        if state is TargetState.FILLED:
            raise strongroom.TargetNotEmpty(
                f"{folder} is there, and not empty.",
                remedy="Restore under another name (--as), or say that it may be replaced (--overwrite).",
            )
        with placing.filling(self.context.host, folder, made=state is TargetState.MISSING):
            archiving.unpack(self.context, self._tools(), folder, chunks, paths)

    def drop(self, database: str) -> None:
        placing.remove(self.context.host, self.folder_of(database))

    def replace(self, beside: str, database: str) -> str | None:
        """Swap by renaming two folders; the old one is kept as `<name>_before_<label>`."""
        return placing.swap(self.context.host, self.folder_of(beside), self._real(database))

    # ------------------------------------------------------------------------------------ names

    @property
    def _own(self) -> str:
        return posixpath.basename(self.config.path) or "root"

    def folder_of(self, database: str) -> str:
        """The folder of a name: the source's own, one beside it, or an absolute path."""
        if database == self._own:
            return self.config.path
        if database.startswith("/"):
            return posixpath.normpath(database)
        if database in ("", ".", "..") or set(database) & {"/", "\0"}:
            raise strongroom.ConfigError(
                f"{database!r} is no name for a folder.",
                remedy="Give a plain name for a folder beside the source's, or an absolute path.",
            )
        return posixpath.join(posixpath.dirname(self.config.path), database)

    def beside_name(self, database: str, label: str) -> str:
        """A name beside the folder; for a link, the path of one beside what it leads to: they are swapped."""
        folder = self.folder_of(database)
        real = self._real(database)
        return placing.fit(database if real == folder else real, f"_{label}")

    def scratch_name(self, database: str, label: str, folder: object) -> str:
        return f"{folder}/{label}"

    def restored_name(self, recorded: str) -> str:
        """A source of one folder restores into that folder, whatever the backup's was called."""
        return self._own

    def restore_command(self, database: str) -> str:
        return f"tar --extract --preserve-permissions --directory {shlex.quote(database)}"

    # ---------------------------------------------------------------------------------- helpers

    def _tools(self) -> Tools:
        if self._found is None:
            self._found = archiving.tools_of(self.context.host)
        return self._found

    def _chosen(self, folder: str) -> list[str]:
        config = self.config
        left_out = choosing.excluded(config.exclude, config.presets)
        return choosing.arguments(folder, config.include, left_out, one_file_system=config.one_file_system)

    def _real(self, database: str) -> str:
        return placing.real(self.context.host, self._tools(), self.folder_of(database))

    def _need(self, folder: str) -> None:
        if placing.state(self.context.host, self._tools(), folder) is TargetState.MISSING:
            raise _missing(folder)


def _missing(folder: str) -> strongroom.DatabaseMissing:
    return strongroom.DatabaseMissing(
        f"There is no folder {folder}.", remedy="Correct the source's folder, or see where it went."
    )


@strongroom.hookimpl
def strongroom_sources() -> list[type[strongroom.Source]]:
    """This plugin's adapter."""
    return [Files]
