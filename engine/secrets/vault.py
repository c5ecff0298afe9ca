"""Secrets in one file under a passphrase, for machines without a keyring. Chosen explicitly, never silently.

The file is JSON: scrypt's parameters, a nonce, and all secrets as one ChaCha20-Poly1305 ciphertext that
authenticates the rest. Writers take a lock beside it, so that processes that share it lose nothing;
readers need none, since the file is only ever replaced whole.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.errors import SecretsError
from engine.secrets.base import SecretStore, checked_key, missing, refuse_empty

VERSION = 1
LOCK_TIMEOUT = 10.0
"""Seconds to wait for another process that writes; a write takes milliseconds."""

# 32 MiB, since the engine promises to stay small, and 0.15 s where p=1 takes 0.08 s and p=3 (OWASP's
# equivalent of N=2^17) 0.21 s: opening may cost at most 0.3 s, also on a machine half as fast.
SCRYPT = {"n": 2**15, "r": 8, "p": 2}
# What a file may ask for at most (scrypt takes 128 * n * r bytes): a made-up one must not eat the machine.
MOST_MEMORY = 256 << 20
MOST_WORK = 2**24


class VaultSecrets(SecretStore):
    """Secrets in the file `path`, mode 0600. Safe to use from several threads and processes.

    `passphrase` is the text itself or a function that finds it, called at the first use.
    """

    title = "the vault file"

    def __init__(self, path: Path, passphrase: str | Callable[[], str]) -> None:
        self._path = path
        self._ask = passphrase
        self._lock = threading.Lock()
        self._derived: tuple[dict[str, Any], bytes] | None = None
        self._read: tuple[tuple[int, ...], dict[str, str]] | None = None

    def __repr__(self) -> str:
        return f"VaultSecrets({str(self._path)!r})"

    def elsewhere(self) -> str:
        return "If it lies in the OS keyring, unset STRONGROOM_VAULT."

    def get(self, key: str) -> str:
        with self._lock:
            found = self._load().get(checked_key(key))
        if found is None:
            raise missing(self.title, key, self.elsewhere())
        return found

    def set(self, key: str, secret: str) -> None:
        refuse_empty(secret)
        with self._changing() as contents:
            contents[checked_key(key)] = secret

    def delete(self, key: str) -> None:
        with self._changing() as contents:
            contents.pop(checked_key(key), None)

    def check(self) -> str:
        """Open the vault, and write it again (it is made when there is none)."""
        with self._changing(always=True):
            pass
        return f"the vault file {self._path}"

    def look(self) -> str:
        """Open the vault if it is there, and write nothing."""
        with self._lock:
            self._load()
        there = "" if self._path.exists() else ", which the first secret makes"
        return f"the vault file {self._path}{there}"

    @contextmanager
    def _changing(self, *, always: bool = False) -> Iterator[dict[str, str]]:
        """The contents, to be changed while no other process writes; written back when they were."""
        from filelock import FileLock, Timeout

        with self._lock:
            if self._derived is None:
                self._passphrase()  # a missing one is told before anything is made on disk
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with FileLock(f"{self._path}.lock", timeout=LOCK_TIMEOUT, mode=0o600):
                    before = self._load()
                    contents = dict(before)
                    yield contents
                    if always or contents != before:
                        self._write(contents)
            except Timeout as error:
                raise SecretsError(
                    f"Another process has held the vault {self._path} for more than {LOCK_TIMEOUT:.0f} s.",
                    remedy="See whether a Strongroom process hangs, then try again.",
                ) from error
            except OSError as error:
                raise self._cannot("written", error) from error

    def _load(self) -> dict[str, str]:
        """The contents as they are on disk; decrypted again only when the file has changed."""
        try:
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                # A replaced file has another inode; the times and the size are for file systems without.
                stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
                if self._read is not None and self._read[0] == stamp:
                    return self._read[1]
                data = file.read()
        except FileNotFoundError:
            self._passphrase()
            return {}
        except OSError as error:
            raise self._cannot("read", error) from error
        contents = self._open(data)
        self._read = (stamp, contents)
        return contents

    def _open(self, data: bytes) -> dict[str, str]:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        header, sealed = self._parse(data)
        key = self._key(header)
        try:
            plain = ChaCha20Poly1305(key).decrypt(_unbase64(header["nonce"]), sealed, _canonical(header))
        except InvalidTag:
            # The digest has matched, so the file is as it was written: it is the passphrase.
            self._derived = None
            raise SecretsError(
                f"The passphrase does not open the vault {self._path}.",
                remedy="Give the passphrase that it was made with in STRONGROOM_VAULT_PASSPHRASE.",
            ) from None
        contents: dict[str, str] = json.loads(plain)
        return contents

    def _parse(self, data: bytes) -> tuple[dict[str, Any], bytes]:
        """The header and the ciphertext. A digest tells a damaged file from a wrong passphrase."""
        whole, version = False, VERSION
        try:
            document = json.loads(data)
            version = document["strongroom-vault"]
            if version == VERSION:
                sealed, digest = _unbase64(document.pop("data")), document.pop("sha256")
                whole = digest == _digest(document, sealed) and _acceptable(document)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            whole = False
        if isinstance(version, int) and version > VERSION:
            raise SecretsError(
                f"The vault {self._path} was written by a newer Strongroom.",
                remedy="Install that version or a later one.",
            )
        if not whole:
            raise SecretsError(
                f"The vault {self._path} is damaged, so nothing can be read from it.",
                remedy="Restore the file from a copy; or move it away and enter the secrets again "
                "(keys from their exported files).",
            )
        return document, sealed

    def _write(self, contents: dict[str, str]) -> None:
        """Replace the file whole. Called with the lock held, so one name does for what is being written."""
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        new_kdf = {"name": "scrypt", **SCRYPT, "salt": _base64(secrets.token_bytes(16))}
        nonce = secrets.token_bytes(12)
        header = {
            "strongroom-vault": VERSION,
            "kdf": self._derived[0] if self._derived is not None else new_kdf,
            "cipher": "chacha20-poly1305",
            "nonce": _base64(nonce),
        }
        key = self._key(header)
        plain = json.dumps(contents, sort_keys=True).encode()
        sealed = ChaCha20Poly1305(key).encrypt(nonce, plain, _canonical(header))
        document = {**header, "data": _base64(sealed), "sha256": _digest(header, sealed)}
        temporary = self._path.with_name(f"{self._path.name}.new")
        temporary.unlink(missing_ok=True)  # of a writer that was killed
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(document, indent=2).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        _sync_folder(self._path.parent)
        self._read = None

    def _key(self, header: dict[str, Any]) -> bytes:
        """The cipher's key; derived once for the same parameters, since that is what costs the time."""
        kdf = header["kdf"]
        if self._derived is None or self._derived[0] != kdf:
            from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

            scrypt = Scrypt(salt=_unbase64(kdf["salt"]), length=32, n=kdf["n"], r=kdf["r"], p=kdf["p"])
            self._derived = (kdf, scrypt.derive(self._passphrase().encode()))
        return self._derived[1]

    def _passphrase(self) -> str:
        passphrase = self._ask() if callable(self._ask) else self._ask
        if not passphrase:
            raise SecretsError("The vault's passphrase is empty.", remedy="Choose one.")
        return passphrase

    def _cannot(self, done: str, error: OSError) -> SecretsError:
        return SecretsError(
            f"The vault {self._path} cannot be {done}: {error.strerror or error}.",
            remedy="See that the folder is there, belongs to you and has space.",
        )


def _acceptable(header: dict[str, Any]) -> bool:
    """Whether the header asks for nothing but what we write, within bounds."""
    kdf = header["kdf"]
    n, r, p = kdf["n"], kdf["r"], kdf["p"]
    return (
        header["cipher"] == "chacha20-poly1305"
        and kdf["name"] == "scrypt"
        and len(_unbase64(header["nonce"])) == 12
        and len(_unbase64(kdf["salt"])) >= 16
        and all(isinstance(number, int) and number > 0 for number in (n, r, p))
        and n > 1
        and n & (n - 1) == 0
        and 128 * n * r <= MOST_MEMORY
        and n * r * p <= MOST_WORK
    )


def _canonical(header: dict[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()


def _digest(header: dict[str, Any], sealed: bytes) -> str:
    return hashlib.sha256(_canonical(header) + sealed).hexdigest()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unbase64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut; Windows has no such call and needs none."""
    if os.name != "nt":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
