"""The doctor on secrets: where they lie, which are gone, and a passphrase that lies too openly."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from engine import doctor
from engine.configuration.keys import Keys
from engine.doctor import Finding, State
from engine.home import Home
from engine.records import Endpoint
from engine.secrets import SecretStore, open_secrets
from engine.store.database import Store

VAULT = {"STRONGROOM_VAULT": "file", "STRONGROOM_VAULT_PASSPHRASE": "of the tests"}


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    with Store(home.database) as opened:
        yield opened


@pytest.fixture
def secrets(home: Home, store: Store) -> SecretStore:
    return open_secrets(home, VAULT).scoped(store.installation_id)


def findings(home: Home, area: str, environ: dict[str, str] = VAULT) -> list[Finding]:
    return [its for its in doctor.examine(home, environ) if its.area == area]


def test_looking_makes_no_vault(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    (its,) = findings(home, "secrets")
    assert (its.state, its.detail) == (
        State.OK,
        f"the vault file {home.vault}, which the first secret makes",
    )
    assert not home.root.exists()


def test_looking_leaves_the_vault_as_it_is(home: Home, secrets: SecretStore) -> None:
    secrets.set("key", "value")
    before = home.vault.read_bytes()
    assert [its.state for its in findings(home, "secrets")] == [State.OK]
    assert home.vault.read_bytes() == before


def test_a_secret_that_is_gone_is_named_with_what_it_belongs_to(
    home: Home, store: Store, secrets: SecretStore
) -> None:
    shop = store.endpoints.save(Endpoint("source", "", "shop", "postgresql", {}, secret_names=("password",)))
    place = store.endpoints.save(
        Endpoint("destination", "", "offsite", "s3", {}, secret_names=("secret_access_key",))
    )
    secrets.set(f"source/{shop.id}/password", "hidden-word")
    secrets.set(f"destination/{place.id}/secret_access_key", "hidden-word")
    assert [its.state for its in findings(home, "secrets")] == [State.OK]
    secrets.delete(f"destination/{place.id}/secret_access_key")
    _, its = findings(home, "secrets")
    assert its.state is State.ERROR
    assert its.detail == "the secret access key of the destination offsite is not in the vault file"
    assert "edit the destination, or apply its configuration file" in its.remedy
    assert "unset STRONGROOM_VAULT" in its.remedy


def test_a_lost_key_hurts_more_when_it_was_never_exported(
    home: Home, store: Store, secrets: SecretStore
) -> None:
    keys = Keys(store, secrets)
    lost, saved = keys.new("lost"), keys.new("saved")
    keys.export("saved")
    keys.import_(str(pyrage.x25519.Identity.generate().to_public()), "public")
    for key in (lost, saved):
        secrets.delete(f"key/{key.recipient}")
    told = {its.detail.split("'")[1]: its for its in findings(home, "keys") if "'" in its.detail}
    assert (told["lost"].state, told["saved"].state) == (State.ERROR, State.WARNING)
    assert "strongroom keys new" in told["lost"].remedy
    assert "strongroom keys import" in told["saved"].remedy
    (public,) = (its for its in findings(home, "keys") if its.detail.startswith("public"))
    assert public.state is State.OK, "a machine that only backs up is meant to be one"


def test_a_lost_signing_key_is_a_warning(home: Home, store: Store, secrets: SecretStore) -> None:
    signer = Keys(store, secrets).signer()
    assert [its.state for its in findings(home, "keys")] == [State.NOTE]
    secrets.delete(f"signing-key/{signer.public_key}")
    its = findings(home, "keys")[0]
    assert (its.state, signer.public_key in its.detail) == (State.WARNING, True)


def test_keys_are_listed_where_no_keyring_answers(home: Home, store: Store, secrets: SecretStore) -> None:
    Keys(store, secrets).new("default")
    (its,) = findings(home, "keys", {**VAULT, "STRONGROOM_VAULT_PASSPHRASE": "wrong"})
    assert its.detail.startswith("default was never exported")
    (its,) = findings(home, "keys", {"STRONGROOM_VAULT": "nonsense"})
    assert its.detail.startswith("default was never exported")


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_passphrase_that_everybody_may_read_is_a_warning(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_text("of the tests")
    environ = {"STRONGROOM_VAULT": "file", "STRONGROOM_VAULT_PASSPHRASE_FILE": str(path)}
    path.chmod(0o644)
    assert [its.remedy for its in findings(home, "secrets", environ)] == [
        "",
        f"`chmod 600 {path}` closes it.",
    ]
    path.chmod(0o400)
    assert [its.state for its in findings(home, "secrets", environ)] == [State.OK]


def test_a_passphrase_beside_its_vault_is_a_warning(home: Home) -> None:
    path = home.root / "passphrase"
    path.write_text("of the tests")
    path.chmod(0o600)
    environ = {"STRONGROOM_VAULT": "file", "STRONGROOM_VAULT_PASSPHRASE_FILE": str(path)}
    _, its = findings(home, "secrets", environ)
    assert (its.state, "a copy of the folder holds both" in its.detail) == (State.WARNING, True)
