"""Checksums in S3's own forms."""

from __future__ import annotations

import base64
import hashlib

from plugins.storage.aws import proof


def test_the_composite_is_the_checksum_of_the_checksums_and_their_number() -> None:
    digests = [hashlib.sha256(part).digest() for part in (b"one", b"two")]
    both = hashlib.sha256(digests[0] + digests[1]).digest()
    assert proof.composite(digests) == base64.b64encode(both).decode() + "-2"
    assert proof.composite(reversed(digests)) != proof.composite(digests)


def test_the_wrong_checksum_is_a_checksum_and_wrong() -> None:
    right = hashlib.sha256(proof.WRONG_BODY).digest()
    assert len(base64.b64decode(proof.WRONG_CHECKSUM)) == len(right)
    assert proof.base64_of(right) != proof.WRONG_CHECKSUM
