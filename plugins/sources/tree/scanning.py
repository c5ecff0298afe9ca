"""Reading a tar stream's headers as it goes by: what is in it, whether it is whole, and whether it is safe.

Formats: POSIX pax and its ustar headers, with GNU's long names, as tar and bsdtar write them.
"""

from __future__ import annotations

import hashlib
from typing import Any

from strongroom import DumpIncomplete, Fingerprint, SourceError

_BLOCK = 512
_FOLDER, _HARD_LINK, _LINK = b"5", b"1", b"2"
_FILES = (b"0", b"\0", b"7")
_SMALL = 1 << 20
"""Bytes of a pax header or a long name at most; more is no name."""


class TarScanner:
    """Takes a stream's chunks. Raises `DumpIncomplete` for what is no tar, else `SourceError`.

    With `sums`, what it holds is hashed as well, and there is a fingerprint at the end.
    """

    def __init__(self, *, sums: bool) -> None:
        self._sums = sums
        self.files = self.folders = self.links = self.others = 0
        self.size = 0
        self._names = self._content = 0
        self.is_ended = False
        self._rest = b""
        self._left = 0  # bytes of a member that are still to come, and of its padding
        self._padding = 0
        self._digest: Any = None
        self._kept: bytearray | None = None  # a header of several blocks, being gathered
        self._kept_type = b""
        self._zeros = 0
        self._next: dict[str, str] = {}

    def feed(self, chunk: bytes) -> None:
        """Look at what a chunk holds."""
        data = memoryview(self._rest + chunk if self._rest else chunk)
        at = 0
        while at < len(data) and not self.is_ended:
            if self._left:
                at += self._body(data[at : at + self._left])
            elif self._padding:
                skipped = min(self._padding, len(data) - at)
                self._padding -= skipped
                at += skipped
            elif len(data) - at < _BLOCK:
                break
            else:
                self._header(bytes(data[at : at + _BLOCK]))
                at += _BLOCK
        self._rest = b"" if self.is_ended else bytes(data[at:])

    def finish(self) -> None:
        """Say that the stream has ended. Raises `DumpIncomplete` unless its own end mark came before."""
        if not self.is_ended:
            raise DumpIncomplete(
                "The archive lacks its end mark: it is not whole.", remedy="Restore another backup."
            )

    def fingerprint(self) -> Fingerprint:
        """What is in it, and sums over all names and all contents, which do not depend on the order."""
        counts = {"files": self.files, "folders": self.folders, "links": self.links, "bytes": self.size}
        if self.others:
            counts["other"] = self.others
        sums = {"sum of names": self._names, "sum of contents": self._content}
        return Fingerprint({**counts, **sums}, consistent=True, of="measures")

    # ------------------------------------------------------------------------------- small parts

    def _body(self, part: memoryview) -> int:
        if self._digest is not None:
            self._digest.update(part)
        if self._kept is not None:
            self._kept += part
        self._left -= len(part)
        if not self._left:
            self._end_of_member()
        return len(part)

    def _end_of_member(self) -> None:
        if self._digest is not None:
            self._content = (self._content + _number(self._digest.digest())) % _MOST
            self._digest = None
        if self._kept is not None:
            self._read_extended(bytes(self._kept))
            self._kept = None

    def _header(self, block: bytes) -> None:
        if not any(block):
            self._zeros += 1
            self.is_ended = self._zeros == 2
            return
        self._zeros = 0
        if not _is_header(block):
            raise DumpIncomplete("What came is not a tar archive.", remedy="Restore another backup.")
        kind = block[156:157]
        size = int(self._next.get("size", "0")) or _number_of(block[124:136])
        if kind in (b"x", b"g", b"L", b"K"):
            size = _number_of(block[124:136])
            if size > _SMALL:
                raise DumpIncomplete(
                    "A name in the archive is longer than any.", remedy="Restore another backup."
                )
            self._kept, self._kept_type = bytearray(), kind
        else:
            size = self._member(block, kind, size)
        self._left, self._padding = size, -size % _BLOCK
        if not size:
            self._end_of_member()

    def _member(self, block: bytes, kind: bytes, size: int) -> int:
        """Count a member; return the bytes that follow it."""
        path = self._next.get("path") or _name(block)
        link = self._next.get("linkpath") or _text(block[157:257])
        self._next = {}
        _keep_inside(path)
        shown = path.rstrip("/").removeprefix("./") or "."
        if kind in _FILES:
            self.files += 1
            self.size += size
            self._digest = hashlib.sha256() if self._sums else None
        elif kind == _FOLDER:
            self.folders += 1
        elif kind == _HARD_LINK:
            _keep_inside(link)
            self.files += 1
        elif kind == _LINK:
            self.links += 1
        else:
            self.others += 1
        if not self._sums:
            return size if kind in _FILES else 0
        # Which of the names of one file comes first, and so counts as it, is nobody's choice.
        what = "file" if kind in (*_FILES, _HARD_LINK) else kind.decode("latin-1")
        mode = "" if kind == _LINK else f"{_number_of(block[100:108]) & 0o7777:o}"
        target = link if kind == _LINK else ""
        entry = "\0".join((what, shown, mode, target)).encode("utf-8", "surrogateescape")
        self._names = (self._names + _number(hashlib.sha256(entry).digest())) % _MOST
        return size if kind in _FILES else 0

    def _read_extended(self, data: bytes) -> None:
        if self._kept_type == b"L":
            self._next["path"] = _text(data)
        elif self._kept_type == b"K":
            self._next["linkpath"] = _text(data)
        elif self._kept_type == b"x":
            self._next.update(_pax(data))


_MOST = 1 << 53
"""Sums are kept below this, so that JSON holds them exactly."""


def _number(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big") % _MOST


def _is_header(block: bytes) -> bool:
    """Whether the header's own checksum says that it is one."""
    total = sum(block[:148]) + sum(block[156:]) + 8 * 32
    try:
        return total == _number_of(block[148:156])
    except ValueError:
        return False


def _number_of(field: bytes) -> int:
    if field[0] & 0x80:  # GNU's way for what octal digits do not hold
        return int.from_bytes(field, "big") - (1 << (8 * len(field) - 1))
    return int(field.strip(b" \0") or b"0", 8)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _name(block: bytes) -> str:
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    return f"{prefix}/{_text(block[:100])}" if prefix else _text(block[:100])


def _pax(data: bytes) -> dict[str, str]:
    """The records of a pax header that matter here: `30 path=...` and a line feed, its length in front."""
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        space = data.find(b" ", at)
        length = int(data[at:space]) if space > at and data[at:space].isdigit() else 0
        if length <= 0:
            break
        key, _, value = data[space + 1 : at + length - 1].partition(b"=")
        if key in (b"path", b"linkpath", b"size"):
            found[key.decode()] = value.decode("utf-8", "surrogateescape")
        at += length
    return found


def _keep_inside(path: str) -> None:
    if path.startswith("/") or ".." in path.split("/"):
        raise SourceError(
            f"The archive holds {path!r}, which would lie outside the folder.",
            remedy="No Strongroom writes such an archive: look at where this one comes from.",
        )
