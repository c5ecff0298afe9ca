"""The settings of an SFTP destination."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pydantic

import strongroom


class Settings(strongroom.AdapterConfig):
    """Where the server is, who logs in there and how, whom it has to be, and where the backups lie."""

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
    path: str = strongroom.field(
        title="Folder",
        description="Where the backups lie on the server: absolute, or relative to the login folder.",
        placeholder="backups",
        min_length=1,
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
    read_back: Literal["auto", "always"] = strongroom.field(
        "auto",
        title="Read back",
        description="auto: the server hashes each backup itself where it has a shell, else it is read "
        "back. always: it is read back.",
        advanced=True,
    )

    @pydantic.field_validator("private_key", "known_hosts", mode="before")
    @classmethod
    def _absolute(cls, value: object) -> object:
        if not isinstance(value, str | Path):
            return value
        return Path(value).expanduser().absolute() if str(value).strip() else None

    @pydantic.field_validator("path")
    @classmethod
    def _sensible(cls, value: str) -> str:
        if not value.strip() or any(ord(char) < 32 for char in value):
            raise ValueError("name a folder")
        return value
