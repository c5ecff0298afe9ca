"""What can be asked of an SFTP server, each as one call; `Refused` is what it raises."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from plugins.storage.sftp_server import protocol as sftp
from plugins.storage.sftp_server.protocol import Attributes, Code, Fields, Refused, Space
from plugins.storage.sftp_server.session import Session

_USUAL = 32768
"""Bytes of data that every server takes in one request (the protocol's own floor)."""
_MOST = 255 << 10
"""Bytes beyond which a larger request brings nothing, and which OpenSSH allows."""
_AT_ONCE = 16
"""Folders read at the same time; servers have a hundred handles or so."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The data that one request may carry, in bytes."""

    read: int
    write: int


class Remote:
    """The server's files, by their paths there."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.sizes = self._sizes()

    def has(self, extension: str) -> bool:
        return extension in self.session.extensions

    def _sizes(self) -> Sizes:
        """What the server says that it takes, where it says so (OpenSSH 8.5 and newer)."""
        if not self.has(sftp.LIMITS):
            return Sizes(_USUAL, _USUAL)
        try:
            fields = Fields(self._extended(sftp.LIMITS, b""))
            fields.long()
            read, write = fields.long(), fields.long()
        except Refused:
            return Sizes(_USUAL, _USUAL)
        return Sizes(min(read or _USUAL, _MOST), min(write or _USUAL, _MOST))

    # -- looking -------------------------------------------------------------------------------------

    def real_path(self, path: str) -> str:
        _, body = self.session.call(sftp.REALPATH, sftp.text(path))
        return next(Fields(body).names())[0]

    def stat(self, path: str) -> Attributes:
        """What a path leads to, links followed."""
        _, body = self.session.call(sftp.STAT, sftp.text(path))
        return Fields(body).attributes()

    def look(self, paths: Sequence[str]) -> list[Attributes | Refused]:
        """What lies at these paths, links not followed; asked all at once."""
        numbers = [self.session.send(sftp.LSTAT, sftp.text(path)) for path in paths]
        found: list[Attributes | Refused] = []
        for number in numbers:
            try:
                _, body = self.session.answer(number)
            except Refused as refused:
                found.append(refused)
            else:
                found.append(Fields(body).attributes())
        return found

    def look_at(self, path: str) -> Attributes | None:
        """What lies at a path; None for nothing."""
        found = self.look([path])[0]
        if isinstance(found, Refused):
            if found.code == Code.NO_SUCH_FILE:
                return None
            raise found
        return found

    def folders(self, paths: Sequence[str]) -> list[list[tuple[str, Attributes]] | Refused]:
        """The entries of these folders, `.` and `..` left out; several are read at the same time."""
        found: list[list[tuple[str, Attributes]] | Refused] = []
        for start in range(0, len(paths), _AT_ONCE):
            found += self._folders(paths[start : start + _AT_ONCE])
        return found

    def _folders(self, paths: Sequence[str]) -> list[list[tuple[str, Attributes]] | Refused]:
        numbers = [self.session.send(sftp.OPENDIR, sftp.text(path)) for path in paths]
        results: list[list[tuple[str, Attributes]] | Refused] = []
        handles: dict[int, bytes] = {}
        for index, number in enumerate(numbers):
            try:
                handles[index] = sftp.text(Fields(self.session.answer(number)[1]).string())
                results.append([])
            except Refused as refused:
                results.append(refused)
        opened = list(handles.values())
        try:
            while handles:
                asked = {index: self.session.send(sftp.READDIR, its) for index, its in handles.items()}
                for index, number in asked.items():
                    result = results[index]
                    try:
                        names = list(Fields(self.session.answer(number)[1]).names())
                        if not isinstance(result, Refused):
                            result += [its for its in names if its[0] not in (".", "..")]
                    except Refused as refused:
                        del handles[index]
                        if refused.code != Code.END:
                            results[index] = refused
        finally:
            for handle in opened:
                self.close_later(handle)
        return results

    def space(self, path: str) -> Space | None:
        """The room on the file system; None where the server does not tell."""
        if not self.has(sftp.STATVFS):
            return None
        try:
            fields = Fields(self._extended(sftp.STATVFS, sftp.text(path)))
        except Refused:
            return None
        fields.long()
        unit, blocks, _, available = fields.long(), fields.long(), fields.long(), fields.long()
        return Space(unit * available, unit * blocks)

    # -- changing ------------------------------------------------------------------------------------

    def make_folder(self, path: str, mode: int = 0o700) -> None:
        self.session.call(sftp.MKDIR, sftp.text(path) + sftp.permissions(mode))

    def remove(self, path: str) -> None:
        self.session.call(sftp.REMOVE, sftp.text(path))

    def remove_folders(self, paths: Iterable[str]) -> None:
        """Remove these folders as far as they are empty, one after the other; what is not stays."""
        numbers = [self.session.send(sftp.RMDIR, sftp.text(path)) for path in paths]
        for number in numbers:
            try:
                self.session.answer(number)
            except Refused:
                continue

    def rename(self, old: str, new: str) -> None:
        """The protocol's own rename, which is to fail where `new` exists; OpenSSH's does, without a race."""
        self.session.call(sftp.RENAME, sftp.text(old) + sftp.text(new))

    def replace(self, old: str, new: str) -> None:
        """Rename over whatever is there, at once. Only where the server has it."""
        self._extended(sftp.POSIX_RENAME, sftp.text(old) + sftp.text(new))

    # -- open files -----------------------------------------------------------------------------------

    def open(self, path: str, flags: int, mode: int | None = None) -> bytes:
        """Open a file; return its handle as requests carry it."""
        attributes = sftp.number(0) if mode is None else sftp.permissions(mode)
        _, body = self.session.call(sftp.OPEN, sftp.text(path) + sftp.number(flags) + attributes)
        return sftp.text(Fields(body).string())

    def size_of(self, handle: bytes) -> int | None:
        """The size of an open file; None where the server does not tell."""
        try:
            _, body = self.session.call(sftp.FSTAT, handle)
        except Refused:
            return None
        return Fields(body).attributes().size

    def begin_sync(self, handle: bytes) -> int:
        """Have the server's disk hold the file; the answer to this request comes when it does.

        Only where the server has it.
        """
        return self.session.send(sftp.EXTENDED, sftp.text(sftp.FSYNC) + handle)

    def close(self, handle: bytes) -> None:
        self.session.call(sftp.CLOSE, handle)

    def close_later(self, handle: bytes) -> None:
        """Let go of a file without waiting for the answer."""
        self.session.forget(self.session.send(sftp.CLOSE, handle))

    def _extended(self, name: str, fields: bytes) -> bytes:
        return self.session.call(sftp.EXTENDED, sftp.text(name) + fields)[1]
