"""What proves that the stored bytes are the given ones.

Every part goes out with its SHA-256, and the end with the composite: the SHA-256 of all of those, one after
another, a hyphen, and their number (the S3 user guide, "Checking object integrity"). A server that computes
them refuses what does not match. One that only takes note of them proves nothing, so each is given a part
with a wrong one first: where that is accepted, the whole object is read back.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

CONFIRMED = "SHA-256 of each part, and of all together, computed by the server"
CONFIRMED_WHOLE = "SHA-256 computed by the server"
READ_BACK = "read back from the server"

WRONG_BODY = b"Strongroom asks whether checksums are computed here."
WRONG_CHECKSUM = base64.b64encode(hashlib.sha256(b"another body").digest()).decode()
"""The checksum that is not that body's."""

REFUSALS = frozenset(
    {
        "BadDigest",
        "ChecksumMismatch",
        "InvalidChecksum",
        "InvalidDigest",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
    }
)
"""How servers say that the bytes and the checksum differ. Any other answer proves nothing of the kind."""


def base64_of(digest: bytes) -> str:
    """A digest as S3's headers have it."""
    return base64.b64encode(digest).decode("ascii")


def composite(digests: Iterable[bytes]) -> str:
    """The checksum of an object of parts with these digests, as S3 gives it."""
    found = list(digests)
    return f"{base64_of(hashlib.sha256(b''.join(found)).digest())}-{len(found)}"
