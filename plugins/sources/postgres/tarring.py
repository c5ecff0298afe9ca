"""Look at a tar stream's headers as it goes by, so that nothing but what is expected reaches tar.

Plain members alone: ustar's headers, with GNU's way of writing large sizes, as GNU tar, bsdtar and
pg_basebackup write them for short names. What is anything else is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from strongroom import DumpIncomplete, SourceError

BLOCK = 512


@dataclass(frozen=True, slots=True)
class Member:
    """One entry: its path, its kind ("0" file, "5" folder, "2" link ...), its bytes."""

    path: str
    kind: str
    size: int


def refused(what: str) -> SourceError:
    """The error for an archive that nobody of ours has written."""
    return SourceError(
        f"The archive holds {what}.",
        remedy="No Strongroom writes such an archive: look at where this one comes from.",
    )


def incomplete(words: str) -> DumpIncomplete:
    """The error for an archive that is cut, or none."""
    return DumpIncomplete(words, remedy="Restore another backup.")


def watched(
    chunks: Iterable[bytes],
    allow: Callable[[Member], None],
    *,
    keep: str = "",
    kept: bytearray | None = None,
) -> Iterator[bytes]:
    """Pass the stream on, each header shown to `allow` before its bytes go out; `allow` raises.

    Raises `DumpIncomplete` at the end when tar's own end (two blocks of zeros) has not come. The bytes of
    the member `keep` are added to `kept`.
    """
    rest = b""
    left = padding = zeros = 0
    keeping = False
    for chunk in chunks:
        data = memoryview(rest + chunk if rest else chunk)
        at = 0
        while at < len(data) and zeros < 2:
            if left:
                taken = min(left, len(data) - at)
                if keeping and kept is not None:
                    kept += data[at : at + taken]
                left -= taken
                at += taken
            elif padding:
                taken = min(padding, len(data) - at)
                padding -= taken
                at += taken
            elif len(data) - at < BLOCK:
                break
            else:
                block = bytes(data[at : at + BLOCK])
                at += BLOCK
                if not any(block):
                    zeros += 1
                    continue
                zeros = 0
                member = _member(block)
                allow(member)
                left, padding = member.size, -member.size % BLOCK
                keeping = bool(keep) and member.path == keep
        # A header that is not whole yet waits, so that tar sees none that has not been looked at.
        shown = len(data) if zeros == 2 else at
        if shown:
            yield (rest + chunk)[:shown]
        rest = bytes(data[shown:])
    if zeros < 2:
        raise incomplete("The archive lacks its end mark: it is not whole.")


def _member(block: bytes) -> Member:
    total = sum(block[:148]) + sum(block[156:]) + 8 * 32
    try:
        if total != _number(block[148:156]):
            raise ValueError
        size = _number(block[124:136])
    except ValueError:
        raise incomplete("What came is not a tar archive, or a damaged one.") from None
    kind = block[156:157].replace(b"\0", b"0").decode("latin-1")
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    path = f"{prefix}/{_text(block[:100])}" if prefix else _text(block[:100])
    if kind not in "0257":
        raise refused(f"{path!r}, which is neither a file nor a folder")
    return Member(path, "0" if kind == "7" else kind, size if kind in "07" else 0)


def _number(field: bytes) -> int:
    if field[0] & 0x80:  # GNU's way for what octal digits do not hold
        size = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if size >= 1 << 62:
            raise ValueError
        return size
    return int(field.strip(b" \0") or b"0", 8)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")
