"""Compares what was restored with what the dump's snapshot held: the proof of a restore, or of a drill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.archive.sidecar import Sidecar, open_fingerprint
from engine.contract.adapters import Source
from engine.errors import StreamError
from engine.recovery.sets import is_of_server

SAME = "It is what was backed up"


class Equality(StrEnum):
    """Whether a restored database is what was dumped."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`words` is a sentence for people, whatever the result."""

    result: Equality
    words: str


def compare(
    sidecar: Sidecar, identities: Callable[[], Sequence[str] | None], source: Source, database: str
) -> Comparison:
    """Count the rows of `database` and compare them with the sidecar's fingerprint.

    Only a fingerprint taken in the dump's own snapshot shows anything: an inconsistent one would call a
    good backup broken as easily as the other way round. Raises the source's errors.
    """
    if source.restores_part:
        return Comparison(Equality.UNKNOWN, "Nothing to compare with: a part was restored, as was asked for.")
    try:
        recorded = open_fingerprint(
            sidecar.fingerprint, identities() or () if sidecar.encryption is not None else ()
        )
    except StreamError as error:
        return Comparison(Equality.UNKNOWN, f"Nothing to compare with: {error.message}")
    if recorded is None:
        return Comparison(Equality.UNKNOWN, "Nothing to compare with: the backup has no fingerprint.")
    if not recorded.consistent:
        return Comparison(
            Equality.UNKNOWN,
            "Nothing to compare with: the rows were not counted in the dump's own snapshot.",
        )
    found = source.fingerprint(database)
    if differences := recorded.differences(found):
        return Comparison(Equality.DIFFERENT, f"It is not what was backed up: {'; '.join(differences)}.")
    # What belongs to the server is added to, and looked at by name alone.
    same = "All of it is there, by name" if is_of_server(sidecar.database) else SAME
    return Comparison(Equality.EQUAL, f"{same}: {recorded.words()}.")
