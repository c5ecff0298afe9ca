"""Signatures: what each verdict means, what exactly is signed, and that outsiders can check it."""

from __future__ import annotations

import base64
import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import SidecarUnreadable
from engine.signing import (
    _WEAK_KEYS,
    Signer,
    Verdict,
    among,
    check,
    is_public_key,
    message,
    read_document,
    signed_by,
)
from tests.parts.programs import required_program

# RFC 8032, section 7.1, TEST 1.
RFC8032_SEED = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
RFC8032_PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"

SAFE_INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | SAFE_INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(TEXT.filter(lambda name: name != "signature"), JSON_VALUES, max_size=6)

SIGNER = Signer.from_text(RFC8032_SEED)
OURS = {SIGNER.public_key}
ZEROS = base64.b64encode(bytes(64)).decode()


def test_the_key_is_that_of_the_specification() -> None:
    assert SIGNER.public_key == RFC8032_PUBLIC


def test_a_key_kept_as_text_signs_as_before() -> None:
    signer = Signer.generate()
    again = Signer.from_text(signer.secret_text())
    assert again.public_key == signer.public_key
    assert again.sign({"a": 1}) == signer.sign({"a": 1})


def test_a_generated_key_is_another_each_time_and_its_repr_is_public() -> None:
    first, second = Signer.generate(), Signer.generate()
    assert first.public_key != second.public_key
    assert first.secret_text() not in repr(first)


@given(document=DOCUMENTS)
def test_what_was_signed_is_valid_after_a_trip_through_json(document: dict[str, Any]) -> None:
    signed = json.loads(json.dumps(SIGNER.sign(document), indent=3, ensure_ascii=True))
    assert check(signed, OURS) is Verdict.VALID
    assert check(dict(reversed(signed.items())), OURS) is Verdict.VALID
    assert check(signed, set()) is Verdict.STRANGER
    assert check(signed, {Signer.generate().public_key}) is Verdict.STRANGER


@given(document=DOCUMENTS, name=TEXT.filter(lambda name: name != "signature"), value=JSON_VALUES)
def test_any_other_value_is_tampered(document: dict[str, Any], name: str, value: Any) -> None:
    signed = SIGNER.sign(document)
    changed = {**signed, name: value}
    # 1, 1.0 and True are equal to Python; RFC 8785 tells the last one apart.
    expected = Verdict.VALID if message(changed) == message(signed) else Verdict.TAMPERED
    assert check(changed, OURS) is expected
    if name not in document:
        assert expected is Verdict.TAMPERED


@given(document=DOCUMENTS.filter(bool), data=st.data())
def test_a_value_taken_out_is_tampered(document: dict[str, Any], data: st.DataObject) -> None:
    signed = SIGNER.sign(document)
    del signed[data.draw(st.sampled_from(sorted(document)))]
    assert check(signed, OURS) is Verdict.TAMPERED


def test_no_signature_is_unsigned() -> None:
    assert check({"a": 1}, OURS) is Verdict.UNSIGNED


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "text",
        [],
        {},
        {"algorithm": "ed25519"},
        {"algorithm": "none", "public_key": RFC8032_PUBLIC, "value": ""},
        {"algorithm": "ed25519", "public_key": RFC8032_PUBLIC},
        {"algorithm": "ed25519", "public_key": RFC8032_PUBLIC, "value": None},
        {"algorithm": "ed25519", "public_key": RFC8032_PUBLIC, "value": "not base64"},
        {"algorithm": "ed25519", "public_key": RFC8032_PUBLIC, "value": "AAAA"},
        {"algorithm": "ed25519", "public_key": RFC8032_PUBLIC.upper(), "value": "AAAA"},
        {"algorithm": "ed25519", "public_key": ["x"], "value": "AAAA"},
        {"algorithm": "ed25519", "public_key": "00" * 32, "value": ZEROS},
        {
            "algorithm": "ed25519",
            "public_key": "00" * 31 + "80",
            "value": base64.b64encode(bytes(64)).decode(),
        },
    ],
)
def test_a_signature_that_is_none_is_tampered(signature: object) -> None:
    assert check({"a": 1, "signature": signature}, OURS) is Verdict.TAMPERED


def test_the_named_key_and_algorithm_are_signed_too() -> None:
    signed = SIGNER.sign({"a": 1})
    for change in ({"algorithm": "ED25519"}, {"public_key": Signer.generate().public_key}, {"note": "hello"}):
        changed = copy.deepcopy(signed)
        changed["signature"].update(change)
        assert check(changed, OURS | {str(change.get("public_key"))}) is Verdict.TAMPERED


def test_another_ones_signature_is_a_strangers_until_trusted() -> None:
    other = Signer.generate()
    signed = other.sign({"a": 1})
    assert check(signed, OURS) is Verdict.STRANGER
    assert check(signed, OURS | {other.public_key}) is Verdict.VALID
    assert signed_by(signed) == other.public_key


def test_a_key_of_small_order_is_no_key() -> None:
    """Under such a key one signature fits many documents. RFC 8032, section 5.1: the curve."""
    prime = 2**255 - 19
    d = -121665 * pow(121666, -1, prime) % prime

    def point(encoded: str) -> tuple[int, int]:
        y = int.from_bytes(bytes.fromhex(encoded), "little") % prime
        square = (y * y - 1) * pow(d * y * y + 1, -1, prime) % prime
        x = pow(square, (prime + 3) // 8, prime)
        if (x * x - square) % prime:
            x = x * pow(2, (prime - 1) // 4, prime) % prime
        assert (x * x - square) % prime == 0
        return x, y

    def double(of: tuple[int, int]) -> tuple[int, int]:
        x, y = of
        product = d * x * x * y * y
        return (
            2 * x * y * pow(1 + product, -1, prime) % prime,
            (y * y + x * x) * pow(1 - product, -1, prime) % prime,
        )

    assert len(_WEAK_KEYS) == 7
    for encoded in _WEAK_KEYS:
        assert double(double(double(point(encoded)))) == (0, 1)
        assert not is_public_key(encoded)
    assert double(double(double(point(RFC8032_PUBLIC)))) != (0, 1)
    assert is_public_key(RFC8032_PUBLIC)


def test_signing_again_replaces_the_signature() -> None:
    other = Signer.generate()
    assert SIGNER.sign(other.sign({"a": 1})) == SIGNER.sign({"a": 1})


def test_only_a_valid_one_proves_anything_and_each_has_words() -> None:
    assert [verdict for verdict in Verdict if verdict.proves] == [Verdict.VALID]
    assert len({verdict.words for verdict in Verdict}) == len(Verdict)


def test_a_signature_missing_where_others_have_one_was_taken_away() -> None:
    assert among(Verdict.UNSIGNED, [Verdict.UNSIGNED, Verdict.VALID]) is Verdict.TAMPERED
    assert among(Verdict.UNSIGNED, [Verdict.STRANGER]) is Verdict.TAMPERED
    assert among(Verdict.UNSIGNED, [Verdict.UNSIGNED]) is Verdict.UNSIGNED
    assert among(Verdict.VALID, [Verdict.TAMPERED]) is Verdict.VALID


# RFC 8785: appendix B for numbers, section 3.2.2.2 for strings, section 3.2.3 for the order of names.
@pytest.mark.parametrize(
    ("value", "form"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (9007199254740992.0, "9007199254740992"),
        (295147905179352830000.0, "295147905179352830000"),
        (9.999999999999997e22, "9.999999999999997e+22"),
        (1e23, "1e+23"),
        (1e21, "1e+21"),
        (999999999999999900000.0, "999999999999999900000"),
        (9.999999999999997e-7, "9.999999999999997e-7"),
        (0.000001, "0.000001"),
        (333333333.3333332, "333333333.3333332"),
        (1.0, "1"),
        (4.50, "4.5"),
        (1424953923781206.2, "1424953923781206.2"),
        (True, "true"),
        (None, "null"),
        ('€$\x0f\nA\'B"\\\\"/', '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'),
        ("\x7f\u2028é", '"\x7f\u2028é"'),
    ],
)
def test_the_signed_form_is_that_of_rfc_8785(value: Any, form: str) -> None:
    assert message({"v": value}) == f'{{"v":{form}}}'.encode()


def test_names_are_ordered_by_their_utf_16_units() -> None:
    document = {"€": 1, "\r": 2, "\ufb33": 3, "1": 4, "😀": 5, "\x80": 6, "ö": 7}
    names = list(json.loads(message(document)))
    assert names == ["\r", "1", "\x80", "ö", "€", "😀", "\ufb33"]


def test_composed_and_decomposed_letters_stay_apart() -> None:
    signed = SIGNER.sign({"database": "caf\u00e9"})
    assert check({**signed, "database": "cafe\u0301"}, OURS) is Verdict.TAMPERED


@pytest.mark.parametrize(
    "value", [2**53, -(2**53), float("nan"), float("inf"), "\ud800", {"\udc00": 1}, {1: "a"}, b"bytes"]
)
def test_what_json_cannot_say_is_not_signed_and_never_valid(value: Any) -> None:
    with pytest.raises(ValueError):
        SIGNER.sign({"v": value})
    signed = SIGNER.sign({"v": 1})
    assert check({**signed, "v": value}, OURS) is Verdict.TAMPERED


def test_a_deeply_nested_document_is_tampered_rather_than_a_crash() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    signed = {**SIGNER.sign({"v": 1}), "v": nested}
    try:
        assert check(signed, OURS) is Verdict.TAMPERED
    finally:
        while nested:  # Python frees such a list recursively otherwise
            nested = nested.pop()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"a": 1, "a": 2}', "stands twice"),
        (b'{"b": {"a": 1, "a": 1}}', "stands twice"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b'{"a": -Infinity}', "no JSON number"),
        (b'{"a": ' + b"[" * 100_000, "not valid JSON"),
        (b'{"a": 1} trailing', "not valid JSON"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "not valid JSON"),
        (b" " * 1025, "larger than 1024 bytes"),
    ],
)
def test_documents_are_read_strictly(data: bytes, said: str) -> None:
    with pytest.raises(SidecarUnreadable, match=said) as caught:
        read_document(
            data, most=1024 if data == b" " * 1025 else 1 << 20, refuse=SidecarUnreadable, what="It"
        )
    assert caught.value.message.startswith("It ")


@settings(max_examples=300)
@given(data=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
def test_no_bytes_make_the_reader_raise_anything_else(data: bytes) -> None:
    try:
        read = read_document(data, most=1 << 20, refuse=SidecarUnreadable, what="It")
    except SidecarUnreadable:
        return
    assert check(read, OURS) in Verdict


def test_openssl_alone_can_check_a_signature(tmp_path: Path) -> None:
    """The way that docs/formats.md tells strangers."""
    openssl = required_program("openssl", package="openssl")
    signed = SIGNER.sign({"artifact": "shop/shop.dump.zst.age", "size": 12, "database": "café"})
    value = signed["signature"].pop("value")
    # For integers and plain names, sorted compact JSON is the RFC 8785 form.
    text = json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    (tmp_path / "message").write_bytes(text.encode())
    (tmp_path / "signature").write_bytes(base64.b64decode(value))
    # RFC 8410: an Ed25519 public key in DER is this prefix and its 32 bytes.
    der = bytes.fromhex("302a300506032b6570032100" + signed["signature"]["public_key"])
    (tmp_path / "key.der").write_bytes(der)
    command = [openssl, "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key.der", "-rawin"]
    command += ["-in", "message", "-sigfile", "signature"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (tmp_path / "message").write_bytes(text.replace("12", "13").encode())
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode != 0
