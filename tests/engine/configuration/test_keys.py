"""Keys: made, listed, exported and imported; signing keys made once and trusted explicitly."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from engine.configuration.keys import Keys
from engine.errors import NoKeyring, NotFound, SecretMissing, UsageError
from engine.secrets.base import SecretStore, missing
from engine.signing import Signer, Verdict, check
from engine.store.database import Store
from tests.parts.programs import required_program


class Drawer(SecretStore):
    """Secrets in a dictionary."""

    title = "the drawer"

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def get(self, key: str) -> str:
        if key not in self.kept:
            raise missing(self.title, key)
        return self.kept[key]

    def set(self, key: str, secret: str) -> None:
        self.kept[key] = secret

    def delete(self, key: str) -> None:
        self.kept.pop(key, None)

    def check(self) -> str:
        return self.title


class NoDrawer(Drawer):
    """A machine without any keyring."""

    def get(self, key: str) -> str:
        raise NoKeyring("none")

    def set(self, key: str, secret: str) -> None:
        raise NoKeyring("none")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "strongroom.db")
    yield opened
    opened.close()


@pytest.fixture
def other_store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "other.db")
    yield opened
    opened.close()


@pytest.fixture
def drawer() -> Drawer:
    return Drawer()


@pytest.fixture
def keys(store: Store, drawer: Drawer) -> Keys:
    return Keys(store, drawer)


def test_a_new_key_encrypts_by_its_recipient_and_opens_by_its_identity(keys: Keys) -> None:
    key = keys.new("default")
    assert keys.recipient("default") == key.recipient
    sealed = pyrage.encrypt(b"hello", [pyrage.x25519.Recipient.from_str(key.recipient)])
    (identity,) = keys.identities()
    assert pyrage.decrypt(sealed, [pyrage.x25519.Identity.from_str(identity)]) == b"hello"
    assert keys.list() == [key] and keys.get("default") == key and key.has_identity


def test_the_identity_lies_with_the_secrets_alone(keys: Keys, drawer: Drawer, tmp_path: Path) -> None:
    keys.new("default")
    keys.signer()
    (identity,) = keys.identities()
    seed = keys.signer().secret_text()
    assert set(drawer.kept.values()) == {identity, seed}
    for file in tmp_path.iterdir():
        data = file.read_bytes()
        assert identity.encode() not in data and seed.encode() not in data


def test_a_missing_key_is_told_with_the_command_that_makes_it(keys: Keys) -> None:
    for call in (keys.recipient, keys.get, keys.export):
        with pytest.raises(NotFound, match="There is no key named 'default'") as caught:
            call("default")
        assert "`strongroom keys new default` makes it." in caught.value.remedy
    keys.new("vault")
    with pytest.raises(NotFound) as caught:
        keys.recipient("default")
    assert "vault" in caught.value.remedy


@pytest.mark.parametrize("name", ["", " ", " x", "x ", "a\nb", "a\0", "none", "x" * 65])
def test_a_name_that_is_none_is_refused_before_anything_is_kept(
    keys: Keys, drawer: Drawer, name: str
) -> None:
    with pytest.raises(UsageError):
        keys.new(name)
    assert drawer.kept == {} and keys.list() == []


def test_a_taken_name_is_refused_and_the_old_key_stays(keys: Keys, drawer: Drawer) -> None:
    key = keys.new("default")
    before = dict(drawer.kept)
    with pytest.raises(UsageError, match="already"):
        keys.new("default")
    assert (keys.list(), drawer.kept) == ([key], before)


def test_a_key_is_not_made_where_its_secret_cannot_be_kept(store: Store) -> None:
    keys = Keys(store, NoDrawer())
    with pytest.raises(NoKeyring):
        keys.new("default")
    assert keys.list() == []


def test_identities_can_be_asked_for_by_recipient_and_lost_ones_are_left_out(
    keys: Keys, drawer: Drawer
) -> None:
    one, two = keys.new("one"), keys.new("two")
    assert len(keys.identities()) == 2
    (identity,) = keys.identities([two.recipient])
    assert str(pyrage.x25519.Identity.from_str(identity).to_public()) == two.recipient
    drawer.delete(f"key/{one.recipient}")
    assert keys.identities() == [identity]
    with pytest.raises(SecretMissing):
        keys.export("one")


def test_encrypting_and_checking_ask_for_no_keyring(store: Store, keys: Keys) -> None:
    key = keys.new("default")
    public_key = keys.signer().public_key
    without = Keys(store, NoDrawer())
    assert without.recipient("default") == key.recipient
    assert without.trusted() == {public_key}


def test_an_export_is_an_age_identity_file_that_says_whose_it_is(keys: Keys) -> None:
    key = keys.new("default")
    assert key.exported_at is None
    text = keys.export("default")
    assert text.splitlines()[0] == "# Strongroom key: default"
    assert f"# public key: {key.recipient}" in text
    assert f"# signed by ed25519 {keys.signer().public_key}" in text
    assert text.splitlines()[-1] == keys.identities()[0]
    assert keys.get("default").exported_at is not None


def test_age_itself_reads_an_export(keys: Keys, tmp_path: Path) -> None:
    age = required_program("age", package="age")
    key = keys.new("default")
    (tmp_path / "key.txt").write_text(keys.export("default"))
    sealed = pyrage.encrypt(b"hello", [pyrage.x25519.Recipient.from_str(key.recipient)])
    done = subprocess.run([age, "-d", "-i", str(tmp_path / "key.txt")], input=sealed, capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"hello"), done.stderr


def test_a_fresh_installation_takes_over_key_and_trust(keys: Keys, other_store: Store) -> None:
    key = keys.new("default")
    signed = keys.signer().sign({"a": 1})
    fresh = Keys(other_store, Drawer())
    assert check(signed, fresh.trusted()) is Verdict.STRANGER
    imported = fresh.import_(keys.export("default"))
    assert (imported.key.name, imported.key.recipient) == ("default", key.recipient)
    assert (imported.created, imported.identity_added) == (True, True)
    assert imported.trusted == (keys.signer().public_key,)
    assert check(signed, fresh.trusted()) is Verdict.VALID
    assert fresh.identities() == keys.identities()
    # Our own signature is still our own.
    assert fresh.signer().public_key != keys.signer().public_key


def test_importing_again_changes_nothing(keys: Keys) -> None:
    key = keys.new("default")
    again = keys.import_(keys.export("default"), "another")
    assert (again.created, again.identity_added, again.trusted) == (False, False, ())
    assert again.key.id == key.id and [each.name for each in keys.list()] == ["default"]


def test_importing_again_mends_what_the_keyring_lost(keys: Keys, drawer: Drawer) -> None:
    key = keys.new("default")
    text = keys.export("default")
    drawer.delete(f"key/{key.recipient}")
    assert keys.identities() == []
    keys.import_(text)
    assert len(keys.identities()) == 1


def test_a_public_half_encrypts_only_until_its_secret_half_comes(keys: Keys, other_store: Store) -> None:
    key = keys.new("default")
    server = Keys(other_store, Drawer())
    imported = server.import_(f"  {key.recipient}\n", "offsite")
    assert (imported.key.has_identity, imported.identity_added, imported.trusted) == (False, False, ())
    assert server.recipient("offsite") == key.recipient
    assert server.identities() == []
    with pytest.raises(UsageError, match="Only the public half"):
        server.export("offsite")
    later = server.import_(keys.export("default"))
    assert (later.created, later.identity_added, later.key.name) == (False, True, "offsite")
    assert server.identities() == keys.identities()
    assert server.get("offsite").has_identity


def test_a_file_of_age_keygen_is_taken_under_the_default_name(keys: Keys) -> None:
    identity = pyrage.x25519.Identity.generate()
    text = f"# created: 2026-11-24T03:00:00Z\n# public key: {identity.to_public()}\n{identity}\n"
    imported = keys.import_(text)
    assert (imported.key.name, imported.trusted) == ("default", ())
    with pytest.raises(UsageError, match="already"):
        keys.import_(str(pyrage.x25519.Identity.generate()))
    assert keys.import_(str(pyrage.x25519.Identity.generate()), "second").key.name == "second"


IDENTITY = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33"  # age's own test key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment",
        "hello",
        "AGE-SECRET-KEY-1hidden",
        "age1hidden",
        "-----BEGIN AGE ENCRYPTED FILE-----",
        "ssh-ed25519 AAAA",
        f"{IDENTITY}\n{IDENTITY}",
        f"# signed by ed25519 {'00' * 32}\n{IDENTITY}",
        f"# signed by ed25519 abc\n{IDENTITY}",
    ],
    ids=range(10),
)
def test_what_is_no_key_file_is_refused_without_repeating_it(keys: Keys, drawer: Drawer, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        keys.import_(text, "x")
    assert caught.value.remedy
    assert "hidden" not in f"{caught.value}{caught.value.remedy}{caught.value!r}"
    assert "SECRET-KEY-1" not in str(caught.value)
    assert drawer.kept == {} and keys.list() == [] and keys.trusted() == set()


def test_the_signing_key_is_made_once_and_found_again(store: Store, drawer: Drawer) -> None:
    first = Keys(store, drawer)
    assert first.trusted() == set()
    public_key = first.signer().public_key
    assert first.signer() is first.signer()
    assert Keys(store, drawer).signer().public_key == public_key
    assert first.trusted() == {public_key}


def test_threads_and_stores_that_ask_at_once_get_the_same_signing_key(store: Store, drawer: Drawer) -> None:
    found: list[str] = []
    barrier = threading.Barrier(8)

    def ask() -> None:
        keys = Keys(store, drawer)
        barrier.wait()
        found.append(keys.signer().public_key)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1
    assert [key for key in drawer.kept if key.startswith("signing-key/")] == [f"signing-key/{found[0]}"]


def test_a_lost_signing_key_is_replaced_and_what_it_signed_still_counts(store: Store, drawer: Drawer) -> None:
    signed = Keys(store, drawer).signer().sign({"a": 1})
    drawer.kept.clear()
    keys = Keys(store, drawer)
    renewed = keys.signer().sign({"b": 2})
    assert renewed["signature"]["public_key"] != signed["signature"]["public_key"]
    assert check(signed, keys.trusted()) is check(renewed, keys.trusted()) is Verdict.VALID


def test_another_installation_is_trusted_only_when_somebody_says_so(keys: Keys) -> None:
    other = Signer.generate()
    signed = other.sign({"a": 1})
    assert check(signed, keys.trusted()) is Verdict.STRANGER
    kept = keys.trust(f" {other.public_key.upper()} ", "the old server")
    assert (kept.public_key, kept.name) == (other.public_key, "the old server")
    assert check(signed, keys.trusted()) is Verdict.VALID


@pytest.mark.parametrize("text", ["", "abc", "zz" * 32, "00" * 32, "age1qqq"])
def test_what_is_no_signing_key_is_not_trusted(keys: Keys, text: str) -> None:
    with pytest.raises(UsageError, match="no public signing key") as caught:
        keys.trust(text)
    assert "64 hexadecimal digits" in caught.value.remedy
    assert keys.trusted() == set()
