"""paramiko's transport, mended where it stood in the way.

For logins its own one asks for the service anew with every attempt, which OpenSSH suffers and servers
written in Go (SFTPGo, rclone, many a storage box) answer by hanging up. Its other one asks once, and waits
for ever when the server dies meanwhile, or when the answer is quicker than its own preparations. Import
this module only where one connects.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from paramiko import Message, ServiceRequestingTransport, SSHException
from paramiko.auth_handler import AuthOnlyHandler
from paramiko.common import cMSG_GLOBAL_REQUEST, cMSG_SERVICE_REQUEST, cMSG_USERAUTH_REQUEST

_STEP = 0.02


class Transport(ServiceRequestingTransport):  # type: ignore[misc]
    """One request for the service, an end to the wait for it, and no wait of its thread for itself."""

    def __init__(self, *args: Any, **more: Any) -> None:
        self._later: list[Any] = []
        super().__init__(*args, **more)

    def _send_user_message(self, data: Any) -> None:
        """Send, after the keys that are being renewed. The thread that renews them cannot wait for itself.

        It would when the server closes a channel meanwhile: the connection stood still for 30 s and broke
        (in one of six tries, when keys were renewed while a command ended).
        """
        if threading.current_thread() is self and not self.clear_to_send.is_set():
            self._later.append(data)
        else:
            super()._send_user_message(data)

    def _parse_newkeys(self, m: Any) -> None:
        super()._parse_newkeys(m)
        later, self._later = self._later, []
        for data in later:
            self._send_message(data)

    def ask_for_life(self) -> None:
        """Send a request that every server answers, be it with a no (RFC 4254, section 4)."""
        request = Message()
        request.add_byte(cMSG_GLOBAL_REQUEST)
        request.add_string("keepalive@openssh.com")
        request.add_boolean(True)
        self._send_user_message(request)

    def ensure_session(self) -> None:
        """Ask for logins, once. Raises `SSHException` when the server has gone or says nothing."""
        if self._service_userauth_accepted:
            return
        request = Message()
        request.add_byte(cMSG_SERVICE_REQUEST)
        request.add_string("ssh-userauth")
        end = time.monotonic() + self.auth_timeout
        if self.active:
            self._send_message(request)
        while not self._service_userauth_accepted:
            if not self.active:
                raise self.get_exception() or SSHException("the server hung up")
            if time.monotonic() > end:
                raise SSHException("the server did not answer to the request for a login")
            time.sleep(_STEP)
        self.auth_handler = self.get_auth_handler()

    def get_auth_handler(self) -> _Attempts:
        return _Attempts(self)


class _Attempts(AuthOnlyHandler):  # type: ignore[misc]
    """Listens for the answer before it asks."""

    def send_auth_request(
        self, username: str, method: str, finish_message: Callable[[Any], None] | None = None
    ) -> list[str]:
        self.auth_method = method
        self.username = username
        request = Message()
        request.add_byte(cMSG_USERAUTH_REQUEST)
        request.add_string(username)
        request.add_string("ssh-connection")
        request.add_string(method)
        if finish_message is not None:
            finish_message(request)
        self.auth_event = threading.Event()
        with self.transport.lock:
            self.transport._send_message(request)
        return list(self.wait_for_response(self.auth_event))
