"""Locks and proofs beside an artifact: a lock fails safe, a proof counts only when it is sure to be ours."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.archive.sidefiles import (
    Check,
    Proof,
    artifact_of,
    make_lock,
    parse_lock,
    parse_proof,
    read_proof,
)
from engine.errors import SidecarTooNew, SidecarUnreadable
from engine.signing import Signer, Verdict

SIGNER = Signer(bytes(range(32)))
OURS = {SIGNER.public_key}
AT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
ARTIFACT = "shop/shop_2026-11-24_03-00-00_k3f9ab.dump.zst.age"
SUM = "5d41402abc4b2a76b9719d911017c592" * 2
LOCK = make_lock(ARTIFACT, SUM, at=AT, installation_id="abc", signer=SIGNER, reason="before the migration")
PASSED = Check("decode", "passed", AT, duration=1.25, installation_id="abc")
FAILED = Check("checksum", "failed", AT, "byte 17 was flipped")
UNSURE = Check("checksum", "could-not-verify", AT, "the server did not answer")
DRILLED = Check("drill", "passed", AT + timedelta(hours=1), duration=7.5)
PROOF = Proof(ARTIFACT, SUM, verification=PASSED, drill=DRILLED)


def resigned(data: bytes, **changes: Any) -> bytes:
    return json.dumps(SIGNER.sign({**json.loads(data), **changes})).encode()


@pytest.mark.parametrize("suffix", [".meta.json", ".lock.json", ".proof.json"])
def test_a_file_beside_an_artifact_is_known_by_its_suffix(suffix: str) -> None:
    assert artifact_of(f"{ARTIFACT}{suffix}") == ARTIFACT
    assert artifact_of(suffix) is None


def test_an_artifact_lies_beside_none() -> None:
    assert artifact_of(ARTIFACT) is None
    assert artifact_of("shop/notes.json") is None


def test_a_lock_says_when_by_whom_and_why() -> None:
    lock = parse_lock(LOCK, OURS)
    assert (lock.locked_at, lock.installation_id, lock.reason, lock.problem) == (
        AT,
        "abc",
        "before the migration",
        "",
    )
    assert json.loads(LOCK)["artifact"] == ARTIFACT


@given(data=st.binary(max_size=100) | st.integers(0, len(LOCK)).map(lambda cut: LOCK[:cut]))
def test_a_lock_that_cannot_be_read_locks_and_says_so(data: bytes) -> None:
    lock = parse_lock(data, OURS)
    assert bool(lock.problem) is (data.strip() != LOCK.strip())
    if lock.problem:
        assert lock.problem.endswith("locks all the same.")


def test_a_changed_or_foreign_or_newer_lock_locks_too() -> None:
    changed = json.dumps({**json.loads(LOCK), "reason": "none"}).encode()
    assert "changed after it was signed" in parse_lock(changed, OURS).problem
    assert "not trusted here" in parse_lock(LOCK, ()).problem
    assert "version 2.0" in parse_lock(resigned(LOCK, version="2.0"), OURS).problem
    for data in (changed, resigned(LOCK, version="2.0"), b""):
        assert parse_lock(data, OURS).problem.endswith("locks all the same.")


def test_a_proof_is_read_as_it_was_written() -> None:
    read, problem = read_proof(PROOF.to_json(SIGNER), checksum=SUM, trusted=OURS)
    assert (read, problem) == (PROOF, "")
    assert parse_proof(PROOF.to_json(SIGNER)).check(OURS) is Verdict.VALID


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not valid JSON"),
        (LOCK, "kind is not strongroom/proof"),
        (json.dumps({**json.loads(PROOF.to_json(SIGNER)), "drill": None}).encode(), "was changed"),
        (Proof(ARTIFACT, SUM, PASSED).to_json(Signer(bytes(32))), "not trusted here"),
        (Proof(ARTIFACT, "0" * 64, PASSED).to_json(SIGNER), "another artifact"),
        (resigned(PROOF.to_json(SIGNER), version="3.1"), "version 3.1"),
    ],
)
def test_a_proof_that_is_not_surely_ours_proves_nothing(data: bytes, why: str) -> None:
    proof, problem = read_proof(data, checksum=SUM, trusted=OURS)
    assert proof is None
    assert why in problem


def test_an_unsigned_proof_proves_nothing() -> None:
    document = json.loads(PROOF.to_json(SIGNER))
    del document["signature"]
    assert read_proof(json.dumps(document).encode(), checksum=SUM, trusted=OURS) == (
        None,
        "The proof is not signed.",
    )


@pytest.mark.parametrize(
    "change",
    [
        {"verification": {**json.loads(PROOF.to_json(SIGNER))["verification"], "outcome": "fine"}},
        {"verification": {**json.loads(PROOF.to_json(SIGNER))["verification"], "level": "glance"}},
        {"verification": {**json.loads(PROOF.to_json(SIGNER))["verification"], "at": "now"}},
        {"verification": {"level": "decode"}},
        {"verification": "passed"},
        {"checksum": None},
    ],
)
def test_a_wrong_field_makes_a_proof_unreadable(change: dict[str, Any]) -> None:
    with pytest.raises(SidecarUnreadable):
        parse_proof(resigned(PROOF.to_json(SIGNER), **change))


def test_a_newer_proof_is_told_as_newer() -> None:
    with pytest.raises(SidecarTooNew):
        parse_proof(resigned(PROOF.to_json(SIGNER), version="2.0"))


def test_the_latest_check_is_the_later_one() -> None:
    assert PROOF.latest == DRILLED
    assert replace(PROOF, drill=None).latest == PASSED
    assert Proof(ARTIFACT, SUM).latest is None


def test_a_new_check_takes_the_place_of_its_own_kind_alone() -> None:
    later = replace(PASSED, at=AT + timedelta(days=1), level="checksum")
    assert PROOF.with_check(later) == replace(PROOF, verification=later)
    drilled = replace(DRILLED, outcome="failed", reason="a table is missing")
    assert PROOF.with_check(drilled) == replace(PROOF, drill=drilled)


def test_what_was_found_broken_stays_so_until_a_check_passes() -> None:
    broken = Proof(ARTIFACT, SUM).with_check(FAILED)
    assert broken.with_check(UNSURE).failed == FAILED
    assert broken.with_check(UNSURE).with_check(PASSED).failed is None
    assert Proof(ARTIFACT, SUM).with_check(PASSED).with_check(UNSURE).verification == UNSURE
    assert broken.with_check(DRILLED).failed == FAILED
