"""Secrets in the OS keyring: Secret Service, KWallet, macOS Keychain, Windows Credential Manager.

The library `keyring` is imported at the first use alone: its import takes 76 ms and its first call as
long again. A keyring may wait for a person, or hang: each call is made on a thread of its own, which is
left alone after `PATIENCE` or a cancel, so that no run waits without an end.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from engine.cancellation import CancelToken
from engine.errors import KeyringLocked, NoKeyring, SecretsError, StrongroomError
from engine.secrets.backends import REMEDY, SECRET_SERVICE, choose
from engine.secrets.base import SecretStore, checked_key, missing, refuse_empty
from engine.secrets.secret_service import UNLOCK, Lock

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

T = TypeVar("T")

SERVICE = "strongroom"
PATIENCE = 60.0
"""Seconds that a call may take, the typing of the keyring's password included."""


class KeyringSecrets(SecretStore):
    """Secrets under the service name `strongroom`. Safe to use from several threads.

    `vault` is where a vault file would lie, had that been chosen instead.
    """

    title = "the OS keyring"

    def __init__(self, vault: Path | None = None) -> None:
        self._vault = vault
        self._door = _Door()
        self._cancel = CancelToken()

    def __repr__(self) -> str:
        return "KeyringSecrets()"

    def until(self, cancel: CancelToken) -> SecretStore:
        other = KeyringSecrets(self._vault)
        other._door, other._cancel = self._door, cancel
        return other

    def elsewhere(self) -> str:
        if self._vault is None or not self._vault.exists():
            return ""
        return "There is a vault file, too: if it lies in that, set STRONGROOM_VAULT=file."

    def get(self, key: str) -> str:
        checked_key(key)
        secret = self._ask(f"read {key} from it", lambda backend: backend.get_password(SERVICE, key))
        if secret is None:
            raise missing(self.title, key, self.elsewhere())
        return secret

    def set(self, key: str, secret: str) -> None:
        """Keep it, and read it back: what a keyring drops or alters is told now, not at the next backup."""
        refuse_empty(secret)
        checked_key(key)
        self._ask(f"keep {key} in it", lambda backend: _keep(backend, key, secret))

    def delete(self, key: str) -> None:
        checked_key(key)
        self._ask(f"delete {key} from it", lambda backend: _forget(backend, key))

    def check(self) -> str:
        """Keep a probe, read it back, delete it."""
        # Blanks and letters beyond ASCII: what an odd backend would alter.
        key, probe = f"probe/{uuid.uuid4().hex}", f" {uuid.uuid4().hex} é✓\n"

        def try_out(backend: KeyringBackend) -> str:
            _keep(backend, key, probe)
            _forget(backend, key)
            return str(backend.name)

        return f"the OS keyring ({self._ask('keep anything in it', try_out)})"

    def _ask(self, doing: str, question: Callable[[KeyringBackend], T]) -> T:
        """Ask the backend, and wait for its answer for `PATIENCE`, or until somebody cancels."""
        answers: list[T] = []
        errors: list[BaseException] = []
        ended, stop = threading.Event(), CancelToken()

        def ask() -> None:
            try:
                with _translated(doing):
                    answers.append(question(self._door.open(stop)))
            except BaseException as error:  # handed on to whoever waits, whatever it is
                errors.append(error)
            finally:
                ended.set()

        # A daemon: one that hangs must not keep the process from its end.
        threading.Thread(target=ask, name="keyring", daemon=True).start()
        with self._cancel.calling(ended.set):
            ended.wait(PATIENCE)
        if errors:
            raise errors[0]
        if answers:
            return answers[0]
        stop.cancel()
        self._cancel.raise_if_cancelled()
        raise KeyringLocked(
            f"The keyring has not answered for {PATIENCE:g} s, so Strongroom cannot {doing}. "
            "Perhaps it waits for its password.",
            remedy=UNLOCK,
        )


class _Door:
    """The way to the backend: chosen at the first call, and opened by its person when it is locked."""

    def __init__(self) -> None:
        self._choosing = threading.Lock()
        self._backend: KeyringBackend | None = None
        self._lock = Lock()

    def open(self, cancel: CancelToken) -> KeyringBackend:
        with self._choosing:
            if self._backend is None:
                self._backend = choose()
        if type(self._backend).__module__ == SECRET_SERVICE:
            self._lock.open(self._backend, cancel)
        return self._backend


def _keep(backend: KeyringBackend, key: str, secret: str) -> None:
    backend.set_password(SERVICE, key, secret)
    if backend.get_password(SERVICE, key) != secret:
        with contextlib.suppress(Exception):
            backend.delete_password(SERVICE, key)
        raise NoKeyring(
            f"The keyring {backend.name} does not keep what it is given: {key} was another one when it was "
            "read back.",
            remedy=REMEDY,
        )


def _forget(backend: KeyringBackend, key: str) -> None:
    from keyring.errors import PasswordDeleteError

    try:
        backend.delete_password(SERVICE, key)
    except PasswordDeleteError:
        # Backends raise this for a missing secret and for a failed delete alike.
        if backend.get_password(SERVICE, key) is not None:
            raise


_LOCKED = {"KeyringLocked", "LockedException", "PromptDismissedException"}
_GONE = {"NoKeyringError", "SecretServiceNotAvailableException", "ConnectionError", "FileNotFoundError"}
"""What keyring, secretstorage and jeepney raise, by name: secretstorage is there on Linux alone."""


@contextlib.contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Turn whatever a backend raises into our errors; some leak those of D-Bus or of the system."""
    try:
        yield
    except StrongroomError as error:
        if isinstance(error, KeyringLocked):
            raise _locked(doing) from error
        raise
    except Exception as error:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        # KWallet has no error of its own for a prompt that somebody cancelled.
        if kinds & _LOCKED or str(error) == "Cancelled by user":
            raise _locked(doing) from error
        if kinds & _GONE:
            raise NoKeyring(
                f"The service of the OS keyring is gone, so Strongroom cannot {doing}.", remedy=REMEDY
            ) from error
        # The text of a foreign error is not repeated: nobody promises that it holds no secret.
        raise SecretsError(
            f"The OS keyring failed ({type(error).__name__}), so Strongroom cannot {doing}.",
            remedy="See that the keyring's service runs, then try again.",
        ) from error


def _locked(doing: str) -> KeyringLocked:
    return KeyringLocked(f"The keyring is locked, so Strongroom cannot {doing}.", remedy=UNLOCK)
