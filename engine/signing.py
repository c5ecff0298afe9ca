"""Who wrote a file: Ed25519 signatures over the RFC 8785 form of a JSON document.

age does not say who encrypted a file and a checksum does not say who computed it; a signature does.
Each installation signs with a key of its own, and trusts others' explicitly.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

from engine.errors import StrongroomError

ALGORITHM = "ed25519"
SIGNATURE = "signature"

_HEX_KEY = re.compile(r"[0-9a-f]{64}")

# The points of order 1, 2, 4 and 8 in all their encodings, but for the sign bit: under such a "key",
# one signature fits many documents, and OpenSSL accepts it (seen with the key of zeros).
_WEAK_KEYS = frozenset(
    {
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    }
)


class Verdict(StrEnum):
    """What a signature says. `VALID` alone proves anything."""

    VALID = "valid"
    """Signed by this installation, or by one that it trusts."""
    UNSIGNED = "unsigned"
    ABSENT = "absent"
    """There is no document that could be signed: a loose file without its sidecar."""
    TAMPERED = "tampered"
    """The signature does not fit the document: one of the two was changed."""
    STRANGER = "stranger"
    """Signed correctly, by a key that is not trusted here."""

    @property
    def proves(self) -> bool:
        """Whether the document is shown to come from a trusted installation."""
        return self is Verdict.VALID

    @property
    def words(self) -> str:
        """The verdict as a clause for people, after "it"."""
        return _WORDS[self]


_WORDS = {
    Verdict.VALID: "is signed by an installation that is trusted here",
    Verdict.UNSIGNED: "is not signed",
    Verdict.ABSENT: "is missing",
    Verdict.TAMPERED: "was changed after it was signed, or its signature was",
    Verdict.STRANGER: "is signed by an installation that is not trusted here",
}


class Signer:
    """An installation's signing key."""

    def __init__(self, seed: bytes) -> None:
        """Take the 32 bytes that an Ed25519 private key is made from (RFC 8032, section 5.1.5)."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    def __repr__(self) -> str:
        return f"Signer(public_key={self.public_key!r})"

    @classmethod
    def generate(cls) -> Signer:
        """Make a new key from the system's randomness."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def from_text(cls, text: str) -> Signer:
        """The inverse of `secret_text`. Raises ValueError."""
        return cls(bytes.fromhex(text))

    def secret_text(self) -> str:
        """The private key as text, for the keyring or the vault alone."""
        return self._key.private_bytes_raw().hex()

    @property
    def public_key(self) -> str:
        """The public key, 64 lower-case hex digits."""
        return self._key.public_key().public_bytes_raw().hex()

    def sign(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return the document with a `signature`, in place of one that it had.

        The signature covers its own algorithm and public key: what is signed is `message` of the
        document with everything in it but `signature.value`. Raises ValueError for what JSON, or
        RFC 8785, cannot say: integers past 2**53, NaN, lone surrogates.
        """
        unsigned = {
            **document,
            SIGNATURE: {"algorithm": ALGORITHM, "public_key": self.public_key},
        }
        value = base64.b64encode(self._key.sign(message(unsigned))).decode()
        return {**unsigned, SIGNATURE: {**unsigned[SIGNATURE], "value": value}}


def message(document: Mapping[str, Any]) -> bytes:
    """The bytes that are signed: the RFC 8785 form of the document without `signature.value`.

    Raises ValueError when the document has no such form.
    """
    import rfc8785

    signature = document.get(SIGNATURE)
    if isinstance(signature, Mapping):
        bare = {name: value for name, value in signature.items() if name != "value"}
        document = {**document, SIGNATURE: bare}
    try:
        return rfc8785.dumps(dict(document))
    except RecursionError as error:
        raise ValueError("the document is nested too deeply") from error


def check(document: Mapping[str, Any], trusted: Collection[str]) -> Verdict:
    """Say what the document's signature proves; `trusted` holds public keys as lower-case hex.

    Never raises: a document that cannot be checked was not written by us, hence `TAMPERED`.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if SIGNATURE not in document:
        return Verdict.UNSIGNED
    try:
        public_key = signed_by(document)
        if public_key is None:
            return Verdict.TAMPERED
        value = base64.b64decode(document[SIGNATURE]["value"], validate=True)
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(value, message(document))
    except (InvalidSignature, ValueError, TypeError, KeyError):
        return Verdict.TAMPERED
    return Verdict.VALID if public_key in trusted else Verdict.STRANGER


def signed_by(document: Mapping[str, Any]) -> str | None:
    """The public key that a document names as its signer's, unchecked; None when it names none."""
    signature = document.get(SIGNATURE)
    if not isinstance(signature, Mapping) or signature.get("algorithm") != ALGORITHM:
        return None
    public_key = signature.get("public_key")
    return public_key if isinstance(public_key, str) and is_public_key(public_key) else None


def is_public_key(text: str) -> bool:
    """Whether `text` is 64 lower-case hex digits of an Ed25519 key that can prove anything."""
    if not _HEX_KEY.fullmatch(text):
        return False
    without_sign = f"{text[:62]}{int(text[62:], 16) & 0x7F:02x}"
    return without_sign not in _WEAK_KEYS


def among(verdict: Verdict, others: Collection[Verdict]) -> Verdict:
    """The verdict in the light of the job's other backups: a signature that is missing where others have
    one was taken away, which counts as tampered (DESIGN, section 5)."""
    if verdict is Verdict.UNSIGNED and any(other is not Verdict.UNSIGNED for other in others):
        return Verdict.TAMPERED
    return verdict


def read_document(data: bytes, *, most: int, refuse: type[StrongroomError], what: str) -> dict[str, Any]:
    """Parse a JSON object strictly: UTF-8, at most `most` bytes, no name twice, no NaN.

    A name that stands twice would mean one thing to us and another to the next reader, under one
    signature. Raises `refuse` with a message that begins with `what`.
    """
    if len(data) > most:
        raise refuse(f"{what} is larger than {most} bytes.")
    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise refuse(f"{what} is not valid JSON: {error}.") from error
    if not isinstance(document, dict):
        raise refuse(f"{what} is not a JSON object.")
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return document


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
