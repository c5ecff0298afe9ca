"""What it takes to log in somewhere by SSH."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

PORT = 22
KNOWN_HOSTS = Path("~/.ssh/known_hosts")
EVERYBODYS_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")


@dataclass(frozen=True, slots=True)
class Access:
    """A server, a user on it, and the user's proofs; neither password nor passphrase is in its repr.

    The proofs are tried in this order: the private key, the agent's keys, the password. `host_key` is the
    server's key as a person confirmed it (`ssh-ed25519 SHA256:...`); where it is given, known_hosts files
    need not know the server.
    """

    host: str
    user: str
    port: int = PORT
    password: str | None = field(default=None, repr=False)
    private_key: Path | None = None
    passphrase: str | None = field(default=None, repr=False)
    agent: bool = False
    known_hosts: Path | None = None
    host_key: str = ""

    @property
    def server(self) -> str:
        """The server in words: `host`, or `host:port` for a port of its own."""
        host = f"[{self.host}]" if ":" in self.host and self.port != PORT else self.host
        return host if self.port == PORT else f"{host}:{self.port}"

    @property
    def login(self) -> str:
        """Who logs in where, in words."""
        return f"{self.user}@{self.server}"

    @property
    def known_hosts_files(self) -> tuple[Path, ...]:
        """The files that say which servers are known: the one chosen, else the user's and the machine's."""
        if self.known_hosts is not None:
            return (self.known_hosts.expanduser(),)
        return (KNOWN_HOSTS.expanduser(), EVERYBODYS_KNOWN_HOSTS)
