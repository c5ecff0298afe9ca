"""The fields of an S3 destination, and what is wrong with a value in words that help."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import pydantic

import strongroom
from plugins.storage.aws import keys

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ELDER_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")
_ASLEEP = frozenset({"GLACIER", "DEEP_ARCHIVE"})


class Settings(strongroom.AdapterConfig):
    """What an S3 destination is configured with."""

    endpoint: str | None = strongroom.field(
        None,
        title="Endpoint",
        description="The server's address. Leave it empty for Amazon S3.",
        placeholder="https://s3.example.com",
    )
    region: str | None = strongroom.field(
        None,
        title="Region",
        description="The bucket's region. Many servers other than Amazon's need none.",
        placeholder="eu-central-1",
    )
    bucket: str = strongroom.field(
        title="Bucket",
        description="The bucket that holds the backups. It must be there; Strongroom makes none.",
        placeholder="my-backups",
    )
    prefix: str = strongroom.field(
        "",
        title="Folder in the bucket",
        description="What the names of all files begin with. Leave it empty to use the whole bucket.",
        placeholder="strongroom",
    )
    access_key_id: str | None = strongroom.field(
        None,
        title="Access key ID",
        description="Leave both keys empty to use a profile, or what this machine has (its environment, "
        "its AWS configuration, its role).",
        placeholder="AKIA…",
    )
    secret_access_key: pydantic.SecretStr | None = strongroom.field(
        None, title="Secret access key", description="Goes with the access key ID.", validate_default=True
    )
    session_token: pydantic.SecretStr | None = strongroom.field(
        None,
        title="Session token",
        description="Goes with temporary keys. These expire, and backups fail from then on.",
        advanced=True,
    )
    profile: str | None = strongroom.field(
        None,
        title="Profile",
        description="A profile of this machine's AWS configuration (~/.aws), instead of keys.",
        placeholder="backup",
        advanced=True,
    )
    role_arn: str | None = strongroom.field(
        None,
        title="Role",
        description="A role to take on with these keys or this profile, by its ARN.",
        placeholder="arn:aws:iam::123456789012:role/backup",
        advanced=True,
    )
    external_id: str | None = strongroom.field(
        None,
        title="External ID of the role",
        description="What the role's owner asks for, if anything.",
        advanced=True,
    )
    path_style: Literal["auto", "path", "virtual"] = strongroom.field(
        "auto",
        title="Addressing",
        description="Where the bucket's name stands: in the path (server/bucket) or in the host's name "
        "(bucket.server). Auto takes the path for an endpoint of your own.",
        advanced=True,
    )
    ca: Path | None = strongroom.field(
        None,
        title="Certificate authority",
        description="A PEM file of the authorities to trust, instead of the public ones.",
        placeholder="/etc/ssl/certs/company-ca.pem",
        widget="file",
        advanced=True,
    )
    storage_class: str | None = strongroom.field(
        None,
        title="Storage class",
        description="The class for new backups. Leave it empty for the server's default.",
        placeholder="STANDARD_IA",
        advanced=True,
    )
    parallel_parts: int = strongroom.field(
        4,
        title="Parts at once",
        description="How many parts of a large backup are sent at the same time.",
        ge=1,
        le=16,
        advanced=True,
    )

    @pydantic.field_validator(
        "endpoint",
        "region",
        "access_key_id",
        "secret_access_key",
        "session_token",
        "profile",
        "role_arn",
        "external_id",
        "storage_class",
        mode="before",
    )
    @classmethod
    def _blank_is_none(cls, value: object) -> object:
        if isinstance(value, str):
            value = value.strip()
        return None if value == "" else value

    @pydantic.field_validator("endpoint")
    @classmethod
    def _endpoint(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise ValueError("this is no address: write https://host or https://host:port") from None
        if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\\]", value):
            raise ValueError("write the address with its scheme, like https://s3.example.com")
        if parts.username is not None or parts.password is not None:
            raise ValueError("leave keys out of the address: they have fields of their own")
        if parts.query or parts.fragment:
            raise ValueError("leave out what follows the path (? and #)")
        return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))

    @pydantic.field_validator("bucket", mode="before")
    @classmethod
    def _bucket_alone(cls, value: object) -> object:
        return value.strip().removeprefix("s3://").rstrip("/") if isinstance(value, str) else value

    @pydantic.field_validator("bucket")
    @classmethod
    def _bucket(cls, value: str, info: pydantic.ValidationInfo) -> str:
        if "/" in value and not value.startswith("arn:"):
            raise ValueError("name the bucket alone: folders in it have a field of their own")
        if value.startswith("arn:") or (info.data.get("endpoint") and _ELDER_BUCKET.fullmatch(value)):
            return value  # access points; and other servers, older ones above all, allow more
        if not 3 <= len(value) <= 63:
            raise ValueError("a bucket's name has 3 to 63 characters")
        if not _BUCKET.fullmatch(value) or ".." in value or _is_address(value):
            raise ValueError(
                "a bucket's name has lower-case letters, digits, dots and hyphens, begins and ends with a "
                "letter or digit, and is no IP address"
            )
        return value

    @pydantic.field_validator("prefix", mode="before")
    @classmethod
    def _prefix_alone(cls, value: object) -> object:
        return value.strip().strip("/") if isinstance(value, str) else value

    @pydantic.field_validator("prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        if value:
            try:
                keys.check(value)
            except strongroom.NameEscapes:
                raise ValueError('write folders like "backups/shop", without empty ones, . and ..') from None
        if len(value.encode()) > 512:
            raise ValueError("this is too long: names have to find room after it")
        return value

    @pydantic.field_validator("secret_access_key")
    @classmethod
    def _pair(
        cls, value: pydantic.SecretStr | None, info: pydantic.ValidationInfo
    ) -> pydantic.SecretStr | None:
        # Only where the other one was valid: its own message comes first.
        if "access_key_id" in info.data and (value is None) != (info.data["access_key_id"] is None):
            raise ValueError("the access key ID and the secret access key go together: give both, or neither")
        return value

    @pydantic.field_validator("session_token", "profile", "external_id", "role_arn", "storage_class")
    @classmethod
    def _together(cls, value: Any, info: pydantic.ValidationInfo) -> Any:
        if value is None:
            return None
        match info.field_name:
            case "session_token" if info.data.get("access_key_id") is None:
                raise ValueError("a session token goes with an access key ID and a secret access key")
            case "profile" if info.data.get("access_key_id") is not None:
                raise ValueError("give keys or a profile, not both")
            case "role_arn" if not value.startswith("arn:"):
                raise ValueError("a role is named by its ARN, like arn:aws:iam::123456789012:role/backup")
            case "external_id" if info.data.get("role_arn") is None:
                raise ValueError("an external ID goes with a role")
            case "storage_class":
                value = value.upper()
                if value in _ASLEEP:
                    raise ValueError(
                        "what is stored in this class cannot be read back at once; "
                        "GLACIER_IR, for one, can be"
                    )
        return value

    @pydantic.field_validator("ca", mode="before")
    @classmethod
    def _absolute(cls, value: object) -> object:
        if isinstance(value, str) and not value.strip():
            return None
        return Path(value).expanduser().absolute() if isinstance(value, str | Path) else value

    @property
    def place(self) -> str:
        """The bucket and its server, for people."""
        server = urlsplit(self.endpoint).netloc if self.endpoint else "Amazon S3"
        folder = f"/{self.prefix}" if self.prefix else ""
        return f"the bucket {self.bucket}{folder} at {server}"

    @property
    def has_keys(self) -> bool:
        """Whether it names its keys itself, so that nothing of this machine's counts."""
        return self.access_key_id is not None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
