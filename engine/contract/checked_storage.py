"""The guard between the engine and any storage adapter: no name that escapes the root gets through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from engine.contract.adapters import Storage, no_sign
from engine.contract.readers import Reader
from engine.contract.values import Leftover, Published, StorageReport, StoredFile
from engine.rules.naming import check_name

T = TypeVar("T")


class CheckedStorage:
    """A storage whose names are checked before its adapter sees them, and on their way back.

    It raises `NameEscapes` for a name that is absolute, not normalised, or climbs. A listing leaves out
    what has such a name: somebody else's file, which Strongroom neither reads nor deletes.
    `alive` is told of each answer: a destination that answers is not stalled.
    """

    def __init__(self, adapter: Storage, alive: Callable[[int], None] = no_sign) -> None:
        self.adapter = adapter
        self._alive = alive

    def check(self) -> StorageReport:
        return self.adapter.check()

    def put(
        self, name: str, reader: Reader, *, begun: Callable[[Leftover], None], overwrite: bool = False
    ) -> Published:
        return self.adapter.put(check_name(name), reader, begun=begun, overwrite=overwrite)

    def get(self, name: str, offset: int = 0) -> Iterator[bytes]:
        return self._seen(self.adapter.get(check_name(name), offset))

    def list(self, prefix: str = "") -> Iterable[StoredFile]:
        if prefix:
            check_name(prefix.rstrip("/"))
        return (stored for stored in self._seen(self.adapter.list(prefix)) if _is_proper(stored.name))

    def stat(self, name: str) -> StoredFile:
        stored = self.adapter.stat(check_name(name))
        self._alive(0)
        return stored

    def delete(self, name: str) -> None:
        self.adapter.delete(check_name(name))
        self._alive(0)

    def verify(self, name: str, size: int, sha256: str) -> str:
        return self.adapter.verify(check_name(name), size, sha256)

    def discard(self, leftover: Leftover) -> None:
        check_name(leftover.temporary_name)
        self.adapter.discard(leftover)
        self._alive(0)

    def _seen(self, answers: Iterable[T]) -> Iterator[T]:
        for answer in answers:
            self._alive(0)
            yield answer


def _is_proper(name: str) -> bool:
    from engine.errors import NameEscapes

    try:
        check_name(name)
    except NameEscapes:
        return False
    return True
