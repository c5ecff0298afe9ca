"""A folder of this machine, or of a disk or share that is mounted here.

A file appears under its name only when it is whole, on the disk, and has been read back from there.
Nothing leaves the folder: a symbolic link in it is never followed.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pydantic

import strongroom
from plugins import durable
from plugins.storage import mounts, names

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT}) if hasattr(errno, "EDQUOT") else frozenset({errno.ENOSPC})
_Folders = list[Path]
_PASSING = frozenset(
    getattr(errno, name)
    for name in ("EIO", "ESTALE", "ETIMEDOUT", "EHOSTDOWN", "ENOTCONN", "EBUSY", "EAGAIN", "ENETUNREACH")
    if hasattr(errno, name)
)
"""Errors of shares that come back; trying again may help."""


class LocalFolder(strongroom.Storage):
    """Artifacts as plain files (0600) below one folder."""

    name = "local"
    title = "Local folder"
    icon = "folder"
    verifies = "read back from the disk"

    class Config(strongroom.AdapterConfig):
        path: Path = strongroom.field(
            title="Folder",
            description="Where the backups lie: on this machine, or on a disk or share mounted here.",
            placeholder="/mnt/backups",
            widget="folder",
        )
        read_back: bool = strongroom.field(
            True,
            title="Read back",
            description="Read each backup back from the disk and compare it, before it counts.",
            advanced=True,
        )
        mount: Path | None = strongroom.field(
            None,
            title="Only while mounted",
            description="Refuse to work unless a disk is mounted exactly here.",
            placeholder="/mnt/usb",
            widget="folder",
            advanced=True,
        )

        @pydantic.field_validator("path", "mount", mode="before")
        @classmethod
        def _absolute(cls, value: object) -> object:
            if not isinstance(value, str | Path):
                return value
            if not str(value).strip() or "\0" in str(value):
                raise ValueError("name a folder")
            return Path(value).expanduser().absolute()

    config: Config

    def check(self) -> strongroom.StorageReport:
        path = self.config.path
        notes = [] if path.is_dir() else ["The folder is not there yet; the first backup makes it."]
        made = self._root(make=True)
        try:
            name, probe = f"strongroom-probe-{secrets.token_hex(8)}", secrets.token_bytes(4096)
            self.put(name, strongroom.BytesReader(probe), begun=lambda leftover: None)
            try:
                if b"".join(self.get(name)) != probe:
                    raise strongroom.StorageError(
                        f"{path} gives back other bytes than were written there.",
                        remedy="Check the disk before you trust it with a backup.",
                    )
            finally:
                self.delete(name)
            with self._errors(""):
                free = shutil.disk_usage(path).free
                if path.stat().st_dev == Path(path.anchor).stat().st_dev:
                    notes.append("It lies on the same disk as the system: keep a copy elsewhere, too.")
        finally:
            _remove_empty(made)
        return strongroom.StorageReport(f"{path} can be written", free=free, notes=tuple(notes))

    def put(
        self,
        name: str,
        reader: strongroom.Reader,
        *,
        begun: Callable[[strongroom.Leftover], None],
        overwrite: bool = False,
    ) -> strongroom.Published:
        parts = names.parts(name)
        # The root stays once it is made: a missing one is what an unmounted disk looks like.
        self._root(make=True)
        made: _Folders = []
        try:
            with self._errors(name):
                target = self._place(parts)
                if not overwrite and target.exists():
                    raise _taken(name)
            temporary = target.with_name(names.temporary(parts[-1]))
            begun(strongroom.Leftover("/".join([*parts[:-1], temporary.name])))
            with self._errors(name):
                writer = self._create(temporary, parts, made)
            try:
                with closing(writer):
                    self._copy(reader, writer, name)
                with self._errors(name):
                    proof = self._prove(temporary, writer.size, reader.sha256())
                    durable.publish(temporary, target, overwrite=overwrite)
            except BaseException:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)
                raise
        except BaseException:
            _remove_empty(made)
            raise
        return strongroom.Published(proof)

    def get(self, name: str, offset: int = 0) -> Iterator[bytes]:
        parts = names.parts(name)
        with self._errors(name):
            self._root()
            with os.fdopen(durable.open_plain(self._file(parts, name)), "rb", buffering=0) as stream:
                stream.seek(offset)
                while chunk := stream.read(strongroom.CHUNK):
                    self.context.cancel.raise_if_cancelled()
                    yield chunk

    def list(self, prefix: str = "") -> Iterable[strongroom.StoredFile]:
        folder, _, _ = prefix.rpartition("/")
        with self._errors(prefix):
            self._root()
            parts = names.parts(folder) if folder else []
            top = self._place(parts)
            found = self._walk(top, "".join(f"{part}/" for part in parts), prefix)
            return sorted(found, key=lambda file: file.name)

    def stat(self, name: str) -> strongroom.StoredFile:
        parts = names.parts(name)
        with self._errors(name):
            self._root()
            return _stored(name, self._file(parts, name).stat())

    def delete(self, name: str) -> None:
        parts = names.parts(name)
        with self._errors(name):
            self._root()
            self._unlink(parts, name)

    def verify(self, name: str, size: int, sha256: str) -> str:
        parts = names.parts(name)
        with self._errors(name):
            self._root()
            path = self._file(parts, name)
            if (there := path.stat().st_size) != size:
                raise strongroom.ChecksumMismatch(
                    f"{name} in {self.config.path} has {there} bytes instead of {size}."
                )
            _, actual = durable.digest(path, self._go_on)
        if actual != sha256:
            raise strongroom.ChecksumMismatch(
                f"{name} in {self.config.path} has the SHA-256 {actual} instead of {sha256}."
            )
        return self.verifies

    def discard(self, leftover: strongroom.Leftover) -> None:
        parts = names.temporary_parts(leftover.temporary_name)
        with self._errors(leftover.temporary_name):
            self._root()
            self._unlink(parts, leftover.temporary_name)

    # ------------------------------------------------------------------------------ the folder itself

    def _root(self, *, make: bool = False) -> _Folders:
        """See that the folder is there, and may be trusted to be the one meant; return what was made."""
        path, mount = self.config.path, self.config.mount
        if mount is not None and not mounts.is_mount(mount):
            raise strongroom.StorageError(
                f"Nothing is mounted at {mount}, so {path} is not touched.",
                remedy="Mount the disk, then try again.",
            )
        if reason := mounts.missing_disk(path):
            raise strongroom.StorageError(
                f"The folder {path} is not there: {reason}.",
                remedy="Mount the disk. If there is none to mount, make the folder yourself: "
                f"mkdir -p {path}",
            )
        if path.is_dir():
            return []
        if path.exists() or not make:
            raise strongroom.PlaceMissing(
                f"{path} is {'not a folder' if path.exists() else 'not there'}.",
                remedy="Mount the disk or make the folder that was meant, or correct the path.",
            )
        made: _Folders = []
        try:
            with self._errors("the folder itself"):
                for folder in reversed([path, *(above for above in path.parents if not above.exists())]):
                    _make(folder, made)
        except BaseException:
            _remove_empty(made)
            raise
        return made

    def _place(self, parts: Sequence[str]) -> Path:
        """The path of a name below the folder, after a look at each step for links and files in the way."""
        path = self.config.path
        for part in parts:
            path = path / part
            if path.is_symlink() or _is_junction(path):
                raise strongroom.NameEscapes(
                    f"{path} is a link, which Strongroom does not follow.",
                    remedy="Replace the link by a real folder or file, or make its target the destination.",
                )
        return path

    def _file(self, parts: Sequence[str], name: str) -> Path:
        path = self._place(parts)
        if not stat.S_ISREG(path.lstat().st_mode):
            raise strongroom.StorageError(f"{name} in {self.config.path} is not a file.")
        return path

    def _unlink(self, parts: Sequence[str], name: str) -> None:
        try:
            path = self._file(parts, name)
            path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return
        durable.sync_folder(path.parent)
        _remove_empty([self.config.path.joinpath(*parts[:depth]) for depth in range(1, len(parts))])

    def _walk(self, folder: Path, name: str, prefix: str) -> Iterator[strongroom.StoredFile]:
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            if not name:
                raise
            return  # went away while we looked, as a folder does whose last file was deleted
        for entry in found:
            its = name + entry.name
            if not its.startswith(prefix) or names.is_foreign(its) or names.is_temporary(its):
                continue
            if entry.is_dir(follow_symlinks=False):
                if not _is_junction(Path(entry.path)):
                    yield from self._walk(Path(entry.path), f"{its}/", prefix)
            elif entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    yield _stored(its, entry.stat(follow_symlinks=False))

    # ------------------------------------------------------------------------------------- an upload

    def _create(self, temporary: Path, parts: Sequence[str], made: _Folders) -> durable.Writer:
        """Open the temporary file, making its folders; `made` collects them.

        Another upload may remove a folder as empty just before our file is in it: it is made anew then,
        but never the root, which must not come back when its disk has gone.
        """
        for attempt in range(10):
            for depth in range(1, len(parts)):
                _make(self._place(parts[:depth]), made)
            try:
                return durable.Writer(temporary)
            except FileNotFoundError:
                if attempt == 9 or not self.config.path.is_dir():
                    raise
        raise AssertionError("the loop returns or raises")

    def _copy(self, reader: strongroom.Reader, writer: durable.Writer, name: str) -> None:
        # What the reader raises is not ours to translate: the dump failed, or somebody cancelled.
        while chunk := reader.read(strongroom.CHUNK):
            self.context.cancel.raise_if_cancelled()
            with self._errors(name):
                writer.add(chunk)
        with self._errors(name):
            writer.finish()

    def _prove(self, temporary: Path, size: int, sha256: str) -> str:
        if not self.config.read_back:
            there = temporary.stat().st_size
            if there != size:
                raise strongroom.ChecksumMismatch(f"{temporary} has {there} bytes instead of {size}.")
            return "synced to the disk; read-back is switched off"
        read, actual = durable.digest(temporary, self._go_on)
        if (read, actual) != (size, sha256):
            raise strongroom.ChecksumMismatch(
                f"The disk of {self.config.path} gave back other bytes than were written "
                f"({read} with SHA-256 {actual} instead of {size} with {sha256}).",
                remedy="Check the disk before you trust it with a backup.",
            )
        return self.verifies

    def _go_on(self) -> None:
        """Called for each chunk that is read back: it may be stopped there, and shows that it lives."""
        self.context.cancel.raise_if_cancelled()
        self.context.alive(strongroom.CHUNK)

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        """Turn what the system says into our errors, with what to do."""
        root = self.config.path
        try:
            yield
        except FileExistsError as error:
            raise _taken(name) from error
        except (FileNotFoundError, NotADirectoryError) as error:
            if not root.is_dir():
                raise strongroom.StorageError(
                    f"The folder {root} has vanished: its disk was unmounted, or somebody removed it.",
                    remedy="Bring it back, then run again.",
                ) from error
            raise strongroom.StorageMissing(
                f"There is no {name} in {root}.", remedy="See who removed it; take another copy or backup."
            ) from error
        except OSError as error:
            raise self._error(error, name) from error

    def _error(self, error: OSError, name: str) -> strongroom.StorageError:
        root, code = self.config.path, error.errno
        what = error.strerror or type(error).__name__
        if code in _FULL:
            with suppress(OSError):
                what = f"{shutil.disk_usage(root).free:,} bytes are free"
            return strongroom.StorageFull(
                f"No space is left in {root} for {name}: {what}.",
                remedy="Free space there, keep fewer backups (retention), or choose another destination.",
            )
        remedies = {
            errno.EROFS: "The disk is mounted read-only, often after an error: check it, mount it anew.",
            errno.EFBIG: "This file system holds no file of that size (FAT: 4 GiB). Format the disk anew.",
            errno.ENAMETOOLONG: "Shorten the job's name or its naming template.",
            errno.EACCES: f"Let this user read and write in {root}.",
            errno.EPERM: f"Let this user read and write in {root}.",
            errno.ELOOP: "Strongroom follows no symbolic links below a destination.",
        }
        return strongroom.StorageError(
            f"{root} failed for {name or 'its list'}: {what}.",
            remedy=remedies.get(code or 0, "Check the disk or the share behind this folder."),
            transient=code in _PASSING,
        )


def _taken(name: str) -> strongroom.AlreadyExists:
    return strongroom.AlreadyExists(f"There is a file {name} already; it stays as it is.")


def _stored(name: str, status: os.stat_result) -> strongroom.StoredFile:
    return strongroom.StoredFile(name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))


def _is_junction(path: Path) -> bool:
    return sys.platform == "win32" and bool(getattr(path.lstat(), "st_reparse_tag", 0))


def _make(folder: Path, made: _Folders) -> None:
    """Make one folder (0700) if it is missing, for good; note it in `made`."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise strongroom.StorageError(
                f"{folder} is a file, where a folder has to be.", remedy="Move that file away."
            ) from None
        return
    made.append(folder)
    durable.sync_folder(folder.parent)


def _remove_empty(folders: _Folders) -> None:
    """Remove these folders, the last one first, as long as they are empty."""
    with suppress(OSError):
        for folder in reversed(folders):
            folder.rmdir()


@strongroom.hookimpl
def strongroom_storages() -> list[type[strongroom.Storage]]:
    return [LocalFolder]
