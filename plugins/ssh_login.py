"""What it takes to log in by SSH, as a person configures it: for destinations, and for hosts of tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pydantic

import strongroom

if TYPE_CHECKING:
    from strongroom.ssh import Access


class SshLogin(strongroom.AdapterConfig):
    """Where the server is, who logs in there and how, and whom it has to be."""

    host: str = strongroom.field(
        title="Host",
        description="The server's name or address.",
        placeholder="backup.example.com",
        min_length=1,
        pattern=r"^[^\s/@]+$",
    )
    port: int = strongroom.field(22, title="Port", ge=1, le=65535)
    user: str = strongroom.field(
        title="User",
        description="Who logs in there.",
        placeholder="backup",
        min_length=1,
    )
    password: pydantic.SecretStr | None = strongroom.field(
        None,
        title="Password",
        description="Left empty where a private key or the agent does.",
    )
    private_key: Path | None = strongroom.field(
        None,
        title="Private key",
        description="The file of an Ed25519, ECDSA or RSA key whose public half the server knows.",
        placeholder="~/.ssh/id_ed25519",
        widget="file",
    )
    passphrase: pydantic.SecretStr | None = strongroom.field(
        None,
        title="Passphrase",
        description="What opens the private key, where it is locked.",
    )
    agent: bool = strongroom.field(
        False,
        title="Use the SSH agent",
        description="Log in with the keys of the agent, which has to run whenever a backup does.",
    )
    host_key: str = strongroom.field(
        "",
        title="Host key",
        description="The server's own key as you confirmed it; the test shows it. Left empty, the file "
        "of known hosts has to name the server.",
        placeholder="ssh-ed25519 SHA256:…",
        pattern=r"^\s*$|^\s*[a-z0-9@.-]+\s+SHA256:[A-Za-z0-9+/]{43}=?\s*$",
        advanced=True,
        belongs_to=("host", "port"),
    )
    known_hosts: Path | None = strongroom.field(
        None,
        title="Known hosts",
        description="The file that names the servers that are known. Left empty: ~/.ssh/known_hosts.",
        placeholder="~/.ssh/known_hosts",
        widget="file",
        advanced=True,
    )

    @pydantic.field_validator("private_key", "known_hosts", mode="before")
    @classmethod
    def _absolute(cls, value: object) -> object:
        if not isinstance(value, str | Path):
            return value
        return Path(value).expanduser().absolute() if str(value).strip() else None

    def access(self) -> Access:
        """What `strongroom.ssh.connect` takes."""
        from strongroom.ssh import Access

        return Access(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password.get_secret_value() if self.password else None,
            private_key=self.private_key,
            passphrase=self.passphrase.get_secret_value() if self.passphrase else None,
            agent=self.agent,
            known_hosts=self.known_hosts,
            host_key=self.host_key.strip(),
        )
