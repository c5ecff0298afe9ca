"""Short random IDs, safe in file names and easy to read aloud: 12 letters and digits (60 bits)."""

from __future__ import annotations

import secrets

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"  # base32 of RFC 4648, lower case: no 0, 1, 8, 9


def new_id() -> str:
    """A new ID; two of one installation coincide once in about 10**9 IDs made."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(12))
