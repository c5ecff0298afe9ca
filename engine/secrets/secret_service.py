"""The Secret Service's lock: looked at and opened before the library keyring asks for anything.

The library would wait without an end for somebody to answer the prompt, and prompt again for each secret.
Here a prompt ends with the caller's token, one prompt serves all who wait, and a refusal counts for a
moment. What a person leaves unanswered stays on the screen: answered later, it still opens the keyring for
the next call. (The protocol's Dismiss would take it away, but ends GNOME Keyring 42.)
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from engine.cancellation import CancelToken
from engine.errors import KeyringLocked, NoKeyring
from engine.secrets.backends import REMEDY

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend
    from secretstorage import Collection

QUIET = 3.0
"""Seconds after a refusal in which nobody is asked again: a run that fails for it still reads the
notifier's password, and one No is enough. Short, so that who tries again after a slip is asked."""

UNLOCK = (
    "Unlock it (log in, or answer its prompt), then try again. Where nobody logs in, choose the vault file: "
    "set STRONGROOM_VAULT=file and STRONGROOM_VAULT_PASSPHRASE."
)


class Lock:
    """The lock of one session's keyring. Safe to use from several threads."""

    def __init__(self) -> None:
        self._one = threading.Lock()
        self._refused = float("-inf")

    def open(self, backend: KeyringBackend, cancel: CancelToken) -> None:
        """Return when the keyring is open, asking its person if need be, for as long as nobody cancels.

        Raises `KeyringLocked`, `NoKeyring` where there is none and none was made, and whatever
        secretstorage raises when the service has gone.
        """
        import secretstorage

        with self._one, closing(secretstorage.dbus_init()) as bus:
            try:
                path = getattr(backend, "preferred_collection", None)
                keyring = secretstorage.Collection(bus, path) if path else secretstorage.Collection(bus)
            except secretstorage.ItemNotFoundException:
                keyring = None
            if keyring is not None and not keyring.is_locked():
                return
            if time.monotonic() - self._refused > QUIET:
                with cancel.calling(lambda: _hang_up(bus.sock)):
                    if self._ask(keyring, bus):
                        return
            if keyring is None:
                raise NoKeyring(
                    "The Secret Service has no keyring yet, and none was made: it asks for a passphrase.",
                    remedy=REMEDY,
                )
            raise KeyringLocked("The keyring is locked.", remedy=UNLOCK)

    def _ask(self, keyring: Collection | None, bus: Any) -> bool:
        """Ask for the keyring's password, or for one to make a keyring with; whether it was given."""
        import secretstorage

        opened = False
        try:
            if keyring is None:
                keyring = secretstorage.create_collection(bus, "Default", "default")
            else:
                keyring.unlock()
            opened = not keyring.is_locked()
        except secretstorage.PromptDismissedException:
            pass
        finally:
            if not opened:
                self._refused = time.monotonic()
        return opened


def _hang_up(sock: socket.socket) -> None:
    """Wake whoever reads from the bus, in another thread: it meets the end of the stream."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
