"""Deleting where a bucket keeps versions: by their IDs, and nothing before its retain-until date."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import strongroom
from plugins.storage.aws import errors
from plugins.storage.aws.link import Link

_UNTOLD = (400, 403, 404, 405, 501)
"""How servers say that they have no such thing, or do not tell these keys of it."""


def versioning(link: Link) -> str:
    """ "Enabled", "Suspended", "" for a bucket without versions, "?" where it cannot be told."""
    try:
        answer = link.call("get_bucket_versioning")
    except errors.RAW as error:
        if errors.code(error) == "NoSuchBucket" or errors.status(error) not in _UNTOLD:
            raise
        return "?"
    return str(answer.get("Status", ""))


def versions(link: Link, key: str) -> Iterator[dict[str, Any]]:
    """Every version and delete marker of exactly that key."""
    more: dict[str, Any] = {}
    while True:
        page = link.call("list_object_versions", Prefix=key, **more)
        for found in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            if found["Key"] == key:
                yield found
        # Keys come sorted, so that a longer one means that all of ours have been.
        following = page.get("NextKeyMarker")
        if not page.get("IsTruncated") or following != key:
            return
        more = {"KeyMarker": key, "VersionIdMarker": page.get("NextVersionIdMarker", "")}


def delete(link: Link, key: str, name: str, status: str) -> None:
    """Delete every version of a key; `status` is what `versioning` said. A missing one is fine.

    Raises `StorageError`, and deletes nothing, when a version is locked.
    """
    if status == "":
        link.call("delete_object", Key=key)
        return
    try:
        found = list(versions(link, key))
    except errors.RAW as error:
        if status != "?" or errors.status(error) not in _UNTOLD:
            raise
        link.call("delete_object", Key=key)
        return
    for version in found:
        _raise_if_locked(link, key, name, version["VersionId"])
    for version in found:
        link.call("delete_object", Key=key, VersionId=version["VersionId"])


def _raise_if_locked(link: Link, key: str, name: str, version: str) -> None:
    try:
        head = link.call("head_object", Key=key, VersionId=version)
    except errors.RAW as error:
        if errors.status(error) in _UNTOLD:
            return  # a delete marker, or gone
        raise
    until: datetime | None = head.get("ObjectLockRetainUntilDate")
    if until is not None and until > datetime.now(UTC):
        raise strongroom.StorageError(
            f"{name} in {link.settings.place} is locked until {until:%Y-%m-%d %H:%M} UTC "
            f"({str(head.get('ObjectLockMode', 'object lock')).lower()}).",
            remedy="It can be deleted after that.",
        )
    if head.get("ObjectLockLegalHoldStatus") == "ON":
        raise strongroom.StorageError(
            f"{name} in {link.settings.place} has a legal hold, so it is not deleted.",
            remedy="Whoever put the hold has to lift it first.",
        )


def default_lock(link: Link) -> str:
    """For how long the bucket locks each new object, in words; "" for not at all, or where it is not told."""
    try:
        answer = link.call("get_object_lock_configuration")
    except errors.RAW as error:
        if errors.code(error) == "NoSuchBucket" or errors.status(error) not in _UNTOLD:
            raise
        return ""
    rule = answer.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention", {})
    for unit in ("Days", "Years"):
        if count := rule.get(unit):
            return f"{count} {unit.lower().rstrip('s') if count == 1 else unit.lower()}"
    return ""
