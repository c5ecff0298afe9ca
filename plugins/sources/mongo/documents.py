"""Documents as bytes: where each one ends, and a sum over all of them that no order changes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from strongroom import DumpIncomplete, Fingerprint

MOST = 48 << 20
"""How many bytes a document has at most, with room to spare: a server takes 16 MiB, and a little more."""
_NUMBERS = 1 << 53  # what JSON holds as a number


def split(data: bytes) -> Iterator[bytes]:
    """The documents that lie one behind the other; raises `DumpIncomplete` for what is not."""
    at, end = 0, len(data)
    while at < end:
        size = int.from_bytes(data[at : at + 4], "little")
        if size < 5 or size > MOST or at + size > end:
            raise DumpIncomplete(
                "What came is no row of whole documents.",
                remedy="Restore another backup; of a dump, run again.",
            )
        yield data[at : at + size]
        at += size


class Tally:
    """Counts documents by collection."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._sums: dict[str, int] = {}
        self._views = 0

    def begin(self, collection: str, *, view: bool = False) -> None:
        """A collection that may have no documents; a view has none."""
        if view:
            self._views += 1
        else:
            self._counts.setdefault(collection, 0)
            self._sums.setdefault(collection, 0)

    def add(self, collection: str, batch: bytes) -> None:
        """Documents of a collection."""
        count = total = 0
        for document in split(batch):
            count += 1
            total += zlib.crc32(document) * len(document)
        self._counts[collection] += count
        self._sums[collection] = (self._sums[collection] + total) % _NUMBERS

    def fingerprint(self, *, consistent: bool) -> Fingerprint:
        """Documents and collections, and a sum over the contents of each."""
        found = {
            "documents": sum(self._counts.values()),
            "collections": len(self._counts),
            "views": self._views,
        }
        for name in sorted(self._counts):
            found[f"sum of {name}"] = (self._sums[name] + self._counts[name] * 0x9E3779B97F4A7) % _NUMBERS
        return Fingerprint(found, consistent=consistent, of="measures")
