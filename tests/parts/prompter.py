"""Who answers GNOME Keyring's prompts in tests: the program behind its password window, without the window.

It takes the bus name of GNOME's own prompter and speaks its protocol (`org.gnome.keyring.internal.Prompter`
of gcr; the password travels by gcr's secret exchange `sx-aes-1`), so the keyring's part is the real one.
"""

from __future__ import annotations

import base64
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from jeepney import (
    DBusAddress,
    HeaderFields,
    Message,
    MessageType,
    message_bus,
    new_method_call,
    new_method_return,
)
from jeepney.io.blocking import DBusConnection, Proxy, open_dbus_connection

NAME = "org.gnome.keyring.SystemPrompter"
_CALLBACK = "org.gnome.keyring.internal.Prompter.Callback"
# RFC 2409's 1536 bits, which gcr calls ietf-ike-grp-modp-1536; its generator is 2.
_PRIME = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F"
    "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA237327FFFFFFFFFFFFFFFF",
    16,
)


class Prompter:
    """Somebody at the screen: types `password`, or presses Cancel when it is None. `silent` is nobody."""

    def __init__(self, bus: DBusConnection, password: str | None, *, silent: bool) -> None:
        self._bus = bus
        self._password = password
        self._silent = silent
        self.prompts = 0
        self.asked = threading.Event()
        """Set once a prompt is on the screen."""
        self.gone = threading.Event()
        """Set once the keyring has taken a prompt from the screen."""

    def serve(self) -> None:
        with suppress(ConnectionError, OSError):
            while True:
                message = self._bus.receive()
                if message.header.message_type is MessageType.method_call:
                    self._bus.send(new_method_return(message))
                    self._take(message, message.header.fields[HeaderFields.member])

    def _take(self, message: Message, member: str) -> None:
        if member == "StopPrompting":
            self.gone.set()
            self._tell(message, "PromptDone")
        elif member == "BeginPrompting":
            self._tell(message, "PromptReady", "sa{sv}s", ("", {}, ""))
        elif member == "PerformPrompt":
            self.prompts += 1
            self.asked.set()
            if self._password is not None:
                exchange = _sealed(self._password, message.body[3])
                self._tell(message, "PromptReady", "sa{sv}s", ("yes", {}, exchange))
            elif not self._silent:
                self._tell(message, "PromptReady", "sa{sv}s", ("no", {}, ""))

    def _tell(self, message: Message, member: str, signature: str | None = None, body: Any = ()) -> None:
        asker = DBusAddress(message.body[0], message.header.fields[HeaderFields.sender], _CALLBACK)
        self._bus.send(new_method_call(asker, member, signature, body))


def _sealed(password: str, exchange: str) -> str:
    """The answer to a secret exchange, with the password."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    theirs = int.from_bytes(base64.b64decode(exchange.partition("public=")[2].strip()), "big")
    own = secrets.randbelow(_PRIME)
    shared = pow(theirs, own, _PRIME).to_bytes(192, "big")
    key = HKDF(SHA256(), 16, salt=None, info=None).derive(shared)
    data, iv = password.encode(), os.urandom(16)
    padding = 16 - len(data) % 16
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    sealed = encryptor.update(data + bytes([padding]) * padding) + encryptor.finalize()
    public = pow(2, own, _PRIME).to_bytes(192, "big")
    parts = {"public": public, "secret": sealed, "iv": iv}
    lines = [f"{name}={base64.b64encode(its).decode()}" for name, its in parts.items()]
    return "\n".join(["[sx-aes-1]", *lines, ""])


@contextmanager
def prompter(address: str, password: str | None = None, *, silent: bool = False) -> Iterator[Prompter]:
    """Somebody at the screen of the session whose bus has that address, for as long as the block lasts."""
    with open_dbus_connection(address) as bus:
        (answer,) = Proxy(message_bus, bus).RequestName(NAME)
        assert answer == 1, "another prompter is there"
        its = Prompter(bus, password, silent=silent)
        thread = threading.Thread(target=its.serve, name="prompter", daemon=True)
        thread.start()
        try:
            yield its
        finally:
            bus.sock.shutdown(socket.SHUT_RDWR)
            thread.join()
