"""The known_hosts files of OpenSSH, read as sshd(8) describes them: patterns, hashed names, markers."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.errors import SshError
from engine.ssh.access import PORT


@dataclass(frozen=True, slots=True)
class ServerKey:
    """A server's public key: its kind (`ssh-ed25519`) and its bytes."""

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """As ssh-keygen prints it: `SHA256:` and base64 without padding."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    @property
    def value(self) -> str:
        """As a person confirms it."""
        return f"{self.kind} {self.fingerprint}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: where it stands, what its names match, and the key; `revoked` keys are never trusted."""

    file: Path
    line: int
    names: str
    key: ServerKey
    revoked: bool = False

    def names_host(self, name: str) -> bool:
        """Whether the line is about this host, by its name as known_hosts writes it."""
        if self.names.startswith("|"):
            return _is_hash_of(self.names, name)
        found = False
        for pattern in self.names.lower().split(","):
            negated = pattern.startswith("!")
            if _matches(name, pattern.removeprefix("!")):
                if negated:
                    return False
                found = True
        return found


def host_name(host: str, port: int) -> str:
    """A host as known_hosts writes it: `[host]:port` for a port other than 22."""
    return host.lower() if port == PORT else f"[{host.lower()}]:{port}"


def read(files: Iterable[Path]) -> list[Entry]:
    """All entries of the files that are there. Raises `SshError` for one that cannot be read.

    Lines that are not understood are passed over, as ssh does, and so are certificate authorities: of a
    server that has a certificate, its own key is asked for.
    """
    found: list[Entry] = []
    for file in files:
        try:
            text = file.read_bytes().decode("utf-8", "replace")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise SshError(
                f"The file of known hosts {file} cannot be read: {error.strerror}.",
                remedy="Let this user read it, or name another file.",
            ) from error
        found += _entries(file, text)
    return found


def _entries(file: Path, text: str) -> Iterator[Entry]:
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        marker = fields.pop(0) if fields[0].startswith("@") else ""
        if marker not in ("", "@revoked") or len(fields) < 3:
            continue
        names, kind, encoded = fields[:3]
        try:
            blob = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            continue
        yield Entry(file, number, names, ServerKey(kind, blob), revoked=bool(marker))


def _matches(name: str, pattern: str) -> bool:
    # Only * and ? are special; fnmatch knows [...] too, and [host]:port has those.
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def _is_hash_of(hashed: str, name: str) -> bool:
    """Whether `|1|salt|hash` is this name's: HMAC-SHA1 with the salt as its key."""
    try:
        _, version, salt, digest = hashed.split("|")
        expected = hmac.new(base64.b64decode(salt), name.encode(), hashlib.sha1).digest()
        return version == "1" and hmac.compare_digest(expected, base64.b64decode(digest))
    except ValueError:
        return False
