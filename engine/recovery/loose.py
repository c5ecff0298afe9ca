"""An artifact as a plain file, from a disk or another machine: its name and its header say what it is.

With its sidecar beside it, it is proven like any other backup. Without one, nothing says who wrote it and
whether it is whole: only what its own layers tell (age's and the compression's end marks).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from engine.archive.backups import Backup
from engine.archive.sidecar import MOST_BYTES, SIDECAR_SUFFIX, Encryption, Sidecar, parse
from engine.cancellation import CancelToken
from engine.contract.readers import CHUNK
from engine.errors import ChecksumMismatch, SidecarUnreadable, UsageError
from engine.recovery.retrieve import Fetched, Retriever
from engine.signing import Verdict
from engine.streams.compression import ALGORITHMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.contract.adapters import Source
    from engine.recovery.retrieve import OnBytes

AGE = b"age-encryption.org/v1\n"


def look_at(path: Path, source: Source, database: str | None, judge: Callable[[Sidecar], Verdict]) -> Backup:
    """What the file is, by its sidecar or else by its name and header; it is not read whole yet.

    `database` must be given where there is no sidecar. Raises `UsageError` and `SidecarUnreadable`.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{path} is no file.", remedy="Name the artifact itself.")
        with path.open("rb") as file:
            head = file.read(len(AGE))
        sidecar = _sidecar_beside(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.", remedy="Name the artifact's file."
        ) from error
    verdict = judge(sidecar) if sidecar is not None else Verdict.ABSENT
    if sidecar is None:
        sidecar = _told_by_name(path, head, found, source, database)
    return Backup("", "", str(path.parent), path.name, found.st_size, sidecar, verdict)


@contextmanager
def fetched_file(
    retriever: Retriever,
    path: Path,
    backup: Backup,
    *,
    cancel: CancelToken,
    owner: str,
    on_bytes: OnBytes | None = None,
) -> Iterator[Fetched]:
    """The file, copied into the spool and compared with its sidecar where it has one.

    The copy is what is restored: the file may change meanwhile. Raises `ChecksumMismatch`, `SpoolError`.
    """
    sidecar = backup.sidecar
    with retriever.spooled(sidecar, cancel, owner) as spool:
        try:
            with path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    cancel.raise_if_cancelled()
                    spool.write(chunk)
                    if on_bytes is not None:
                        on_bytes(spool.size, sidecar.size)
        except OSError as error:
            raise UsageError(f"{path} cannot be read to its end: {error.strerror}.") from error
        if not sidecar.checksum:
            sidecar = replace(sidecar, size=spool.size, checksum=spool.sha256)
        if (spool.size, spool.sha256) != (sidecar.size, sidecar.checksum):
            raise ChecksumMismatch(
                f"{path} is not what its sidecar tells: {spool.size} bytes with the SHA-256 {spool.sha256} "
                f"instead of {sidecar.size} with {sidecar.checksum}.",
                remedy="Take another copy.",
            )
        spool.finish()
        yield retriever.as_fetched(replace(backup, sidecar=sidecar), sidecar, backup.verdict, spool, cancel)


def _sidecar_beside(path: Path) -> Sidecar | None:
    beside = path.with_name(path.name + SIDECAR_SUFFIX)
    if not beside.exists():
        return None
    if beside.stat().st_size > MOST_BYTES:
        raise SidecarUnreadable(f"{beside} is too large for a sidecar.")
    sidecar = parse(beside.read_bytes())
    if not sidecar.describes(path.name):
        raise SidecarUnreadable(
            f"{beside} belongs to another artifact, {sidecar.artifact}.",
            remedy="Give the file its own name back, or move that sidecar away to restore it unproven.",
        )
    return sidecar


def _told_by_name(
    path: Path, head: bytes, found: os.stat_result, source: Source, database: str | None
) -> Sidecar:
    """A sidecar's worth of what can be told. Sizes of the dump (0) and the checksum ("") are not known."""
    if database is None:
        raise UsageError(
            f"{path.name} has no sidecar beside it: nothing says which database it is, who wrote it, and "
            "whether it is whole.",
            remedy="Name the database to restore it as (--as NAME), and say --unproven if you know where the "
            "file comes from.",
        )
    name = path.name.removesuffix(".age")
    algorithm = next(
        (word for word, its in ALGORITHMS.items() if its.suffix and name.endswith(its.suffix)), "none"
    )
    name = name.removesuffix(ALGORITHMS[algorithm].suffix)
    extension = source.extension_for(database)
    if not name.endswith(f".{extension}"):
        raise UsageError(
            f"{path.name} does not look like a dump of {source.title}: those end in .{extension}, and in "
            "the suffixes of compression and encryption after it.",
            remedy="Choose the source that it is of, and leave the artifact its name.",
        )
    return Sidecar(
        installation_id="",
        execution_id="",
        job_id="",
        job="",
        source="",
        engine=source.engine,
        engine_version="",
        tool_version="",
        database=database,
        set_id="",
        databases=(database,),
        artifact=path.name,
        format=extension,
        created_at=datetime.fromtimestamp(found.st_mtime, UTC),
        size=found.st_size,
        dump_size=0,
        checksum="",
        compression=algorithm,
        encryption=Encryption("age", ()) if head == AGE else None,
        trigger="manual",
        restore_command=source.restore_command(database),
    )
