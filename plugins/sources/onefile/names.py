"""The names of databases that are files: the file's stem, a name beside it, or an absolute path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from strongroom import ConfigError


@dataclass(frozen=True, slots=True)
class Names:
    """Names as seen from a source's own file, which is absolute; `title` is the engine's, and `here` says
    whether the files are on this machine."""

    own: Path
    title: str
    here: bool = True

    def file_of(self, database: str) -> Path:
        """The file of a name. Raises `ConfigError` for what would lie elsewhere."""
        if database == self.own.stem:
            return self.own
        if Path(database).is_absolute():
            return Path(database)
        if database in ("", ".", "..") or set(database) & {"/", "\\", "\0"}:
            raise ConfigError(
                f"{database!r} is no name for a database of {self.title}.",
                remedy="Give a plain name for a file beside the source's, or an absolute path.",
            )
        return self.own.with_name(database if Path(database).suffix else database + self.own.suffix)

    def real_of(self, database: str) -> Path:
        """The same, or what it leads to where it is a link: that is what is replaced, and the link stays."""
        path = self.file_of(database)
        return path.resolve() if self.here and path.is_symlink() else path

    def name_of(self, path: Path) -> str:
        """The shortest name of a file: its stem beside the source's own, else its whole path."""
        return path.stem if self.file_of(path.stem) == path else str(path)

    def beside(self, database: str, label: str) -> str:
        """A name beside another one."""
        path = self.real_of(database)
        return self._like(database, path.with_name(f"{path.stem}_{label}{path.suffix}"))

    def kept(self, beside: str, database: str) -> Path:
        """Where the old file of `database` goes when `beside` takes its name."""
        path = self.real_of(database)
        label = self.file_of(beside).stem.removeprefix(f"{path.stem}_")
        return path.with_name(f"{path.stem}_before_{label}{path.suffix}")

    def name_of_kept(self, database: str, kept: Path) -> str:
        """The name of a kept file, of the same kind as `database`."""
        return self._like(database, kept)

    def _like(self, database: str, path: Path) -> str:
        elsewhere = Path(database).is_absolute() or path.parent != self.own.parent
        return str(path) if elsewhere else path.name
