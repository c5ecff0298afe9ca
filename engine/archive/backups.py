"""A backup as it is known here: an artifact at a destination, its sidecar, and what was proven about it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.archive.sidecar import Sidecar
from engine.archive.sidefiles import Check, Level, Outcome, Proof
from engine.clock import iso
from engine.contract.values import StoredFile
from engine.records import CachedBackup
from engine.signing import Verdict


def backup_id(destination_id: str, artifact: str) -> str:
    """The backup's ID: 10 characters that follow from where it lies, so that no state is needed for them."""
    digest = hashlib.sha256(f"{destination_id}/{artifact}".encode()).digest()
    return base64.b32encode(digest)[:10].decode().lower()


@dataclass(frozen=True, slots=True)
class Backup:
    """One artifact with its sidecar at one destination.

    `size` is in bytes, as it lies there; `problem` says in words what a look at the listing already
    finds wrong with the artifact. `verdict` is the signature's, in the light of the job's other backups.
    """

    id: str
    destination_id: str
    destination: str
    artifact: str
    size: int
    sidecar: Sidecar
    verdict: Verdict
    locked: bool = False
    verification: Check | None = None
    drill: Check | None = None
    problem: str = ""

    @property
    def proof(self) -> Check | None:
        """The check that says most: one that found it broken, else the last one."""
        checks = Proof(self.artifact, self.sidecar.checksum, self.verification, self.drill)
        return checks.failed or checks.latest

    @property
    def good(self) -> bool:
        """Whether nothing is known against it: no tampering, nothing missing, no failed check."""
        failed = self.proof is not None and self.proof.outcome == "failed"
        return self.verdict is not Verdict.TAMPERED and not self.problem and not failed

    @property
    def order(self) -> tuple[datetime, str]:
        """What backups of a job are sorted by: when their run began."""
        return self.sidecar.created_at, self.artifact


@dataclass(frozen=True, slots=True)
class Problem:
    """Something at a destination that a person should know. `unreachable`: nothing of it could be listed."""

    destination: str
    message: str
    remedy: str = ""
    artifact: str = ""
    unreachable: bool = False

    def __str__(self) -> str:
        return f"{self.destination}: {self.message}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the cache remembers beside the sidecar: the checks, and the proof file they were read from."""

    verification: Check | None = None
    drill: Check | None = None
    file: str = ""

    @classmethod
    def of(cls, proof: Proof | None, stored: StoredFile | None) -> Seen:
        """What a proof says; `stored` is its file, by which a newer one is told."""
        checks = (None, None) if proof is None else (proof.verification, proof.drill)
        return cls(*checks, file=mark(stored))

    @classmethod
    def read(cls, row: CachedBackup) -> Seen:
        """What a row remembers."""
        known = row.proof or {}
        return cls(
            _check(known.get("verification")), _check(known.get("drill")), file=str(known.get("file", ""))
        )

    def to_row(self) -> Mapping[str, Any] | None:
        """As JSON values, for a row."""
        if self == Seen():
            return None
        return {
            "verification": _values(self.verification),
            "drill": _values(self.drill),
            "file": self.file,
        }


def mark(stored: StoredFile | None) -> str:
    """What tells one version of a small file from the next."""
    return "" if stored is None else f"{iso(stored.modified)} {stored.size}"


def _values(check: Check | None) -> dict[str, Any] | None:
    if check is None:
        return None
    return {
        "level": check.level,
        "outcome": check.outcome,
        "at": iso(check.at),
        "reason": check.reason,
        "duration": check.duration,
        "installation_id": check.installation_id,
    }


def _check(values: Any) -> Check | None:
    if not isinstance(values, Mapping):
        return None
    level: Level = values["level"]
    outcome: Outcome = values["outcome"]
    return Check(
        level=level,
        outcome=outcome,
        at=datetime.fromisoformat(values["at"]),
        reason=values["reason"],
        duration=values["duration"],
        installation_id=values["installation_id"],
    )


def sidecar_text(data: bytes) -> str:
    """A sidecar's bytes as the store keeps them; what is no UTF-8 is kept readable for people."""
    return data.decode("utf-8", "backslashreplace")
