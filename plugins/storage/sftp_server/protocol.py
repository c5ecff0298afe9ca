"""The SFTP protocol, version 3, as bytes (draft-ietf-secsh-filexfer-02, and OpenSSH's PROTOCOL for more).

Spoken here rather than by the SSH library: that one keeps the server's codes to itself, knows none of
OpenSSH's extensions, and has no bound on what is under way.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

INIT, VERSION = 1, 2
OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT = 3, 4, 5, 6, 7, 8
OPENDIR, READDIR, REMOVE, MKDIR, RMDIR = 11, 12, 13, 14, 15
REALPATH, STAT, RENAME = 16, 17, 18
STATUS, HANDLE, DATA, NAME, ATTRS = 101, 102, 103, 104, 105
EXTENDED, EXTENDED_REPLY = 200, 201

FLAG_READ, FLAG_WRITE, FLAG_CREATE, FLAG_EXCLUSIVE = 0x01, 0x02, 0x08, 0x20

POSIX_RENAME = "posix-rename@openssh.com"
FSYNC = "fsync@openssh.com"
STATVFS = "statvfs@openssh.com"
LIMITS = "limits@openssh.com"

_SIZE, _OWNER, _PERMISSIONS, _TIMES, _EXTENDED = 0x1, 0x2, 0x4, 0x8, 0x80000000
_KIND, _FOLDER, _REGULAR, _LINK = 0o170000, 0o040000, 0o100000, 0o120000
_KINDS = {b"d": _FOLDER, b"l": _LINK, b"-": _REGULAR}


class Code(IntEnum):
    """What a server answers to a request that it did not fulfil."""

    END = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    BAD_MESSAGE = 5
    UNSUPPORTED = 8


class Refused(Exception):
    """A request that the server did not fulfil: its code, and its words (often the code's name alone)."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.words = words


class Nonsense(Exception):
    """Bytes that are no SFTP."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a server tells of a file; None for what it leaves out. `modified` in seconds of Unix time."""

    size: int | None = None
    mode: int | None = None
    modified: int | None = None

    @property
    def is_folder(self) -> bool:
        return self.mode is not None and self.mode & _KIND == _FOLDER

    @property
    def is_file(self) -> bool:
        """Some servers tell no kind at all; what is neither folder nor link passes for a file."""
        return self.mode is None or self.mode & _KIND in (_REGULAR, 0)

    @property
    def is_link(self) -> bool:
        return self.mode is not None and self.mode & _KIND == _LINK


@dataclass(frozen=True, slots=True)
class Space:
    """Of the file system that a path lies on: the bytes that this user may still write, and all of them."""

    free: int
    total: int


def text(value: str | bytes) -> bytes:
    """A string as the protocol writes it."""
    data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    return struct.pack(">I", len(data)) + data


def number(value: int) -> bytes:
    return struct.pack(">I", value)


def long(value: int) -> bytes:
    return struct.pack(">Q", value)


def permissions(mode: int) -> bytes:
    """Attributes that set a mode and nothing else."""
    return struct.pack(">II", _PERMISSIONS, mode)


class Fields:
    """Takes an answer apart, field by field. Raises `Nonsense` where it is too short."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self._at = at

    @property
    def at_end(self) -> bool:
        return self._at >= len(self._data)

    def _take(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        if len(part) != size:
            raise Nonsense("an answer is cut short")
        self._at += size
        return part

    def number(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def long(self) -> int:
        return int.from_bytes(self._take(8), "big")

    def string(self) -> bytes:
        return self._take(self.number())

    def text(self) -> str:
        return self.string().decode("utf-8", "surrogateescape")

    def attributes(self) -> Attributes:
        flags = self.number()
        size = self.long() if flags & _SIZE else None
        if flags & _OWNER:
            self._take(8)
        mode = self.number() if flags & _PERMISSIONS else None
        modified = None
        if flags & _TIMES:
            self.number()
            modified = self.number()
        if flags & _EXTENDED:
            for _ in range(self.number()):
                self.string()
                self.string()
        return Attributes(size, mode, modified)

    def names(self) -> Iterator[tuple[str, Attributes]]:
        """The entries of a folder. Between name and attributes stands a line as `ls -l` prints it."""
        for _ in range(self.number()):
            name, line, found = self.text(), self.string(), self.attributes()
            if (found.mode or 0) & _KIND == 0 and line[:1] in _KINDS:
                found = replace(found, mode=(found.mode or 0) | _KINDS[line[:1]])
            yield name, found
