"""Where secrets lie: the OS keyring, or, by explicit choice, a vault file under a passphrase.

Nothing else may hold one. `open_secrets` reads that choice from the environment; it touches neither the
keyring nor the vault before a secret is asked for, so that a command that needs none stays quick.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from engine.errors import ConfigError, SecretsError
from engine.home import Home
from engine.secrets.base import ScopedSecrets, SecretStore
from engine.secrets.keyring import KeyringSecrets
from engine.secrets.remembered import RememberedSecrets
from engine.secrets.vault import VaultSecrets

__all__ = [
    "KeyringSecrets",
    "RememberedSecrets",
    "ScopedSecrets",
    "SecretStore",
    "VaultSecrets",
    "open_secrets",
]

VAULT = "STRONGROOM_VAULT"
PASSPHRASE = "STRONGROOM_VAULT_PASSPHRASE"  # noqa: S105 - the variable's name
PASSPHRASE_FILE = "STRONGROOM_VAULT_PASSPHRASE_FILE"  # noqa: S105 - the variable's name


def open_secrets(home: Home, environ: Mapping[str, str] | None = None) -> SecretStore:
    """The store of secrets that the environment chooses: `STRONGROOM_VAULT` is `keyring` (the default)
    or `file`.

    Raises `ConfigError` for any other value. A passphrase that is missing is told when the vault is
    first used, not here.
    """
    environ = os.environ if environ is None else environ
    choice = environ.get(VAULT, "").strip().lower()
    if choice in ("", "keyring"):
        return KeyringSecrets(home.vault)
    if choice != "file":
        raise ConfigError(
            f"{VAULT} is neither keyring nor file",
            remedy=f"Set {VAULT}=file for a vault under a passphrase, or unset it for the OS keyring.",
        )
    given, given_file = environ.get(PASSPHRASE, ""), environ.get(PASSPHRASE_FILE, "")
    return VaultSecrets(home.vault, lambda: _passphrase(given, given_file))


def passphrase_file(environ: Mapping[str, str]) -> Path | None:
    """The file with the vault's passphrase, where the vault and such a file are chosen."""
    given = environ.get(PASSPHRASE_FILE, "")
    return Path(given).expanduser() if given and environ.get(VAULT, "").strip().lower() == "file" else None


def _passphrase(given: str, given_file: str) -> str:
    if given and given_file:
        raise SecretsError(
            f"Both {PASSPHRASE} and {PASSPHRASE_FILE} are set, and they may differ.",
            remedy="Unset one of them.",
        )
    if given_file:
        try:
            given = Path(given_file).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SecretsError(
                f"The vault's passphrase cannot be read from {given_file}: {why}.",
                remedy=f"{PASSPHRASE_FILE} names a text file that holds the passphrase alone.",
            ) from None
        if not given:
            raise SecretsError(
                f"The file {given_file} for the vault's passphrase is empty.",
                remedy="Write the passphrase into it.",
            )
    if not given:
        raise SecretsError(
            "The vault file was chosen, but its passphrase was not given.",
            remedy=f"Set {PASSPHRASE}, or {PASSPHRASE_FILE} to a file that holds it.",
        )
    return given
