"""Getting an artifact back: proven before a byte of it is decoded or a database is touched.

The order is the rule (DESIGN, section 7, rule 7): the sidecar as it lies at the destination now, its
signature, the whole artifact into the spool with its checksum, and only then the plain dump.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.archive.listing import read_small
from engine.archive.sidecar import MOST_BYTES, SIDECAR_SUFFIX, Sidecar, parse
from engine.cancellation import CancelToken
from engine.contract.readers import CHUNK
from engine.errors import (
    ChecksumMismatch,
    SidecarUnreadable,
    SpoolError,
    StorageError,
    StrongroomError,
    Unproven,
    UsageError,
)
from engine.signing import Verdict
from engine.streams.chain import decode
from engine.streams.spool import Spool, free_bytes, make_spool_folder
from engine.units import size_text

if TYPE_CHECKING:
    from engine.archive.catalogue import Backup, Catalogue
    from engine.configuration.endpoints import Endpoints
    from engine.configuration.keys import Keys
    from engine.contract.checked_storage import CheckedStorage
    from engine.home import Home

OnBytes = Callable[[int, int], None]
"""`on_bytes(done, total)`: how much of the artifact has been fetched."""

PROVEN = frozenset({Verdict.VALID})
PROVEN_OR_NOT = frozenset({Verdict.VALID, Verdict.UNSIGNED, Verdict.ABSENT, Verdict.STRANGER})
"""What an explicit flag lets through; what was tampered with is never decoded."""

ATTEMPTS = 5
"""How often a fetch goes on after a passing error of the destination, from the byte where it stopped."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An artifact in the spool whose size and SHA-256 are those of its sidecar.

    `verdict` says what the signature proves; anything but valid was asked for explicitly.
    """

    backup: Backup
    sidecar: Sidecar
    verdict: Verdict
    spool: Spool
    _keys: Keys
    _cancel: CancelToken

    @property
    def identities(self) -> list[str] | None:
        """The keys at hand, for an artifact that is encrypted; None for one that is not."""
        encryption = self.sidecar.encryption
        if encryption is None:
            return None
        return self._keys.identities(encryption.recipients or None)  # a loose file names none: try all

    def raw(self) -> Generator[bytes, None, None]:
        """The artifact as it is stored."""
        reader = self.spool.reader()
        while chunk := reader.read(CHUNK):
            yield chunk

    def plain(self) -> Generator[bytes, None, None]:
        """The dump. Raises `KeyMissing`, and `StreamError` for what does not decode to its very end."""
        size = 0
        for chunk in decode(
            self.raw(),
            self.sidecar.compression_algorithm,
            self.identities,
            cancel=self._cancel,
            sha256=self.sidecar.checksum,
        ):
            size += len(chunk)
            yield chunk
        if self.sidecar.dump_size and size != self.sidecar.dump_size:  # 0: a loose file does not tell
            raise ChecksumMismatch(
                f"The dump in {self.backup.artifact} has {size} bytes instead of {self.sidecar.dump_size}."
            )


class Retriever:
    """Fetches artifacts for one execution, or for one command."""

    def __init__(self, home: Home, catalogue: Catalogue, endpoints: Endpoints, keys: Keys) -> None:
        self._home = home
        self._catalogue = catalogue
        self._endpoints = endpoints
        self._keys = keys

    def prove(self, storage: CheckedStorage, backup: Backup) -> tuple[Sidecar, Verdict]:
        """Read the sidecar as it lies there now, and say what its signature proves.

        Raises `SidecarUnreadable`, `SidecarTooNew` and `StorageError`.
        """
        sidecar = parse(read_small(storage, backup.artifact + SIDECAR_SUFFIX, MOST_BYTES))
        if not sidecar.describes(backup.artifact):
            raise SidecarUnreadable(
                f"The sidecar of {backup.artifact} belongs to another artifact, {sidecar.artifact}.",
                remedy="Use another backup, and find out who copied this one.",
            )
        return sidecar, self._catalogue.judge(sidecar)

    @contextmanager
    def fetched(
        self,
        backup: Backup,
        *,
        cancel: CancelToken,
        owner: str = "adhoc",
        accepted: Collection[Verdict] = PROVEN,
        on_bytes: OnBytes | None = None,
    ) -> Iterator[Fetched]:
        """Fetch an artifact into the spool and prove it; the spool goes at the end of the block.

        A signature whose verdict is not in `accepted` raises `Unproven` before anything is fetched.
        `owner` is the execution's ID, under which a crash's rest is found. Raises `ChecksumMismatch`,
        `StorageError`, `SidecarUnreadable`.
        """
        endpoint = self._endpoints.get("destination", backup.destination_id)
        with self._endpoints.open_storage(endpoint, cancel=cancel) as storage:
            sidecar, verdict = self.prove(storage, backup)
            if verdict not in accepted:
                raise not_proven(backup, verdict)
            with self.spooled(sidecar, cancel, owner) as spool:
                self._fill(storage, backup, sidecar, spool, cancel, on_bytes)
                yield self.as_fetched(backup, sidecar, verdict, spool, cancel)

    def as_fetched(
        self, backup: Backup, sidecar: Sidecar, verdict: Verdict, spool: Spool, cancel: CancelToken
    ) -> Fetched:
        """What lies in the spool and was compared, ready to be decoded with the keys that are here."""
        return Fetched(backup, sidecar, verdict, spool, self._keys, cancel)

    def save(
        self,
        backup: Backup,
        target: Path,
        *,
        decrypt: bool,
        cancel: CancelToken,
        unproven: bool = False,
        overwrite: bool = False,
        on_bytes: OnBytes | None = None,
    ) -> Verdict:
        """Write the artifact to a file (0600) that appears when it is whole; return the signature's verdict.

        With `decrypt` it is the plain dump, which needs a proven writer or `unproven`; without, the
        artifact as it is, whoever wrote it. Raises `UsageError` for a file that exists.
        """
        if target.exists() and not overwrite:
            raise UsageError(f"{target} exists already.", remedy="Name another file, or remove that one.")
        accepted = (PROVEN_OR_NOT if unproven else PROVEN) if decrypt else frozenset(Verdict)
        with self.fetched(backup, cancel=cancel, accepted=accepted, on_bytes=on_bytes) as fetched:
            _write(target, fetched.plain() if decrypt else fetched.raw(), overwrite=overwrite)
            return fetched.verdict

    @contextmanager
    def spooled(self, sidecar: Sidecar, cancel: CancelToken, owner: str) -> Iterator[Spool]:
        """A spool with room for an artifact; it goes at the end of the block. Raises `SpoolError`."""
        folder = make_spool_folder(self._home.spool, allow_tmpfs=self._home.spool_in_memory)
        if (free := free_bytes(folder)) < sidecar.size:
            raise SpoolError(
                f"The artifact has {size_text(sidecar.size)}, and the spool folder {folder} has "
                f"{size_text(free)} free.",
                remedy="Free some space there, or put STRONGROOM_HOME on a larger disk.",
            )
        spool = Spool(folder / f"{owner}.fetch-{secrets.token_hex(4)}", cancel)
        try:
            yield spool
        finally:
            spool.close()

    def _fill(
        self,
        storage: CheckedStorage,
        backup: Backup,
        sidecar: Sidecar,
        spool: Spool,
        cancel: CancelToken,
        on_bytes: OnBytes | None,
    ) -> None:
        attempt = 1
        while True:
            try:
                for chunk in storage.get(backup.artifact, spool.size):
                    if spool.size + len(chunk) > sidecar.size:
                        raise ChecksumMismatch(
                            f"{backup.artifact} at {backup.destination} has more than {sidecar.size} bytes."
                        )
                    spool.write(chunk)
                    if on_bytes is not None:
                        on_bytes(spool.size, sidecar.size)
                break
            except StorageError as error:
                if not error.transient or attempt == ATTEMPTS:
                    raise
                cancel.wait(2.0**attempt)
                cancel.raise_if_cancelled()
                attempt += 1
        if (spool.size, spool.sha256) != (sidecar.size, sidecar.checksum):
            raise ChecksumMismatch(
                f"{backup.artifact} at {backup.destination} is not what was written: {spool.size} bytes with "
                f"the SHA-256 {spool.sha256} instead of {sidecar.size} with {sidecar.checksum}.",
                remedy="Take the copy at another destination, or another backup of this database.",
            )
        spool.finish()


def not_proven(backup: Backup, verdict: Verdict) -> Unproven:
    """The refusal of a backup whose writer is not proven."""
    if verdict is Verdict.TAMPERED:
        return Unproven(
            f"The sidecar of {backup.artifact} at {backup.destination} {verdict.words}: the backup is not to "
            "be trusted.",
            remedy="Use another backup, and find out who changed this one. `strongroom fetch` gives the file "
            "as it is.",
        )
    return Unproven(
        f"Who wrote {backup.artifact} at {backup.destination} is not proven: its sidecar {verdict.words}.",
        remedy="Trust the installation that wrote it (`strongroom keys import`), or say --unproven if you "
        "know where the file comes from.",
    )


def _write(target: Path, chunks: Iterator[bytes], *, overwrite: bool) -> None:
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.partial")
    try:
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            if not overwrite and target.exists():
                raise UsageError(f"{target} exists already.", remedy="Name another file, or remove that one.")
            temporary.replace(target)
        except OSError as error:
            raise StrongroomError(
                f"{target} cannot be written: {error.strerror}.", remedy="Choose another place for the file."
            ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
