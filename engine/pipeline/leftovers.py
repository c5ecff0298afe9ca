"""What an upload may leave behind: recorded before its first byte, removed by that record alone.

A file is never removed because it lacks a sidecar: it may be somebody else's. A record names the
temporary file and the artifact's own name, which is unique by construction; only when that name has no
sidecar either is the artifact removed with it.

The artifact's own name is removed only when this run will not put it again. Between two attempts nothing but
what is unfinished goes: so a removal that reaches the destination late, long after its connection was given
up, can never take what a later attempt has stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from engine.archive.sidecar import SIDECAR_SUFFIX
from engine.cancellation import CancelToken
from engine.contract.checked_storage import CheckedStorage
from engine.contract.values import Leftover
from engine.errors import Cancelled, StorageMissing
from engine.pipeline.attempt import Attempt

if TYPE_CHECKING:
    from engine.configuration.endpoints import Endpoints
    from engine.store.database import Store
    from engine.store.leftovers import LeftoverRecord


PATIENCE = 30.0
"""Seconds for all that is to be removed at one destination; what is not done then waits on record."""
_SMALL_FILE_PATIENCE = timedelta(minutes=10)
"""How long a small file beside an artifact may take to be written, at the slowest destination."""


@dataclass(slots=True)
class Ledger:
    """What the attempts of one upload may leave, from the first byte until it is whole or given up."""

    store: Store
    execution_id: str
    destination_id: str
    _open: list[int] = field(default_factory=list)
    _undiscarded: list[int] = field(default_factory=list)

    def record(self, leftover: Leftover, final_name: str = "") -> None:
        """Write down what may be left; `final_name` is the artifact's once it may exist without a sidecar."""
        self._open.append(
            self.store.leftovers.add(
                execution_id=self.execution_id,
                destination_id=self.destination_id,
                temporary_name=leftover.temporary_name,
                upload_id=leftover.upload_id,
                final_name=final_name,
            )
        )

    def discard(self, storage: CheckedStorage) -> None:
        """Remove the temporary files of earlier attempts, before the next one; their records stay.

        What cannot be removed now is no reason not to try again: it stays on record, come what may.
        """
        for number, record in self._records(self._open):
            try:
                storage.discard(Leftover(record.temporary_name, record.upload_id))
            except Cancelled:
                raise
            except Exception:  # an adapter's surprise is no reason not to try either
                self._open.remove(number)
                self._undiscarded.append(number)

    def settle(self, storage: CheckedStorage) -> str:
        """Remove all that the records name, then the records. No attempt may follow.

        What cannot be removed stays on record for the next start; the answer says why, else it is empty.
        """
        problem = ""
        for number, record in self._records([*self._open, *self._undiscarded]):
            try:
                remove(storage, record)
            except Exception as error:  # an adapter's surprise must not hide what ended the upload
                problem = str(error)
            else:
                self.store.leftovers.remove(number)
        return problem

    def forget(self) -> None:
        """The upload is whole, or the name turned out to be somebody else's: nothing of ours is left."""
        for number in self._open:
            self.store.leftovers.remove(number)
        self._open.clear()

    @property
    def empty(self) -> bool:
        """Whether nothing was begun, so that nothing can be left."""
        return not self._open and not self._undiscarded

    def _records(self, numbers: Sequence[int]) -> list[tuple[int, LeftoverRecord]]:
        if not numbers:
            return []
        known = {record.id: record for record in self.store.leftovers.list(self.destination_id)}
        return [(number, known[number]) for number in numbers if number in known]


def remove(storage: CheckedStorage, record: LeftoverRecord) -> None:
    """Remove at the destination what a record names. What is not there (any more) is fine."""
    storage.discard(Leftover(record.temporary_name, record.upload_id))
    if record.final_name and not _exists(storage, record.final_name + SIDECAR_SUFFIX):
        storage.delete(record.final_name)


def of_dead(
    store: Store, is_dead: Callable[[str], bool], destination_id: str | None = None
) -> list[LeftoverRecord]:
    """The records of executions that nobody runs (any more), of one destination if asked."""
    return [
        record
        for record in store.leftovers.list(destination_id)
        if is_dead(record.execution_id) and not _is_being_written(store, record)
    ]


def remove_all(store: Store, storage: CheckedStorage, records: Sequence[LeftoverRecord]) -> None:
    """Remove what these records name, each record when its own is gone. Raises what stops it."""
    for record in records:
        remove(storage, record)
        store.leftovers.remove(record.id)


def sweep(
    store: Store, endpoints: Endpoints, is_dead: Callable[[str], bool], destination_id: str | None = None
) -> list[str]:
    """Remove the leftovers of dead executions; return what could not be removed, in words.

    A record stays until its destination answers, and is tried again at the next start or run. One that
    does not answer costs `PATIENCE` seconds, and no other one its turn.
    """
    waiting: dict[str, list[LeftoverRecord]] = {}
    for record in of_dead(store, is_dead, destination_id):
        waiting.setdefault(record.destination_id, []).append(record)
    if not waiting:
        return []

    def at(destination: str) -> str:
        mine = waiting[destination]
        attempt = Attempt[None](CancelToken(), limit=PATIENCE)
        try:
            opener = endpoints.storage_opener(endpoints.get("destination", destination))
            attempt.at(opener, lambda storage: remove_all(store, storage, mine))
        except Exception as error:  # an adapter's surprise must not keep the next one from its turn
            return f"{len(mine)} unfinished uploads wait for removal: {error}"
        return ""

    with ThreadPoolExecutor(len(waiting), thread_name_prefix="strongroom-sweep") as pool:
        return [problem for problem in pool.map(at, sorted(waiting)) if problem]


def _exists(storage: CheckedStorage, name: str) -> bool:
    try:
        storage.stat(name)
    except StorageMissing:
        return False
    return True


def _is_being_written(store: Store, record: LeftoverRecord) -> bool:
    """Whether it may be a lock or proof file under way: those belong to no execution that could be asked."""
    young = store.clock() - record.created_at < _SMALL_FILE_PATIENCE
    return young and store.executions.find(record.execution_id) is None
