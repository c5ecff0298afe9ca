"""SHA-256 of artifacts: calculate it, or verify it against what a sidecar recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.contract.readers import CHUNK


@dataclass(frozen=True, slots=True)
class Checked:
    """What `verify` found. `valid` is None when there was nothing to compare with: unproven, not a pass."""

    valid: bool | None
    expected: str | None
    actual: str


def calculate(content: Path | str | Iterable[bytes]) -> str:
    """The SHA-256 of a file or of chunks, in lower-case hex; reads 1 MiB at a time. Raises `OSError`."""
    digest = hashlib.sha256()
    chunks = _chunks(Path(content)) if isinstance(content, (str, Path)) else content
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def verify(content: Path | str | Iterable[bytes], expected: str | None) -> Checked:
    """Compare with a recorded SHA-256 (hex of either case). A missing one leaves `valid` None: log that."""
    actual = calculate(content)
    if not expected:
        return Checked(None, None, actual)
    return Checked(actual == expected.strip().lower(), expected, actual)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            yield chunk
