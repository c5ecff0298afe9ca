"""Private keys from files, in the formats that OpenSSH writes and wrote."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

from engine.errors import SshError
from engine.ssh.library import paramiko

_BEGIN = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_MAGIC = b"openssh-key-v1\0"
_LARGEST = 1 << 16
"""Bytes; the largest RSA key takes a quarter of it."""


def load_key(path: Path, passphrase: str | None) -> Any:
    """A private key of any kind that is still in use. Raises `SshError`, whose texts hold nothing of it.

    A certificate that lies beside it (`<name>-cert.pub`) is used with it, as ssh does.
    """
    library = paramiko()
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST)
    except OSError as error:
        raise SshError(
            f"The private key {path} cannot be read: {error.strerror}.",
            remedy="Name a file that this user can read.",
        ) from error
    if data.startswith(b"PuTTY-User-Key-File"):
        raise SshError(
            f"{path} is a key in PuTTY's own format.",
            remedy="Convert it: puttygen FILE -O private-openssh-new -o NEWFILE",
        )
    if data.startswith((b"ssh-", b"ecdsa-", b"sk-")):
        raise SshError(
            f"{path} is a public key.", remedy="Name the private one: the file of that name without .pub."
        )
    locked = is_locked(data)
    if locked and not passphrase:
        raise SshError(f"The private key {path} is locked with a passphrase.", remedy="Enter its passphrase.")
    try:
        return library.PKey.from_path(path, passphrase.encode() if locked and passphrase else None)
    except library.UnknownKeyType:
        raise SshError(
            f"{path} is a key of a kind that cannot be used here.",
            remedy="Make a new one: ssh-keygen -t ed25519. One on a hardware token works through the agent.",
        ) from None
    except Exception as error:  # which one is the libraries' business, and changes from version to version
        if locked:
            raise SshError(
                f"The passphrase does not open the private key {path}.", remedy="Enter its passphrase again."
            ) from None
        raise SshError(
            f"{path} is no private key that can be read ({type(error).__name__}).",
            remedy="Name another file, or make a key: ssh-keygen -t ed25519",
        ) from None


def is_locked(data: bytes) -> bool:
    """Whether a private key's file needs a passphrase, in the present format or in the PEM of old."""
    if not data.lstrip().startswith(_BEGIN):
        return b"ENCRYPTED" in data
    lines = data.strip().splitlines()
    try:
        # PROTOCOL.key: the magic, then the name of the cipher as a string, "none" for none.
        inside = base64.b64decode(b"".join(lines[1:-1]))
    except (binascii.Error, ValueError):
        return False
    if not inside.startswith(_MAGIC):
        return False
    at = len(_MAGIC)
    length = int.from_bytes(inside[at : at + 4], "big")
    return inside[at + 4 : at + 4 + length] != b"none"
