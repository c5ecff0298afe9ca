"""The settings of an SFTP destination."""

from __future__ import annotations

from typing import Literal

import pydantic

import strongroom
from plugins.ssh_login import SshLogin


class Settings(SshLogin):
    """How to log in, and where the backups lie."""

    path: str = strongroom.field(
        title="Folder",
        description="Where the backups lie on the server: absolute, or relative to the login folder.",
        placeholder="backups",
        min_length=1,
    )
    read_back: Literal["auto", "always"] = strongroom.field(
        "auto",
        title="Read back",
        description="auto: the server hashes each backup itself where it has a shell, else it is read "
        "back. always: it is read back.",
        advanced=True,
    )

    @pydantic.field_validator("path")
    @classmethod
    def _sensible(cls, value: str) -> str:
        if not value.strip() or any(ord(char) < 32 for char in value):
            raise ValueError("name a folder")
        return value
