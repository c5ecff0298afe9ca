"""Which store of secrets the environment chooses."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import ConfigError, SecretsError
from engine.home import Home
from engine.secrets import KeyringSecrets, SecretStore, VaultSecrets, open_secrets
from engine.secrets.base import checked_key


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").make()


def vault(home: Home, **environ: str) -> SecretStore:
    return open_secrets(home, {"STRONGROOM_VAULT": "file", **environ})


def test_the_os_keyring_is_the_default(home: Home) -> None:
    assert isinstance(open_secrets(home, {}), KeyringSecrets)
    assert isinstance(open_secrets(home, {"STRONGROOM_VAULT": "keyring"}), KeyringSecrets)
    # A passphrase alone chooses nothing: the vault is an explicit choice.
    assert isinstance(open_secrets(home, {"STRONGROOM_VAULT_PASSPHRASE": "x"}), KeyringSecrets)


def test_any_other_choice_is_refused(home: Home) -> None:
    with pytest.raises(ConfigError, match="neither keyring nor file") as caught:
        open_secrets(home, {"STRONGROOM_VAULT": "plaintext"})
    assert "STRONGROOM_VAULT=file" in caught.value.remedy


def test_the_vault_lies_in_the_home_under_the_given_passphrase(home: Home) -> None:
    vault(home, STRONGROOM_VAULT_PASSPHRASE="pass").set("key", "value")
    assert VaultSecrets(home.vault, "pass").get("key") == "value"


def test_a_passphrase_file_is_read_without_its_line_end(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(b" p\xc3\xa4ss \r\n")
    vault(home, STRONGROOM_VAULT_PASSPHRASE_FILE=str(file)).set("key", "value")
    assert VaultSecrets(home.vault, " päss ").get("key") == "value"


def test_a_missing_passphrase_is_told_at_the_first_use(home: Home) -> None:
    store = vault(home)
    for call in (lambda: store.get("key"), lambda: store.set("key", "value"), store.check):
        with pytest.raises(SecretsError, match="passphrase was not given") as caught:
            call()
        assert "STRONGROOM_VAULT_PASSPHRASE_FILE" in caught.value.remedy
    assert not home.vault.exists()


def test_two_passphrases_are_one_too_many(home: Home, tmp_path: Path) -> None:
    store = vault(home, STRONGROOM_VAULT_PASSPHRASE="a", STRONGROOM_VAULT_PASSPHRASE_FILE=str(tmp_path / "b"))
    with pytest.raises(SecretsError, match="Both"):
        store.get("key")


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), (b"", "is empty"), (b"\n", "is empty"), (b"\xff", "UTF-8")]
)
def test_a_passphrase_file_that_does_not_do_is_told(
    home: Home, tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "passphrase"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SecretsError, match=said) as caught:
        vault(home, STRONGROOM_VAULT_PASSPHRASE_FILE=str(file)).get("key")
    assert str(file) in caught.value.message


@pytest.mark.parametrize("key", ["", "two\nlines", "nul\0"])
def test_a_key_is_printable_text(key: str) -> None:
    with pytest.raises(ValueError, match="printable"):
        checked_key(key)
