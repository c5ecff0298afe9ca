"""The vault file: what it keeps, what it never shows, and what several processes do to it at once."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import SecretMissing, SecretsError
from engine.secrets import vault as vault_module
from engine.secrets.vault import VaultSecrets

PASSPHRASE = "correct horse battery staple"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "vault.json"


def test_what_is_kept_is_read_by_another_store_of_the_same_file(path: Path) -> None:
    VaultSecrets(path, PASSPHRASE).set("source/shop/password", "gé heim ✓\n")
    assert VaultSecrets(path, lambda: PASSPHRASE).get("source/shop/password") == "gé heim ✓\n"


def test_a_missing_secret_is_told_by_its_key(path: Path) -> None:
    store = VaultSecrets(path, PASSPHRASE)
    with pytest.raises(SecretMissing, match="The vault file holds no secret named source/shop/password"):
        store.get("source/shop/password")
    store.set("other", "x")
    with pytest.raises(SecretMissing):
        store.get("source/shop/password")
    assert store.find("source/shop/password") is None


def test_a_deleted_secret_is_gone_and_a_missing_one_may_be_deleted(path: Path) -> None:
    store = VaultSecrets(path, PASSPHRASE)
    store.set("one", "1")
    store.set("two", "2")
    store.delete("one")
    store.delete("one")
    again = VaultSecrets(path, PASSPHRASE)
    assert (again.find("one"), again.find("two")) == (None, "2")


def test_scoped_stores_of_one_vault_do_not_see_each_other(path: Path) -> None:
    store = VaultSecrets(path, PASSPHRASE)
    first, second = store.scoped("a1"), store.scoped("b2")
    first.set("signing-key", "first")
    second.set("signing-key", "second")
    second.delete("signing-key")
    assert store.get("a1/signing-key") == first.get("signing-key") == "first"
    assert second.find("signing-key") is None


def test_neither_secrets_nor_keys_nor_the_passphrase_stand_in_the_file(path: Path) -> None:
    VaultSecrets(path, PASSPHRASE).set("source/shop/password", "hidden-word")
    everything = b"".join(file.read_bytes() for file in path.parent.iterdir())
    for word in (b"hidden-word", b"source/shop", b"correct horse"):
        assert word not in everything


def test_neither_repr_nor_errors_show_a_secret(path: Path) -> None:
    store = VaultSecrets(path, PASSPHRASE)
    store.set("key", "hidden-word")
    with pytest.raises(SecretsError) as caught:
        VaultSecrets(path, "another passphrase").get("key")
    shown = f"{store!r} {store.scoped('a')!r} {caught.value!r} {caught.value} {caught.value.remedy}"
    assert "hidden-word" not in shown
    assert "passphrase'" not in shown and "correct" not in shown and "another" not in shown


@pytest.mark.skipif(os.name == "nt", reason="modes are a matter of POSIX")
def test_only_the_owner_may_read_the_file_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        VaultSecrets(path, PASSPHRASE).set("key", "value")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_wrong_passphrase_is_told_apart_and_changes_nothing(path: Path) -> None:
    VaultSecrets(path, PASSPHRASE).set("key", "value")
    before = path.read_bytes()
    wrong = VaultSecrets(path, "wrong")
    for call in (lambda: wrong.get("key"), lambda: wrong.set("key", "x"), wrong.check):
        with pytest.raises(SecretsError, match="The passphrase does not open the vault"):
            call()
    assert path.read_bytes() == before


def test_the_right_passphrase_opens_it_after_a_wrong_one(path: Path) -> None:
    VaultSecrets(path, PASSPHRASE).set("key", "value")
    answers = iter(["wrong", PASSPHRASE])
    store = VaultSecrets(path, lambda: next(answers))
    with pytest.raises(SecretsError):
        store.get("key")
    assert store.get("key") == "value"


def test_an_empty_passphrase_makes_no_vault(path: Path) -> None:
    with pytest.raises(SecretsError, match="passphrase is empty"):
        VaultSecrets(path, "").set("key", "value")
    assert not path.parent.exists()


def test_an_empty_secret_is_refused(path: Path) -> None:
    with pytest.raises(SecretsError, match="empty secret"):
        VaultSecrets(path, PASSPHRASE).set("key", "")


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[: len(data) // 2], id="cut"),
        pytest.param(lambda data: b"", id="emptied"),
        pytest.param(lambda data: b"[]", id="a list"),
        pytest.param(lambda data: b'{"strongroom-vault": 1}', id="without contents"),
        pytest.param(lambda data: data.replace(b'"data": "', b'"data": "AAAA'), id="longer"),
        pytest.param(lambda data: data.replace(b'"n": 32768', b'"n": 16384'), id="another cost"),
        pytest.param(lambda data: b"[" * 100_000, id="nested deeply"),
        pytest.param(lambda data: b"\xff\xfe" + data, id="not text"),
    ],
)
def test_a_damaged_file_is_told_as_damaged_and_is_left_alone(path: Path, damage: object) -> None:
    VaultSecrets(path, PASSPHRASE).set("key", "value")
    assert callable(damage)
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    for call in (
        lambda: VaultSecrets(path, PASSPHRASE).get("key"),
        lambda: VaultSecrets(path, PASSPHRASE).set("key", "new"),
    ):
        with pytest.raises(SecretsError, match="is damaged") as caught:
            call()
        assert caught.value.remedy
    assert path.read_bytes() == damaged


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_flipped_bit_is_read_as_something_else(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "flipped" / "vault.json"
    if not path.exists():
        VaultSecrets(path, PASSPHRASE).set("key", "value")
        (tmp_path / "whole").write_bytes(path.read_bytes())
    whole = (tmp_path / "whole").read_bytes()
    position = data.draw(st.integers(0, len(whole) - 1))
    bit = data.draw(st.integers(0, 7))
    flipped = bytearray(whole)
    flipped[position] ^= 1 << bit
    path.write_bytes(bytes(flipped))
    with contextlib.suppress(SecretsError):
        assert VaultSecrets(path, PASSPHRASE).get("key") == "value"  # a flip in white space does no harm


@pytest.mark.parametrize(
    "kdf",
    [
        {"n": 2**26},
        {"n": 2**20},
        {"n": 2**30, "p": 2**10},
        {"n": 2**15 + 1},
        {"n": "32768"},
        {"n": 0},
        {"r": 2**20},
    ],
    ids=str,
)
def test_a_made_up_file_cannot_ask_for_endless_work(path: Path, kdf: dict[str, object]) -> None:
    VaultSecrets(path, PASSPHRASE).set("key", "value")
    document = json.loads(path.read_bytes())
    document["kdf"].update(kdf)
    sealed = vault_module._unbase64(document["data"])
    header = {name: value for name, value in document.items() if name not in ("data", "sha256")}
    document["sha256"] = vault_module._digest(header, sealed)
    path.write_text(json.dumps(document))
    start = time.monotonic()
    with pytest.raises(SecretsError, match="is damaged"):
        VaultSecrets(path, PASSPHRASE).get("key")
    assert time.monotonic() - start < 5


def test_a_newer_vault_is_refused_as_newer(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"strongroom-vault": 2, "data": "who knows"}')
    with pytest.raises(SecretsError, match="newer Strongroom"):
        VaultSecrets(path, PASSPHRASE).get("key")


def test_a_change_by_another_store_is_seen_without_reopening(path: Path) -> None:
    first, second = VaultSecrets(path, PASSPHRASE), VaultSecrets(path, PASSPHRASE)
    first.set("key", "one")
    assert second.get("key") == "one"
    first.set("key", "two")
    assert second.get("key") == "two"


def test_a_vault_that_was_made_anew_is_opened_with_its_own_salt(path: Path) -> None:
    first = VaultSecrets(path, PASSPHRASE)
    first.set("key", "one")
    path.unlink()
    VaultSecrets(path, PASSPHRASE).set("key", "anew")
    assert first.get("key") == "anew"


def test_no_two_writings_share_a_nonce(path: Path) -> None:
    store = VaultSecrets(path, PASSPHRASE)
    nonces = set()
    for number in range(20):
        store.set("key", str(number))
        nonces.add(json.loads(path.read_bytes())["nonce"])
    assert len(nonces) == 20


def test_two_processes_that_write_at_once_lose_nothing(path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from engine.secrets.vault import VaultSecrets\n"
        "store = VaultSecrets(Path(sys.argv[1]), sys.stdin.readline().strip())\n"
        "for i in range(40): store.set(f'{sys.argv[2]}/{i}', f'{sys.argv[2]} {i}')\n"
    )
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path), name], cwd=ROOT, stdin=subprocess.PIPE, text=True
        )
        for name in ("left", "right")
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(PASSPHRASE + "\n")
        writer.stdin.close()
        writer.stdin = None
    assert [writer.wait(60) for writer in writers] == [0, 0]
    store = VaultSecrets(path, PASSPHRASE)
    for name in ("left", "right"):
        assert [store.get(f"{name}/{i}") for i in range(40)] == [f"{name} {i}" for i in range(40)]


def test_threads_that_share_a_store_lose_nothing(path: Path) -> None:
    store = VaultSecrets(path, PASSPHRASE)
    threads = [
        threading.Thread(target=lambda n=n: [store.set(f"{n}/{i}", "x") for i in range(10)]) for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = VaultSecrets(path, PASSPHRASE)
    assert all(again.get(f"{n}/{i}") == "x" for n in range(6) for i in range(10))


def test_a_writer_killed_in_mid_write_leaves_the_old_vault_and_no_litter(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    VaultSecrets(path, PASSPHRASE).set("key", "old")
    program = (
        "import os, sys; from pathlib import Path; from engine.secrets.vault import VaultSecrets\n"
        "store = VaultSecrets(Path(sys.argv[1]), sys.stdin.readline().strip())\n"
        "os.fsync = lambda descriptor: os._exit(9)\n"
        "store.set('key', 'new')\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program, str(path)], cwd=ROOT, input=PASSPHRASE + "\n", text=True
    )
    assert killed.returncode == 9
    assert path.with_name("vault.json.new").exists()
    store = VaultSecrets(path, PASSPHRASE)
    assert store.get("key") == "old"
    store.set("key", "newer")
    assert VaultSecrets(path, PASSPHRASE).get("key") == "newer"
    assert {file.name for file in path.parent.iterdir()} <= {"vault.json", "vault.json.lock"}


def test_a_process_that_holds_the_lock_for_long_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_module, "LOCK_TIMEOUT", 0.05)
    path.parent.mkdir()
    with (
        FileLock(f"{path}.lock"),
        pytest.raises(SecretsError, match="Another process has held the vault"),
    ):
        # Another thread, as filelock takes a second lock of the same thread for a deadlock.
        _in_thread(lambda: VaultSecrets(path, PASSPHRASE).set("key", "value"))


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SecretsError, match="cannot be written") as caught:
        VaultSecrets(tmp_path / "file" / "vault.json", PASSPHRASE).set("key", "value")
    assert caught.value.remedy


def test_a_vault_that_cannot_be_read_is_told(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(SecretsError, match="cannot be read"):
        VaultSecrets(path, PASSPHRASE).get("key")


def test_the_check_makes_the_vault_and_names_it(path: Path) -> None:
    assert VaultSecrets(path, PASSPHRASE).check() == f"the vault file {path}"
    assert path.is_file()


def test_the_key_is_derived_once_for_a_store(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.hazmat.primitives.kdf import scrypt

    derived = []
    real = scrypt.Scrypt
    monkeypatch.setattr(scrypt, "Scrypt", lambda **given: derived.append(given) or real(**given))
    store = VaultSecrets(path, PASSPHRASE)
    for number in range(5):
        store.set("key", str(number))
        store.get("key")
    assert len(derived) == 1
    assert (derived[0]["n"], derived[0]["r"], derived[0]["p"]) == (2**15, 8, 2)


def _in_thread(call: object) -> None:
    raised: list[Exception] = []

    def run() -> None:
        try:
            assert callable(call)
            call()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
