"""An export as a tar archive: written file by file, and unpacked into a folder that takes nothing else."""

from __future__ import annotations

import os
import tarfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from strongroom import CHUNK, CancelToken, DumpIncomplete, SourceError

SCHEMA, LOAD, ROWS = "schema.sql", "load.sql", ".parquet"
_REMEDY = "Restore another backup of this job."
_MOST_SQL = 64 << 20


def archive(folder: Path, cancel: CancelToken) -> Iterator[bytes]:
    """The folder's files as a pax archive, load.sql last. Each is removed when it has been read."""
    names = sorted(path.name for path in folder.iterdir())
    if SCHEMA not in names or LOAD not in names:
        raise DumpIncomplete("DuckDB's export is not whole.", remedy="Run the job again.")
    rows = [name for name in names if name.endswith(ROWS)]
    size = 0
    for name in (SCHEMA, *rows, LOAD):
        path = folder / name
        about = tarfile.TarInfo(name)
        about.size, about.mode, about.mtime = path.stat().st_size, 0o644, int(time.time())
        head = about.tobuf(tarfile.PAX_FORMAT)
        yield head
        with path.open("rb") as file:
            left = about.size
            while left:
                cancel.raise_if_cancelled()
                data = file.read(min(CHUNK, left))
                if not data:
                    raise DumpIncomplete(f"{name} shrank while it was read.", remedy="Run the job again.")
                left -= len(data)
                yield data
        path.unlink()
        padding = -about.size % tarfile.BLOCKSIZE
        size += len(head) + about.size + padding
        if padding:
            yield bytes(padding)
    yield bytes(2 * tarfile.BLOCKSIZE + -(size + 2 * tarfile.BLOCKSIZE) % tarfile.RECORDSIZE)


class _Reader:
    """Chunks as the file that tarfile reads, with the size and the end of all of them."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""
        self.size = 0
        self.tail = b""

    def read(self, size: int = CHUNK) -> bytes:
        parts, have = [self._rest], len(self._rest)
        while have < size and (chunk := next(self._chunks, None)) is not None:
            self.size += len(chunk)
            self.tail = (self.tail + chunk[-1024:])[-1024:]
            parts.append(chunk)
            have += len(chunk)
        data = b"".join(parts)
        self._rest = data[size:]
        return data[:size]


def unpack(chunks: Iterable[bytes], folder: Path, cancel: CancelToken) -> None:
    """Write an archive's files into an empty folder.

    Raises `DumpIncomplete` for an archive that is cut or none, and `SourceError` for one that holds anything
    but plain files of an export.
    """
    reader = _Reader(chunks)
    try:
        with tarfile.open(fileobj=reader, mode="r|") as archive:  # type: ignore[call-overload]
            for member in archive:
                _take(archive, member, folder, cancel)
    except tarfile.TarError as error:
        raise DumpIncomplete(f"The export is not whole: {error}.", remedy=_REMEDY) from error
    while reader.read():
        cancel.raise_if_cancelled()
    if reader.size % tarfile.RECORDSIZE or reader.tail.strip(b"\0"):
        raise DumpIncomplete("The export's archive lacks its end.", remedy=_REMEDY)
    if missing := [name for name in (SCHEMA, LOAD) if not (folder / name).exists()]:
        raise DumpIncomplete(f"The export lacks {' and '.join(missing)}.", remedy=_REMEDY)


def _take(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, cancel: CancelToken) -> None:
    name = member.name.removeprefix("./")
    plain = member.isreg() and not set(name) & {"/", "\\", "\0"} and not name.startswith(".")
    if not plain or not (name in (SCHEMA, LOAD) or name.endswith(ROWS)):
        raise SourceError(f"The archive holds {name!r}, which is no part of an export.", remedy=_REMEDY)
    if name in (SCHEMA, LOAD) and member.size > _MOST_SQL:
        raise SourceError(f"The export's {name} has {member.size:,} bytes.", remedy=_REMEDY)
    source = archive.extractfile(member)
    assert source is not None  # noqa: S101 - it is a plain file
    try:
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            while data := source.read(CHUNK):
                cancel.raise_if_cancelled()
                file.write(data)
    except FileExistsError as error:
        raise SourceError(f"The archive holds {name!r} twice.", remedy=_REMEDY) from error
    except OSError as error:
        raise SourceError(
            f"The export could not be unpacked: {error.strerror}.",
            remedy="Make room in Strongroom's scratch folder (under STRONGROOM_HOME).",
        ) from error
