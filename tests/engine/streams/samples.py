"""Dumps to try streams on, with mixed content that is the same at every run, and keys made for the run."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

import pyrage

_key, _other_key = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
IDENTITY, OTHER_IDENTITY = str(_key), str(_other_key)
RECIPIENT, OTHER_RECIPIENT = str(_key.to_public()), str(_other_key.to_public())


def mixed(size: int, seed: int = 1) -> bytes:
    """Bytes as a dump has them: lines that compress, and blobs that do not."""
    chance = random.Random(seed)
    parts: list[bytes] = []
    made = 0
    while made < size:
        if chance.random() < 0.2:
            part = chance.randbytes(chance.randrange(1, 5000))
        else:
            part = (
                b"INSERT INTO orders VALUES (%d, 'Zo\xc3\xab', %d);\n" % (made, chance.randrange(10**6)) * 9
            )
        parts.append(part)
        made += len(part)
    return b"".join(parts)[:size]


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """`data` in chunks of `size` bytes."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def joined(chunks: Iterable[bytes]) -> bytes:
    return b"".join(chunks)
