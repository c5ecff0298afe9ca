"""One destination's listing, turned into rows for the cache: only what is new there is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from engine.archive.backups import Problem, Seen, backup_id, mark, sidecar_text
from engine.archive.sidecar import MOST_BYTES, SIDECAR_SUFFIX, Sidecar, parse
from engine.archive.sidefiles import LOCK_SUFFIX, PROOF_SUFFIX, read_proof
from engine.archive.sidefiles import MOST_BYTES as MOST_PROOF_BYTES
from engine.contract.checked_storage import CheckedStorage
from engine.contract.values import StoredFile
from engine.errors import SidecarTooNew, SidecarUnreadable, StorageMissing
from engine.records import CachedBackup, Endpoint
from engine.units import counted, size_text

_YOUNG = timedelta(hours=1)
"""A sidecar of the known size is read again until this long after it was written: clocks differ."""


@dataclass(slots=True)
class Listing:
    """What one destination holds. `rows` are for the cache, `problems` for people."""

    destination: Endpoint
    known: Mapping[str, CachedBackup]
    trusted: Collection[str]
    now: datetime
    rows: list[CachedBackup] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def take(self, storage: CheckedStorage) -> Listing:
        """List the destination and read what is new. Raises `StorageError` when it cannot be listed."""
        files = {file.name: file for file in storage.list()}
        for name in sorted(files):
            artifact = name.removesuffix(SIDECAR_SUFFIX)
            if artifact and artifact != name:
                row = self._row(storage, artifact, files)
                if row is not None:
                    self.rows.append(row)
        if self.known and not files:
            # They stay known, so that the next run and the next verification miss them as well.
            gone = "It is not there any more, and nobody deleted it from here."
            self.rows = [replace(row, problem=gone) for row in self.known.values()]
            self._tell(
                f"{counted(len(self.known), 'backup')} should be here, and nothing is there now.",
                remedy="Is it the right disk, folder or bucket? Look before the next run.",
            )
        return self

    def _row(
        self, storage: CheckedStorage, artifact: str, files: Mapping[str, StoredFile]
    ) -> CachedBackup | None:
        stored, its_sidecar = files.get(artifact), files[artifact + SIDECAR_SUFFIX]
        identity = backup_id(self.destination.id, artifact)
        before = self.known.get(identity)
        try:
            text = self._text(storage, its_sidecar, before)
        except StorageMissing:
            return None  # deleted while we looked
        row = CachedBackup(
            id=identity,
            destination_id=self.destination.id,
            artifact=artifact,
            size=0 if stored is None else stored.size,
            sidecar=text,
            seen_at=self.now,
            locked=artifact + LOCK_SUFFIX in files,
        )
        try:
            sidecar = parse(text.encode())
        except (SidecarUnreadable, SidecarTooNew) as error:
            self._tell(f"{artifact}: {error.message}", artifact, error.remedy)
            return replace(row, problem=error.message)
        if not sidecar.describes(artifact):
            message = f"The sidecar is that of another artifact, {sidecar.artifact}."
            self._tell(f"{artifact}: {message}", artifact, "Find out who copied it there.")
            return replace(row, problem=message)
        if problem := size_problem(sidecar, None if stored is None else stored.size):
            self._tell(f"{artifact}: {problem}", artifact, "Use another copy, and find out what happened.")
        seen = self._seen(storage, sidecar, files.get(artifact + PROOF_SUFFIX), before)
        return replace(
            row,
            job_id=sidecar.job_id,
            set_id=sidecar.set_id,
            created_at=sidecar.created_at,
            proof=seen.to_row(),
            size=row.size if stored is not None else -1,
        )

    def _text(self, storage: CheckedStorage, file: StoredFile, before: CachedBackup | None) -> str:
        if (
            before is not None
            and not before.problem
            and len(before.sidecar.encode()) == file.size
            and file.modified < before.seen_at - _YOUNG
        ):
            return before.sidecar
        return sidecar_text(read_small(storage, file.name, MOST_BYTES))

    def _seen(
        self,
        storage: CheckedStorage,
        sidecar: Sidecar,
        file: StoredFile | None,
        before: CachedBackup | None,
    ) -> Seen:
        if file is None:
            return Seen()
        if before is not None and (known := Seen.read(before)).file == mark(file):
            return known
        try:
            data = read_small(storage, file.name, MOST_PROOF_BYTES)
        except StorageMissing:
            return Seen()
        except SidecarUnreadable as error:
            data, problem = b"", error.message
        else:
            problem = ""
        proof, reason = read_proof(data, checksum=sidecar.checksum, trusted=self.trusted)
        if proof is None:
            self._tell(f"{file.name} counts for nothing: {problem or reason}", sidecar.artifact)
        return Seen.of(proof, file)

    def _tell(self, message: str, artifact: str = "", remedy: str = "") -> None:
        self.problems.append(Problem(self.destination.name, message, remedy, artifact))


def size_problem(sidecar: Sidecar, size: int | None) -> str:
    """What a stored artifact's size alone shows; None is for one that is not there."""
    if size is None:
        return "The artifact is missing."
    if size != sidecar.size:
        return f"The artifact has {size_text(size)} ({size} bytes) instead of {sidecar.size} bytes."
    return ""


def read_small(storage: CheckedStorage, name: str, most: int) -> bytes:
    """A small file, whole. Raises `SidecarUnreadable` for one larger than `most` bytes."""
    data = bytearray()
    for chunk in storage.get(name):
        data += chunk
        if len(data) > most:
            raise SidecarUnreadable(f"{name} is larger than {most} bytes.")
    return bytes(data)
