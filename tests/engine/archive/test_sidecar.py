"""The sidecar: what it says to us and to strangers, and what is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.archive import sidecar as module
from engine.archive.sidecar import (
    Encryption,
    Sealed,
    Sidecar,
    open_fingerprint,
    parse,
    restore_hint,
    seal_fingerprint,
)
from engine.contract.values import Fingerprint
from engine.errors import KeyMissing, SidecarTooNew, SidecarUnreadable, StreamError
from engine.signing import Signer, Verdict

# A key of this test alone: the golden file is signed with it. Ed25519 signatures are deterministic.
SIGNER = Signer(bytes(range(32)))
TRUSTED = {SIGNER.public_key}
GOLDEN = Path(__file__).parents[1] / "golden" / "shop_2026-11-24_03-00-00_k3f9ab.dump.zst.age.meta.json"

SHOP = Sidecar(
    installation_id="0123456789abcdef",
    execution_id="k3f9abcdefgh",
    job_id="jobjobjobjob",
    job="shop-nightly",
    source="shop",
    engine="postgresql",
    engine_version="15.18",
    tool_version="15.18",
    database="shop",
    set_id="k3f9abcdefgh",
    databases=("café", "shop"),
    artifact="shop-nightly/shop_2026-11-24_03-00-00_k3f9ab.dump.zst.age",
    format="dump",
    created_at=datetime(2026, 11, 24, 3, 0, tzinfo=UTC),
    size=7_654_321,
    dump_size=98_765_432_100,
    checksum="5d41402abc4b2a76b9719d911017c592" * 2,
    compression="zstd:3",
    encryption=Encryption(
        "age", ("age1lrgfasffq7g32phzld0d7dn0z5jw75896lys2eyhsxx8n28lpamqc23gy4",), ("default",)
    ),
    trigger="schedule",
    restore_command="pg_restore -d shop",
    fingerprint=Sealed("YWdlLWVuY3J5cHRpb24ub3JnL3YxCg=="),
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
COUNTS = st.integers(0, 2**53 - 1)
MOMENTS = st.datetimes(timezones=st.just(UTC))
FINGERPRINTS = st.builds(Fingerprint, st.dictionaries(TEXT, COUNTS, max_size=4), st.booleans())


@st.composite
def sidecars(draw: st.DrawFn) -> Sidecar:
    databases = draw(st.lists(TEXT, min_size=1, max_size=3, unique=True))
    words = {
        name: draw(TEXT)
        for name in ("job", "source", "engine", "artifact", "format", "trigger", "set_id", "job_id")
    }
    return replace(
        SHOP,
        **words,
        databases=tuple(databases),
        database=databases[0],
        tool_version=draw(st.just("") | TEXT),
        created_at=draw(MOMENTS),
        size=draw(COUNTS),
        dump_size=draw(COUNTS),
        compression=draw(st.sampled_from(["none", "zstd:3", "gzip:2", "brotli:11"])),
        encryption=draw(st.none() | st.builds(Encryption, st.just("age"), st.tuples(TEXT), st.tuples(TEXT))),
        fingerprint=draw(st.none() | FINGERPRINTS | st.builds(Sealed, TEXT)),
    )


def document(sidecar: Sidecar = SHOP) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sidecar.to_json(SIGNER))
    return found


def signed(changed: Mapping[str, Any]) -> bytes:
    return json.dumps(SIGNER.sign(changed)).encode()


def test_the_golden_file_is_what_we_write_and_read() -> None:
    """A change here is a change of the format; sidecars are never rewritten, so old ones must be read."""
    golden = GOLDEN.read_bytes()
    assert SHOP.to_json(SIGNER) == golden
    read = parse(golden)
    assert read == SHOP
    assert read.check(TRUSTED) is Verdict.VALID
    assert read.signed_by == SIGNER.public_key


@given(sidecar=sidecars())
def test_what_is_written_is_read_again_with_a_valid_signature(sidecar: Sidecar) -> None:
    read = parse(sidecar.to_json(SIGNER))
    assert read == sidecar
    assert read.check(TRUSTED) is Verdict.VALID
    assert read.check(()) is Verdict.STRANGER


@given(sidecar=sidecars(), name=st.sampled_from(sorted(document())), value=st.none() | TEXT | COUNTS)
def test_no_field_can_be_changed_unseen(sidecar: Sidecar, name: str, value: Any) -> None:
    changed = document(sidecar)
    if changed[name] == value:
        return
    changed[name] = value
    try:
        read = parse(json.dumps(changed).encode())
    except (SidecarUnreadable, SidecarTooNew):
        return
    assert read.check(TRUSTED) is Verdict.TAMPERED


def test_a_sidecar_without_its_signature_is_unsigned() -> None:
    bare = document()
    del bare["signature"]
    assert parse(json.dumps(bare).encode()).check(TRUSTED) is Verdict.UNSIGNED


def test_fields_of_a_later_minor_version_are_left_alone_and_signed() -> None:
    later = {**document(), "version": "1.7", "something": {"new": [1, 2]}}
    read = parse(signed(later))
    assert (read.version, read.check(TRUSTED)) == ("1.7", Verdict.VALID)
    later["something"] = "changed"
    assert parse(json.dumps({**json.loads(signed(later)), "something": 3}).encode()).check(TRUSTED) is (
        Verdict.TAMPERED
    )


@pytest.mark.parametrize("version", ["2.0", "17.3"])
def test_a_newer_major_version_is_refused_whatever_else_it_holds(version: str) -> None:
    with pytest.raises(SidecarTooNew, match=f"version {version}; this Strongroom reads up to 1.0") as caught:
        parse(signed({"kind": "strongroom/backup", "version": version}))
    assert "newer Strongroom" in caught.value.remedy


@pytest.mark.parametrize("version", [None, 1, "1", "one", "1.0.0", "", "-1.0"])
def test_a_version_that_is_none_is_unreadable(version: object) -> None:
    with pytest.raises(SidecarUnreadable, match="version"):
        parse(signed({**document(), "version": version}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "strongroom/lock"),
        ("job", ""),
        ("job", 5),
        ("databases", "shop"),
        ("databases", ["shop", 5]),
        ("databases", ["other"]),
        ("size", -1),
        ("size", 1.5),
        ("size", True),
        ("size", "5"),
        ("created_at", "2026-11-24T03:00:00"),
        ("created_at", "yesterday"),
        ("created_at", "0001-01-01T00:00:00+14:00"),
        ("checksum", "5D41402ABC4B2A76B9719D911017C592" * 2),
        ("checksum", "abc"),
        ("compression", "zstd; rm -rf /"),
        ("encryption", "age"),
        ("encryption", {"algorithm": "age", "recipients": "age1"}),
        ("fingerprint", [1]),
        ("fingerprint", {"sealed": 5}),
        ("fingerprint", {"consistent": True, "tables": {"a": -1}}),
        ("fingerprint", {"consistent": "yes", "tables": {}}),
    ],
)
def test_a_field_that_is_wrong_is_named(name: str, value: object) -> None:
    with pytest.raises(SidecarUnreadable) as caught:
        parse(signed({**document(), name: value}))
    assert name in caught.value.message or "database" in caught.value.message


@pytest.mark.parametrize(
    "name", sorted(set(document()) - {"restore", "signature", "fingerprint", "encryption"})
)
def test_a_field_that_is_missing_is_named(name: str) -> None:
    without = {key: value for key, value in document().items() if key != name}
    with pytest.raises(SidecarUnreadable, match=name):
        parse(signed(without))


@pytest.mark.parametrize(
    "data", [b"", b"not JSON", b"[]", b"null", b"\x00" * 100, b'{"job": "x"}', b'{"version": 1}', b"{}"]
)
def test_what_is_no_sidecar_is_unreadable(data: bytes) -> None:
    with pytest.raises(SidecarUnreadable):
        parse(data)


def test_a_sidecar_past_all_measure_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    with pytest.raises(SidecarUnreadable, match="larger than 100 bytes"):
        parse(SHOP.to_json(SIGNER))


@given(data=st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with pytest.raises(SidecarUnreadable):
        parse(data)


@given(cut=st.integers(0, len(SHOP.to_json(SIGNER)) - 3))
def test_a_cut_sidecar_is_unreadable(cut: int) -> None:
    with pytest.raises(SidecarUnreadable):
        parse(SHOP.to_json(SIGNER)[:cut])


def test_times_are_kept_in_utc() -> None:
    local = SHOP.created_at.astimezone(timezone(timedelta(hours=5, minutes=30)))
    read = parse(replace(SHOP, created_at=local).to_json(SIGNER))
    assert read.created_at == SHOP.created_at
    assert document(replace(SHOP, created_at=local))["created_at"] == "2026-11-24T03:00:00Z"


def test_numbers_and_unicode_stay_as_they_are() -> None:
    odd = replace(
        SHOP, dump_size=2**53 - 1, database="Ünï😀\u2028", databases=("Ünï😀\u2028",), job='a\\"b\t'
    )
    read = parse(odd.to_json(SIGNER))
    assert read == odd and read.check(TRUSTED) is Verdict.VALID
    with pytest.raises(ValueError):
        replace(SHOP, size=2**53).to_json(SIGNER)


@pytest.mark.parametrize(
    ("lies_at", "ours"),
    [
        ("shop-nightly/shop_2026-11-24_03-00-00_k3f9ab.dump.zst.age", True),
        ("shop_2026-11-24_03-00-00_k3f9ab.dump.zst.age", True),
        ("old/disk/shop-nightly/shop_2026-11-24_03-00-00_k3f9ab.dump.zst.age", True),
        ("other/shop_2026-11-24_03-00-00_k3f9ab.dump.zst.age", False),
        ("shop-nightly/shop_2026-11-25_03-00-00_x1y2z3.dump.zst.age", False),
        ("shop-nightly/xshop_2026-11-24_03-00-00_k3f9ab.dump.zst.age", False),
    ],
)
def test_a_sidecar_says_whose_it_is(lies_at: str, ours: bool) -> None:
    assert SHOP.describes(lies_at) is ours


def test_the_restore_hint_is_a_pipeline_of_standard_tools() -> None:
    assert SHOP.restore_hint == (
        "age -d -i KEY.txt shop-nightly/shop_2026-11-24_03-00-00_k3f9ab.dump.zst.age"
        " | zstd -d | pg_restore -d shop"
    )
    assert document()["restore"] == SHOP.restore_hint
    assert restore_hint("a b.sqlite.gz", "gzip", False, "cat > x") == "gzip -d < 'a b.sqlite.gz' | cat > x"
    assert restore_hint("a.br", "brotli", False, "") == "brotli -d < a.br"
    assert restore_hint("a.dump", "none", False, "pg_restore -d a") == "pg_restore -d a < a.dump"
    assert (
        restore_hint("a.age", "none", True, "pg_restore -d a") == "age -d -i KEY.txt a.age | pg_restore -d a"
    )


def test_the_algorithm_is_known_without_the_level() -> None:
    assert SHOP.compression_algorithm == "zstd"
    assert replace(SHOP, compression="none").compression_algorithm == "none"


def test_a_fingerprint_is_sealed_to_the_recipients() -> None:
    identity, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    plain = Fingerprint({"public.geheim": 5, "public.orders": 300_000}, consistent=True)
    sealed = seal_fingerprint(plain, [str(identity.to_public())])
    assert isinstance(sealed, Sealed)
    written = replace(SHOP, fingerprint=sealed).to_json(SIGNER)
    assert b"geheim" not in written and b"300000" not in written
    read = parse(written).fingerprint
    assert open_fingerprint(read, [str(other), str(identity)]) == plain
    with pytest.raises(KeyMissing):
        open_fingerprint(read, [str(other)])
    # It is an ordinary age file: nobody needs Strongroom for it.
    assert json.loads(pyrage.decrypt(base64.b64decode(sealed.data), [identity])) == {
        "consistent": True,
        "tables": {"public.geheim": 5, "public.orders": 300_000},
    }


def test_without_encryption_a_fingerprint_is_in_plain() -> None:
    plain = Fingerprint({"orders": 5}, consistent=False)
    assert seal_fingerprint(plain, []) is plain
    assert document(replace(SHOP, encryption=None, fingerprint=plain))["fingerprint"] == {
        "consistent": False,
        "tables": {"orders": 5},
    }
    assert open_fingerprint(plain, []) is plain
    assert seal_fingerprint(None, ["age1"]) is None
    assert open_fingerprint(None, []) is None


def test_a_damaged_seal_is_told() -> None:
    identity = pyrage.x25519.Identity.generate()
    sealed = seal_fingerprint(Fingerprint({"a": 1}, consistent=True), [str(identity.to_public())])
    assert isinstance(sealed, Sealed)
    data = bytearray(base64.b64decode(sealed.data))
    data[-1] ^= 1
    for damaged in (base64.b64encode(bytes(data)).decode(), "not base64!", ""):
        with pytest.raises(StreamError):
            open_fingerprint(Sealed(damaged), [str(identity)])
    nonsense = base64.b64encode(pyrage.encrypt(b"[]", [identity.to_public()])).decode()
    with pytest.raises(StreamError, match="damaged"):
        open_fingerprint(Sealed(nonsense), [str(identity)])
