"""Whether a server is the one that is meant: known by a file, confirmed by a person, or refused.

A server that nobody knows yet is a question to a person (`NeedsTrust`). One that is known by another key
is an error and no question: that is what somebody between the two ends looks like.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.errors import NeedsTrust, SshError
from engine.ssh import known_hosts
from engine.ssh.access import PORT, Access
from engine.ssh.known_hosts import Entry, ServerKey

FIELD = "host_key"
"""The configuration field that takes a person's confirmation."""

_ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}
"""What a kind of key is asked for by, where that is not its own name (RFC 8332)."""


class HostKeys:
    """What is known of one server before it is asked."""

    def __init__(self, access: Access) -> None:
        self._access = access
        name = known_hosts.host_name(access.host, access.port)
        entries = known_hosts.read(access.known_hosts_files)
        self._known = [entry for entry in entries if not entry.revoked and entry.names_host(name)]
        self._revoked = [entry for entry in entries if entry.revoked and entry.names_host(name)]
        # As ssh does: a line without the port lets a server in, and convicts none.
        self._without_port = (
            []
            if access.port == PORT
            else [entry for entry in entries if not entry.revoked and entry.names_host(access.host.lower())]
        )

    def preferred(self, algorithms: Sequence[str]) -> tuple[str, ...]:
        """The algorithms of host keys in the order to offer them: those of the known keys first.

        A server has keys of several kinds and shows the first kind that we ask for; asked for another, a
        server that is well known would look like a stranger.
        """
        kinds = [entry.key.kind for entry in (*self._known, *self._without_port)]
        if self._access.host_key:
            kinds = [self._access.host_key.split()[0]]
        first = [name for kind in kinds for name in _ALGORITHMS.get(kind, (kind,))]
        ordered = [name for name in dict.fromkeys(first) if name in algorithms]
        return (*ordered, *(name for name in algorithms if name not in ordered))

    def check(self, key: ServerKey) -> None:
        """Return when the server is the one that is meant. Raises `NeedsTrust`, and `SshError` loudly."""
        access = self._access
        for entry in self._revoked:
            if entry.key == key:
                raise SshError(
                    f"REFUSED: {access.server} shows the host key {key.value}, which is marked as revoked in "
                    f"{entry.file}, line {entry.line}. Whoever answers there is not to be trusted.",
                    remedy="Ask who runs the server what happened to its key.",
                )
        if access.host_key:
            if normalized(access.host_key) != key.value:
                raise _changed(access, key, access.host_key, "confirmed for it", _forget_confirmed(key))
            return
        if any(entry.key == key for entry in (*self._known, *self._without_port)):
            return
        if self._known:
            entry = next((its for its in self._known if its.key.kind == key.kind), self._known[0])
            where = f"in {entry.file}, line {entry.line}"
            raise _changed(access, key, entry.key.value, where, _forget_known(access, entry))
        raise NeedsTrust(
            f"Nobody has confirmed yet that {access.server} is the server that is meant. "
            f"It shows the host key {key.value}.",
            field=FIELD,
            value=key.value,
            remedy="Compare this fingerprint with the one that whoever runs the server names (there: "
            f"ssh-keygen -lf /etc/ssh/{_file_of(key)}). Confirm it only if both are the same.",
        )


def normalized(value: str) -> str:
    """A confirmed key as `ServerKey.value` writes it, whatever spaces or padding came with it."""
    return " ".join(value.split()).rstrip("=")


def _changed(access: Access, shown: ServerKey, known: str, where: str, remedy: str) -> SshError:
    return SshError(
        f"REFUSED: {access.server} shows the host key {shown.value}, but {known} is known for it ({where}). "
        "Somebody may be listening between here and there, or the server was set up anew.",
        remedy=f"Send nothing there before you have asked who runs the server. {remedy}",
    )


def _forget_confirmed(shown: ServerKey) -> str:
    return f"If its key was really changed to {shown.value}, enter that as the host key ({FIELD})."


def _forget_known(access: Access, entry: Entry) -> str:
    name = known_hosts.host_name(access.host, access.port)
    return f"If its key was really changed, forget the old one: ssh-keygen -R '{name}' -f '{entry.file}'"


def _file_of(key: ServerKey) -> Path:
    """Where OpenSSH keeps that kind of key on the server."""
    kind = "ecdsa" if key.kind.startswith("ecdsa-") else key.kind.removeprefix("ssh-")
    return Path(f"ssh_host_{kind}_key.pub")
