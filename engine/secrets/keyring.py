"""Secrets in the OS keyring: Secret Service, KWallet, macOS Keychain, Windows Credential Manager.

The library `keyring` is imported at the first use alone: its import takes 76 ms and its first call as
long again. A backend that would drop secrets or keep them readable is refused, never used silently.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.errors import KeyringLocked, NoKeyring, SecretsError, StrongroomError
from engine.secrets.base import SecretStore, checked_key, missing, refuse_empty

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "strongroom"

_REMEDY = (
    "Log in to a desktop session whose keyring runs (GNOME Keyring, KWallet), or choose the vault file: "
    "set STRONGROOM_VAULT=file and STRONGROOM_VAULT_PASSPHRASE."
)


class KeyringSecrets(SecretStore):
    """Secrets under the service name `strongroom`. Safe to use from several threads."""

    title = "the OS keyring"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._backend: KeyringBackend | None = None

    def __repr__(self) -> str:
        return "KeyringSecrets()"

    def get(self, key: str) -> str:
        backend = self._open()
        with _translated(f"read {key} from"):
            secret = backend.get_password(SERVICE, checked_key(key))
        if secret is None:
            raise missing(self.title, key)
        return secret

    def set(self, key: str, secret: str) -> None:
        refuse_empty(secret)
        backend = self._open()
        with _translated(f"keep {key} in"):
            backend.set_password(SERVICE, checked_key(key), secret)

    def delete(self, key: str) -> None:
        backend = self._open()
        from keyring.errors import PasswordDeleteError

        with _translated(f"delete {key} from"):
            try:
                backend.delete_password(SERVICE, checked_key(key))
            except PasswordDeleteError:
                # Backends raise this for a missing secret and for a failed delete alike.
                if backend.get_password(SERVICE, key) is not None:
                    raise

    def check(self) -> str:
        """Keep a probe, read it back, delete it."""
        key, probe = f"probe/{uuid.uuid4().hex}", uuid.uuid4().hex
        self.set(key, probe)
        try:
            kept = self.find(key)
        finally:
            self.delete(key)
        if kept != probe:
            raise NoKeyring(f"The keyring {self._name()} does not keep what it is given.", remedy=_REMEDY)
        return f"the OS keyring ({self._name()})"

    def _name(self) -> str:
        return str(self._open().name)

    def _open(self) -> KeyringBackend:
        with self._lock:
            if self._backend is None:
                self._backend = _choose()
            return self._backend


def _choose() -> KeyringBackend:
    """The backend that `keyring` chooses here, unless it is no keyring at all."""
    import keyring
    from keyring.backends.chainer import ChainerBackend

    try:
        backend = keyring.get_keyring()
    except Exception as error:  # a configured backend that does not load raises anything
        raise NoKeyring(
            f"The keyring chosen by PYTHON_KEYRING_BACKEND or keyringrc.cfg does not load: {error}.",
            remedy=f"Mend that setting. {_REMEDY}",
        ) from error
    if isinstance(backend, ChainerBackend):
        # It asks every keyring in turn, and a write goes to whichever takes it; one is enough.
        links: list[KeyringBackend] = backend.backends
        for link in links:
            if _why_not(link) is None:
                return link
    why = _why_not(backend)
    if why is not None:
        raise NoKeyring(why, remedy=_REMEDY)
    return backend


def _why_not(backend: KeyringBackend) -> str | None:
    """Why a backend is no keyring, in words; None for a real one."""
    kind = type(backend)
    module = kind.__module__
    if module == "keyring.backends.fail":
        return "There is no OS keyring here."
    if module == "keyring.backends.null":
        return "The keyring was disabled (keyring.backends.null throws secrets away)."
    # keyring's own line between what it recommends and what it does not: a priority of 1.
    if module.startswith("keyrings.alt") or "plaintext" in kind.__name__.lower() or kind.priority < 1:
        return f"The keyring {kind.__module__}.{kind.__name__} is not one of the system's."
    return None


@contextlib.contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Turn whatever a backend raises into our errors; some leak those of D-Bus or of the system."""
    from keyring import errors

    try:
        yield
    except StrongroomError:
        raise
    except (errors.KeyringLocked, errors.InitError) as error:
        raise KeyringLocked(
            f"The keyring is locked, so Strongroom cannot {doing} it.",
            remedy="Unlock it (log in, or answer its prompt), then try again.",
        ) from error
    except errors.NoKeyringError as error:
        raise NoKeyring("There is no OS keyring here.", remedy=_REMEDY) from error
    except Exception as error:
        # The text of a foreign error is not repeated: nobody promises that it holds no secret.
        raise SecretsError(
            f"Strongroom cannot {doing} the OS keyring: {type(error).__name__}.",
            remedy="See that the keyring's service runs, then try again.",
        ) from error
