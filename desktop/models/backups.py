"""Backups as rows, and what was proven of one in words: never just "OK"."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from desktop import words
from desktop.models.records import Column
from desktop.words import State
from engine.clock import utc_now
from engine.signing import Verdict

if TYPE_CHECKING:
    from engine.archive.catalogue import Backup

LEVELS = {
    "checksum": "its checksum was read back",
    "decode": "it was read and decoded to the end",
    "drill": "it was restored and compared",
}
NOT_VERIFIED = State("not yet", "–", "quiet")


def proof_state(backup: Backup, now: datetime) -> tuple[State, str]:
    """The state of a backup's proof, and the sentence behind it."""
    if backup.verdict is Verdict.TAMPERED:
        return State("tampered", "✕", "bad"), "What it says of itself was changed after it was signed."
    proof = backup.proof
    if proof is None:
        return NOT_VERIFIED, "Not read back since it was stored."
    at = words.ago(proof.at, now)
    if proof.outcome == "passed":
        word = "drilled" if proof.level == "drill" else "whole"
        return State(word, "✓", "good"), f"{words.capital(LEVELS.get(proof.level, proof.level))}, {at}."
    reason = (proof.reason or "").rstrip(".")
    if proof.outcome == "failed":
        return State("damaged", "✕", "bad"), f"{reason or 'The check failed'} ({at})."
    return State("unknown", "!", "risk"), f"Could not be verified {at}: {reason or 'no reason given'}."


def signature_said(backup: Backup) -> str:
    """Who wrote it, as far as that is proven."""
    return f"{'✓' if backup.verdict.proves else '!'} It {backup.verdict.words}."


COLUMNS: tuple[Column[Backup], ...] = (
    Column(
        "Taken",
        lambda its: words.capital(words.when(its.sidecar.created_at, utc_now())),
        132,
        1,
        tip=lambda its: words.exact(its.sidecar.created_at),
        sort=lambda its: its.sidecar.created_at,
    ),
    Column("Database", lambda its: its.sidecar.database, 92, 2),
    Column("Job", lambda its: its.sidecar.job, 100, 2, muted=True, drop=3),
    Column("Destination", lambda its: its.destination, 104, 2, muted=True, drop=1),
    Column("Size", lambda its: words.size(its.size), 78, right=True, sort=lambda its: its.size, drop=2),
    Column(
        "Verified",
        lambda its: "",
        108,
        state=lambda its: proof_state(its, utc_now())[0],
        tip=lambda its: proof_state(its, utc_now())[1],
        sort=lambda its: proof_state(its, utc_now())[0].word,
    ),
    Column("", lambda its: "locked" if its.locked else "", 62, muted=True, drop=4),
)
