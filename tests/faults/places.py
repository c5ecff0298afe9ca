"""What lies at a destination, seen behind Strongroom's back: by plain tools, past adapters and proxies."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from engine.archive.sidefiles import PROOF_SUFFIX
from engine.records import Endpoint
from tests.parts.commands import files


class Place(Protocol):
    """Where one destination's files really are."""

    def files(self) -> dict[str, str]:
        """Every file, hidden and temporary ones included, with its SHA-256."""

    def unfinished(self) -> list[str]:
        """What was begun there and is no file yet."""


@dataclass(frozen=True)
class Folder:
    """A folder of this machine: a local destination's, or that of an SSH server that runs here."""

    path: Path

    def files(self) -> dict[str, str]:
        return files(self.path)

    def unfinished(self) -> list[str]:
        return []


@dataclass(frozen=True)
class Bucket:
    """A bucket, by a plain client that goes to the server itself."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    name: str
    prefix: str = ""

    def files(self) -> dict[str, str]:
        found = {}
        with closing(self._client()) as client:
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=self.name):
                for item in page.get("Contents", []):
                    with closing(client.get_object(Bucket=self.name, Key=item["Key"])["Body"]) as body:
                        digest = hashlib.sha256()
                        for chunk in iter(lambda: body.read(1 << 20), b""):
                            digest.update(chunk)
                    found[item["Key"].removeprefix(self.prefix)] = digest.hexdigest()
        return found

    def unfinished(self) -> list[str]:
        with closing(self._client()) as client:
            pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=self.name)
            return [f"{its['Key']} ({its['UploadId']})" for page in pages for its in page.get("Uploads", [])]

    def _client(self) -> Any:
        from botocore.config import Config

        return _session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 3}),
        )


@functools.cache
def _session() -> Any:
    """One for all clients: it reads the service's description once, which takes longer than any request."""
    import boto3

    return boto3.session.Session()


Places = Mapping[str, Place]
"""By the destination's name."""
Older = Mapping[Place | Path, Mapping[str, str]]
"""What lay in each place before the fault, by name, with its SHA-256."""


def place_of(destination: Endpoint) -> Place:
    """Where a destination without a place of its own has its files: in a folder of this machine."""
    return Folder(Path(str(destination.config["path"])))


def lying(place: Place | Path) -> dict[str, str]:
    """Every file there, with its SHA-256."""
    return files(place) if isinstance(place, Path) else place.files()


def older(*places: Place | Path) -> Older:
    """Remember what lies there: artifacts and sidecars, which a later fault may not touch."""
    return {
        its: {name: digest for name, digest in lying(its).items() if not name.endswith(PROOF_SUFFIX)}
        for its in places
    }


def to_json(places: Places) -> dict[str, dict[str, str]]:
    """For a process on another machine."""
    return {
        name: {
            "kind": type(its).__name__,
            **{key: str(value) for key, value in dataclasses.asdict(its).items()},  # type: ignore[call-overload]
        }
        for name, its in places.items()
    }


def from_json(told: Mapping[str, Mapping[str, str]]) -> Places:
    found: dict[str, Place] = {}
    for name, values in told.items():
        rest = {key: value for key, value in values.items() if key != "kind"}
        found[name] = Folder(Path(rest["path"])) if values["kind"] == "Folder" else Bucket(**rest)
    return found
