"""The catalogue: which backups there are, at every destination, and the explorer's verbs on them.

The storages are the truth and the local store is a cache of them, so a fresh installation that is
pointed at a destination finds every backup there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from engine.archive.backups import Backup, Problem, Seen, backup_id
from engine.archive.listing import Listing, read_small, size_problem
from engine.archive.sidecar import MOST_BYTES, SIDECAR_SUFFIX, Sidecar, parse
from engine.archive.sidefiles import LOCK_SUFFIX, PROOF_SUFFIX, Check, Proof, make_lock
from engine.cancellation import CancelToken
from engine.clock import Clock, utc_now
from engine.configuration.opening import Alive
from engine.contract.adapters import no_sign
from engine.contract.checked_storage import CheckedStorage
from engine.contract.readers import BytesReader
from engine.contract.values import Leftover
from engine.errors import (
    IntegrityError,
    NotFound,
    SidecarTooNew,
    SidecarUnreadable,
    StorageError,
    StorageMissing,
    StrongroomError,
    Unproven,
    UsageError,
)
from engine.records import CachedBackup, Endpoint
from engine.signing import Verdict, among

if TYPE_CHECKING:
    from engine.configuration.endpoints import Endpoints
    from engine.configuration.keys import Keys
    from engine.store.database import Store

__all__ = ["Backup", "Catalogue", "Problem", "backup_id"]

Backups = list[Backup]
Problems = list[Problem]


_AHEAD = timedelta(hours=1)
"""A backup that is dated later than this from now was written by a clock that was wrong."""


class Catalogue:
    """The backups of all destinations. Lists and looks without a key; locking and proving sign."""

    def __init__(self, store: Store, endpoints: Endpoints, keys: Keys, *, clock: Clock = utc_now) -> None:
        self._store = store
        self._endpoints = endpoints
        self._keys = keys
        self._clock = clock

    # -- looking -------------------------------------------------------------------------------------

    def refresh(
        self,
        destination: str | None = None,
        *,
        cancel: CancelToken | None = None,
        alive: Alive = no_sign,
    ) -> Problems:
        """List one destination (by name or ID) or all, and remember what is there; return what is wrong.

        A destination that cannot be listed is a problem that is `unreachable`, and keeps what was
        remembered of it. An artifact without a sidecar is no backup: it is neither listed nor a problem.
        """
        if destination is not None:
            places = [self._endpoints.get("destination", destination)]
        else:
            places = self._endpoints.all("destination")
        return [problem for place in places for problem in self._refresh(place, cancel, alive)]

    def _refresh(self, place: Endpoint, cancel: CancelToken | None, alive: Alive) -> Problems:
        known = {row.id: row for row in self._store.backups.list(destination_id=place.id)}
        listing = Listing(place, known, self._keys.trusted(), self._clock())
        try:
            with self._endpoints.open_storage(place, cancel=cancel, alive=alive) as storage:
                listing.take(storage)
        except StrongroomError as error:
            return [Problem(place.name, error.message, error.remedy, unreachable=True)]
        self._store.backups.replace_destination(place.id, listing.rows)
        return listing.problems

    def list(self, destination: str | None = None, job: str | None = None, refresh: bool = True) -> Backups:
        """The backups, newest first; `destination` and `job` by name or ID.

        With `refresh` the destinations are asked first: when none of those asked answers, that is
        raised, for an empty list would look like an answer. Sidecars that cannot be read are not in the
        list; `refresh` names them.
        """
        if refresh:
            problems = self.refresh(destination)
            asked = 1 if destination is not None else len(self._endpoints.all("destination"))
            lost = [problem for problem in problems if problem.unreachable]
            if asked and len(lost) == asked:
                raise StorageError("; ".join(map(str, lost)), remedy=lost[0].remedy)
        place = None if destination is None else self._endpoints.get("destination", destination).id
        backups = self._backups(self._store.backups.list(destination_id=place))
        if job is not None:
            backups = [backup for backup in backups if job in (backup.sidecar.job_id, backup.sidecar.job)]
        return sorted(backups, key=lambda backup: backup.order, reverse=True)

    def get(self, backup_id: str) -> Backup:
        """The backup of that ID; the destinations are asked when it is not known here.

        Raises `NotFound`, and `SidecarUnreadable` or `SidecarTooNew` for one whose sidecar cannot be read.
        """
        row = self._store.backups.find(backup_id)
        if row is None:
            self.refresh()
            row = self._store.backups.get(backup_id)
        if row.problem:
            with suppress(SidecarUnreadable):
                parse(row.sidecar.encode())  # says best what is wrong, a newer version above all
            raise SidecarUnreadable(
                f"{row.artifact}: {row.problem}",
                remedy="Use another backup. The artifact may still be whole: standard tools read it.",
            )
        return self._backups([row])[0]

    def unreadable(self, destination: str | None = None) -> Sequence[CachedBackup]:
        """The backups, as last seen, whose sidecar cannot be read: listed nowhere, and never deleted."""
        place = None if destination is None else self._endpoints.get("destination", destination).id
        return [row for row in self._store.backups.list(destination_id=place) if row.problem]

    def judge(self, sidecar: Sidecar) -> Verdict:
        """What the sidecar's signature proves, in the light of the job's other backups."""
        return self._judge(sidecar, self._keys.trusted(), {})

    def _judge(self, sidecar: Sidecar, trusted: Collection[str], signing_jobs: dict[str, bool]) -> Verdict:
        """`signing_jobs` remembers, for one list, which jobs have a signed backup."""
        verdict = sidecar.check(trusted)
        if verdict is not Verdict.UNSIGNED:
            return verdict
        if sidecar.job_id not in signing_jobs:
            rows = self._store.backups.list(job_id=sidecar.job_id)
            others = [found.check(()) for row in rows if (found := _parsed(row)) is not None]
            signing_jobs[sidecar.job_id] = among(verdict, others) is not verdict
        return Verdict.TAMPERED if signing_jobs[sidecar.job_id] else verdict

    def _backups(self, rows: Iterable[CachedBackup]) -> Backups:
        places = {place.id: place.name for place in self._endpoints.all("destination")}
        trusted, signing_jobs = self._keys.trusted(), dict[str, bool]()
        found = []
        for row in rows:
            sidecar = _parsed(row)
            if sidecar is None or row.destination_id not in places:
                continue
            seen = Seen.read(row)
            found.append(
                Backup(
                    id=row.id,
                    destination_id=row.destination_id,
                    destination=places[row.destination_id],
                    artifact=row.artifact,
                    size=max(row.size, 0),
                    sidecar=sidecar,
                    verdict=self._judge(sidecar, trusted, signing_jobs),
                    locked=row.locked,
                    verification=seen.verification,
                    drill=seen.drill,
                    problem=size_problem(sidecar, None if row.size < 0 else row.size),
                )
            )
        return found

    # -- acting --------------------------------------------------------------------------------------

    def lock(self, backup_id: str, reason: str = "") -> None:
        """Lock a backup: neither retention nor `delete` of any installation removes it. Twice is fine."""
        backup = self.get(backup_id)
        data = make_lock(
            backup.artifact,
            backup.sidecar.checksum,
            at=self._clock(),
            installation_id=self._store.installation_id,
            signer=self._keys.signer(),
            reason=reason,
        )
        with self._open(backup) as storage:
            self._put_small(storage, backup, LOCK_SUFFIX, data)
        self._store.backups.set_locked(backup.id, True)

    def unlock(self, backup_id: str) -> None:
        """Take a lock away. One that is not there is fine."""
        backup = self.get(backup_id)
        with self._open(backup) as storage:
            storage.delete(backup.artifact + LOCK_SUFFIX)
        self._store.backups.set_locked(backup.id, False)

    def delete(self, backup_id: str) -> None:
        """Delete a backup for good.

        Refused (`UsageError`) for a locked one, and for the newest good one of its job and database at
        its destination, unless it is dated in the future and there is another; `SidecarUnreadable` for one
        whose sidecar cannot be read (DESIGN, section 7).
        """
        place = self.get(backup_id).destination
        for problem in self.refresh(place):
            if problem.unreachable:
                raise StorageError(str(problem), remedy=problem.remedy)
        backup = self.get(backup_id)
        if backup.locked:
            raise _locked(backup)
        if backup.verdict is Verdict.TAMPERED:
            raise Unproven(
                f"The sidecar of {backup.artifact} {backup.verdict.words}: who wrote it is not known, so it "
                "is not deleted.",
                remedy="Find out who changed it; then remove the files by hand.",
            )
        rivals = [its for its in self.list(place, refresh=False) if _rivals(its, backup)]
        # One that a clock ahead of time has dated would stay the newest until that day.
        is_ahead = backup.sidecar.created_at > self._clock() + _AHEAD
        if backup.good and not any(its.order > backup.order for its in rivals) and not (is_ahead and rivals):
            raise UsageError(
                f"{backup.artifact} is the newest good backup of {backup.sidecar.database} by the job "
                f"{backup.sidecar.job!r} at {backup.destination}, which is never deleted.",
                remedy="Run the job first: then there is a newer one.",
            )
        with self._open(backup) as storage:
            self.erase(storage, backup)

    def erase(self, storage: CheckedStorage, backup: Backup) -> None:
        """Remove a backup's files, for `delete` and for retention, after a last look at its lock and sidecar.

        The artifact goes first: if that is refused, or we die before the rest, what is left is still
        seen, and says what it was.
        """
        if exists(storage, backup.artifact + LOCK_SUFFIX):
            self._store.backups.set_locked(backup.id, True)
            raise _locked(backup)
        try:
            sidecar = parse(read_small(storage, backup.artifact + SIDECAR_SUFFIX, MOST_BYTES))
        except StorageMissing:
            raise self._gone(backup) from None
        if sidecar != backup.sidecar:
            raise IntegrityError(
                f"The sidecar of {backup.artifact} has changed since it was listed, so nothing is deleted.",
                remedy="List the backups again, and find out who changed it.",
            )
        storage.delete(backup.artifact)
        storage.delete(backup.artifact + PROOF_SUFFIX)
        storage.delete(backup.artifact + SIDECAR_SUFFIX)
        self._store.backups.delete(backup.id)

    def record(self, backup: Backup, check: Check) -> str:
        """Remember a verification or drill, here and beside the artifact; return what kept it from there.

        The answer is empty when it was written. A check stands whether or not it could be written down.
        """
        before = Proof(backup.artifact, backup.sidecar.checksum, backup.verification, backup.drill)
        after, problem, mark = before.with_check(check), "", None
        if after is not before:
            try:
                with self._open(backup) as storage:
                    self._put_small(storage, backup, PROOF_SUFFIX, after.to_json(self._keys.signer()))
                    mark = storage.stat(backup.artifact + PROOF_SUFFIX)
            except StrongroomError as error:
                problem = error.message
        self._store.backups.set_proof(backup.id, Seen.of(after, mark).to_row())
        return problem

    def _open(self, backup: Backup) -> AbstractContextManager[CheckedStorage]:
        return self._endpoints.open_storage(self._endpoints.get("destination", backup.destination_id))

    def _put_small(self, storage: CheckedStorage, backup: Backup, suffix: str, data: bytes) -> None:
        """Write a small file beside an artifact, in place of the one before; on record while it lasts.

        Only where the backup still is: a folder or a bucket that has gone must not come back by it.
        """
        if not exists(storage, backup.artifact + SIDECAR_SUFFIX):
            raise self._gone(backup)
        records: list[int] = []

        def begun(leftover: Leftover) -> None:
            records.append(
                self._store.leftovers.add(
                    execution_id=f"beside-{backup.id}",
                    destination_id=backup.destination_id,
                    temporary_name=leftover.temporary_name,
                    upload_id=leftover.upload_id,
                    final_name="",
                )
            )

        storage.put(backup.artifact + suffix, BytesReader(data), begun=begun, overwrite=True)
        for number in records:
            self._store.leftovers.remove(number)

    def _gone(self, backup: Backup) -> NotFound:
        self._store.backups.delete(backup.id)
        return NotFound(
            f"{backup.artifact} is not at {backup.destination} any more.",
            remedy="`strongroom backups` shows what is there.",
        )


def exists(storage: CheckedStorage, name: str) -> bool:
    """Whether a file is there. Raises `StorageError` when that cannot be told."""
    try:
        storage.stat(name)
    except StorageMissing:
        return False
    return True


def _rivals(other: Backup, backup: Backup) -> bool:
    """Whether `other` could stand in for `backup`: as good, of the same job and database, as well proven."""
    mine, its = backup.sidecar, other.sidecar
    return (
        other.id != backup.id
        and other.good
        and other.verdict is backup.verdict
        and (its.job_id, its.database) == (mine.job_id, mine.database)
    )


def _locked(backup: Backup) -> UsageError:
    return UsageError(
        f"{backup.artifact} at {backup.destination} is locked.",
        remedy=f"Unlock it first, if that is what you mean: strongroom unlock {backup.id}",
    )


def _parsed(row: CachedBackup) -> Sidecar | None:
    if row.problem:
        return None
    try:
        return parse(row.sidecar.encode())
    except (SidecarUnreadable, SidecarTooNew):
        return None
