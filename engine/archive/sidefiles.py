"""What changes about a backup lies beside it, in small signed files of their own.

`<artifact>.lock.json` locks by its presence; `<artifact>.proof.json` tells of the last verification and
the last drill. The sidecar itself is never rewritten, so object lock and append-only credentials do no
harm.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from engine.archive.fields import Fields
from engine.archive.sidecar import SIDECAR_SUFFIX
from engine.clock import iso
from engine.errors import SidecarTooNew, SidecarUnreadable
from engine.signing import Signer, Verdict, check, read_document

LOCK_SUFFIX = ".lock.json"
PROOF_SUFFIX = ".proof.json"
SUFFIXES = (SIDECAR_SUFFIX, LOCK_SUFFIX, PROOF_SUFFIX)
"""Everything of ours that may lie beside an artifact."""

LOCK_KIND = "strongroom/lock"
PROOF_KIND = "strongroom/proof"
VERSION = "1.0"
MOST_BYTES = 1 << 20

Level = Literal["checksum", "decode", "drill"]
Outcome = Literal["passed", "failed", "could-not-verify"]

_LEVELS: Mapping[str, Level] = {"checksum": "checksum", "decode": "decode", "drill": "drill"}
_OUTCOMES: Mapping[str, Outcome] = {
    "passed": "passed",
    "failed": "failed",
    "could-not-verify": "could-not-verify",
}


def artifact_of(name: str) -> str | None:
    """The artifact that the file `name` lies beside; None when it is no file of that kind."""
    for suffix in SUFFIXES:
        if name.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return None


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock. `problem` says in words why the file cannot be read or trusted; it locks all the same."""

    locked_at: datetime | None = None
    installation_id: str = ""
    reason: str = ""
    problem: str = ""


def make_lock(
    artifact: str, checksum: str, *, at: datetime, installation_id: str, signer: Signer, reason: str = ""
) -> bytes:
    """The file that locks this artifact; `checksum` is its SHA-256."""
    return _to_json(
        {
            "kind": LOCK_KIND,
            "version": VERSION,
            "artifact": artifact,
            "checksum": checksum,
            "locked_at": iso(at),
            "installation_id": installation_id,
            "reason": reason,
        },
        signer,
    )


def parse_lock(data: bytes, trusted: Collection[str]) -> Lock:
    """Read a lock. Never raises: a lock that cannot be read, or was written by a stranger, locks too."""
    try:
        document = read_document(data, most=MOST_BYTES, refuse=SidecarUnreadable, what="The lock")
        fields = Fields(document, "The lock")
        fields.kind_and_version(LOCK_KIND, VERSION, too_new=SidecarTooNew)
        verdict = check(document, trusted)
        return Lock(
            locked_at=fields.moment("locked_at"),
            installation_id=fields.text("installation_id"),
            reason=fields.text("reason", empty=True),
            problem="" if verdict.proves else f"The lock {verdict.words}; it locks all the same.",
        )
    except (SidecarUnreadable, SidecarTooNew) as error:
        return Lock(problem=f"{error.message} It locks all the same.")


@dataclass(frozen=True, slots=True)
class Check:
    """One verification or drill. `reason` says why it did not pass; `duration` is in seconds, `at` UTC."""

    level: Level
    outcome: Outcome
    at: datetime
    reason: str = ""
    duration: float = 0.0
    installation_id: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """The last verification and the last drill of one artifact, which its checksum names."""

    artifact: str
    checksum: str
    verification: Check | None = None
    drill: Check | None = None
    document: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def latest(self) -> Check | None:
        """Whichever of the two came last."""
        return max((c for c in (self.verification, self.drill) if c), key=lambda c: c.at, default=None)

    @property
    def failed(self) -> Check | None:
        """The newest check that found the backup broken, unless a later one of that kind passed."""
        found = [c for c in (self.verification, self.drill) if c is not None and c.outcome == "failed"]
        return max(found, key=lambda c: c.at, default=None)

    def with_check(self, made: Check) -> Proof:
        """The proof after another check; what was known of the other kind stays.

        A check that could not verify says nothing new about the artifact, so it does not take the
        place of one that found it broken.
        """
        drill = made.level == "drill"
        before = self.drill if drill else self.verification
        if before is not None and before.outcome == "failed" and made.outcome == "could-not-verify":
            return self
        return replace(self, drill=made) if drill else replace(self, verification=made)

    def check(self, trusted: Collection[str]) -> Verdict:
        """What the signature proves."""
        return check(self.document, trusted)

    def to_json(self, signer: Signer) -> bytes:
        """The signed file as it is stored."""
        return _to_json(
            {
                "kind": PROOF_KIND,
                "version": VERSION,
                "artifact": self.artifact,
                "checksum": self.checksum,
                "verification": _check_document(self.verification),
                "drill": _check_document(self.drill),
            },
            signer,
        )


def parse_proof(data: bytes) -> Proof:
    """Read a proof; its signature is not checked here. Raises `SidecarUnreadable` and `SidecarTooNew`."""
    document = read_document(data, most=MOST_BYTES, refuse=SidecarUnreadable, what="The proof")
    fields = Fields(document, "The proof")
    fields.kind_and_version(PROOF_KIND, VERSION, too_new=SidecarTooNew)
    return Proof(
        artifact=fields.text("artifact"),
        checksum=fields.text("checksum"),
        verification=_read_check(fields.inner("verification")),
        drill=_read_check(fields.inner("drill")),
        document=document,
    )


def read_proof(data: bytes, *, checksum: str, trusted: Collection[str]) -> tuple[Proof | None, str]:
    """The proof if it counts for the artifact with that SHA-256, else None and why it does not.

    One that is unreadable, unsigned, changed, a stranger's or about other bytes proves nothing, in
    either direction. Never raises.
    """
    try:
        proof = parse_proof(data)
    except (SidecarUnreadable, SidecarTooNew) as error:
        return None, error.message
    verdict = proof.check(trusted)
    if not verdict.proves:
        return None, f"The proof {verdict.words}."
    if proof.checksum != checksum:
        return None, "The proof is about another artifact."
    return proof, ""


def _check_document(made: Check | None) -> dict[str, Any] | None:
    if made is None:
        return None
    return {
        "level": made.level,
        "outcome": made.outcome,
        "at": iso(made.at),
        "reason": made.reason,
        "duration_s": made.duration,
        "installation_id": made.installation_id,
    }


def _read_check(fields: Fields | None) -> Check | None:
    if fields is None:
        return None
    level, outcome = fields.text("level"), fields.text("outcome")
    if level not in _LEVELS or outcome not in _OUTCOMES:
        raise SidecarUnreadable(f"The proof names an unknown level or outcome: {level}, {outcome}.")
    return Check(
        level=_LEVELS[level],
        outcome=_OUTCOMES[outcome],
        at=fields.moment("at"),
        reason=fields.text("reason", empty=True),
        duration=fields.number("duration_s"),
        installation_id=fields.text("installation_id", empty=True),
    )


def _to_json(document: Mapping[str, Any], signer: Signer) -> bytes:
    return json.dumps(signer.sign(document), indent=2, ensure_ascii=False).encode() + b"\n"
