"""What an upload may leave behind: recorded before its first byte, removed by that record alone.

A file is never removed because it lacks a sidecar: it may be somebody else's. A record names the
temporary file and the artifact's own name, which is unique by construction; only when that name has no
sidecar either is the artifact removed with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from engine.checked_storage import CheckedStorage
from engine.errors import StorageMissing, StrongroomError
from engine.sidecar import SIDECAR_SUFFIX
from engine.values import Leftover

if TYPE_CHECKING:
    from engine.endpoints import Endpoints
    from engine.store.database import Store
    from engine.store.leftovers import LeftoverRecord


_SMALL_FILE_PATIENCE = timedelta(minutes=10)
"""How long a small file beside an artifact may take to be written, at the slowest destination."""


@dataclass(slots=True)
class Ledger:
    """What one upload to one destination may leave, from its first byte until it is whole."""

    store: Store
    execution_id: str
    destination_id: str
    _open: list[int] = field(default_factory=list)

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

    def settle(self, storage: CheckedStorage) -> str:
        """Remove what the open records name, then the records.

        What cannot be removed stays on record for the next start; the answer says why, else it is empty.
        """
        problem = ""
        records = {record.id: record for record in self.store.leftovers.list(self.destination_id)}
        for number in self._open:
            try:
                remove(storage, records[number])
            except Exception as error:  # an adapter's surprise must not hide what ended the upload
                problem = str(error)
            else:
                self.store.leftovers.remove(number)
        self._open.clear()
        return problem

    def forget(self) -> None:
        """The upload is whole, or the name turned out to be somebody else's: nothing of ours is left."""
        for number in self._open:
            self.store.leftovers.remove(number)
        self._open.clear()


def remove(storage: CheckedStorage, record: LeftoverRecord) -> None:
    """Remove at the destination what a record names. What is not there (any more) is fine."""
    storage.discard(Leftover(record.temporary_name, record.upload_id))
    if record.final_name and not _exists(storage, record.final_name + SIDECAR_SUFFIX):
        storage.delete(record.final_name)


def sweep(
    store: Store, endpoints: Endpoints, is_dead: Callable[[str], bool], destination_id: str | None = None
) -> list[str]:
    """Remove the leftovers of dead executions; return what could not be removed, in words.

    A record stays until its destination answers, and is tried again at the next start or run.
    """
    problems = []
    waiting = [
        record
        for record in store.leftovers.list(destination_id)
        if is_dead(record.execution_id) and not _is_being_written(store, record)
    ]
    for destination in sorted({record.destination_id for record in waiting}):
        mine = [record for record in waiting if record.destination_id == destination]
        try:
            with endpoints.open_storage(endpoints.get("destination", destination)) as storage:
                for record in mine:
                    remove(storage, record)
                    store.leftovers.remove(record.id)
        except StrongroomError as error:
            problems.append(f"{len(mine)} unfinished uploads wait for removal: {error.message}")
    return problems


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
