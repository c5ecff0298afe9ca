"""What a destination's check tells about an S3 bucket, beside that it can be written."""

from __future__ import annotations

import ipaddress
import secrets
from urllib.parse import urlsplit

import strongroom
from plugins.storage.aws import errors, messages, versions
from plugins.storage.aws.link import Link
from plugins.storage.aws.settings import Settings
from plugins.storage.aws.upload import Multipart, abort


def proof_note(link: Link, key: str) -> str:
    """Begin a multipart upload under `key`, ask for the proof that uploads will have, and take it back."""
    upload = Multipart(link, key, parallel=1, options={})
    try:
        try:
            upload.begin(checksums=True)
        except errors.RAW as error:
            if not errors.refuses_checksums(error):
                raise
            upload.begin(checksums=False)
        computed = upload.ask_for_proof()
    finally:
        abort(link, key, upload.upload_id)
    if computed:
        return "The server computes SHA-256 itself, so uploads are proven without reading them back."
    return "The server computes no SHA-256, so each upload is read back: that takes as long as a download."


def lock_notes(link: Link) -> tuple[list[str], str]:
    """What the bucket keeps, as notes; and for how long it locks each new object ("" for not at all)."""
    notes, status = [], versions.versioning(link)
    if status == "Enabled":
        notes.append("The bucket keeps versions; what retention deletes is deleted with all its versions.")
    elif status == "Suspended":
        notes.append("The bucket has kept versions and does so no more.")
    locked = versions.default_lock(link)
    if locked:
        notes.append(
            f"The bucket locks each new object for {locked}: retention deletes nothing before. A test file "
            "would stay as long, so none was stored."
        )
    return notes, locked


def plain_http_note(settings: Settings) -> list[str]:
    """A warning for an unencrypted connection that leaves this machine."""
    parts = urlsplit(settings.endpoint or "https://")
    if parts.scheme != "http" or _is_this_machine(parts.hostname or ""):
        return []
    return [
        "Warning: the connection is not encrypted (http). Whoever is on its way can read what is stored, "
        "and change it."
    ]


def tells_names_apart(link: Link, key: str, body: bytes) -> bool:
    """Whether the server keeps an upload from replacing what is there (`key` is)."""
    try:
        link.call("put_object", Key=key, Body=body, IfNoneMatch="*")
    except errors.RAW as error:
        if errors.code(error) in errors.TAKEN:
            return True
        if errors.refuses_conditions(error):
            return False
        raise
    return False


def probe_name() -> str:
    """A name that nobody else uses."""
    return f"strongroom-probe-{secrets.token_hex(8)}"


def different_bytes(settings: Settings) -> strongroom.StorageError:
    """The error for a server that gives back other bytes than it was given."""
    return strongroom.StorageError(
        f"{messages.capital(settings.place)} gives back other bytes than were written there.",
        remedy="Do not trust this server with a backup.",
    )


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
