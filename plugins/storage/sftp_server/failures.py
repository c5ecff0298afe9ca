"""What a server refuses, as errors that say what to do. Its codes are few; the rest is asked for."""

from __future__ import annotations

import strongroom
from plugins.storage.sftp_server.protocol import Code, Refused
from plugins.storage.sftp_server.remote import Remote

FULL = 1 << 20
"""Bytes free at which a file system counts as full: a write that finds too little room fills what is left."""


def error_of(refused: Refused, remote: Remote, root: str, name: str) -> strongroom.StorageError:
    """Our error for a refused request that was about `name` below `root`."""
    about = name or "its list"
    if refused.code == Code.NO_SUCH_FILE:
        return _missing(remote, root, name)
    if refused.code == Code.PERMISSION_DENIED:
        return strongroom.StorageError(
            f"The server does not permit that in {root} (for {about}).",
            remedy=f"Let this user read and write in {root} on the server.",
        )
    if refused.code == Code.UNSUPPORTED:
        return strongroom.StorageError(f"The server cannot do what {about} needs: {_words(refused)}.")
    # SFTP has no code for a full disk, for a quota, nor for a name that is too long.
    space = _space(remote, root)
    if space is not None and space < FULL:
        return strongroom.StorageFull(
            f"No space is left in {root} on the server for {about}: {space:,} bytes are free.",
            remedy="Free space there, keep fewer backups (retention), or choose another destination.",
        )
    return strongroom.StorageError(
        f"The server failed for {about} in {root}: {_words(refused)}.",
        remedy="SFTP does not tell why. Look for a quota, a damaged disk or a name that is too long there.",
        transient=True,
    )


def _missing(remote: Remote, root: str, name: str) -> strongroom.StorageError:
    try:
        remote.stat(root)
    except Refused:
        return strongroom.StorageError(
            f"The folder {root} is not there on the server (any more).",
            remedy="Bring it back, or correct the path, then run again.",
        )
    return strongroom.StorageMissing(
        f"There is no {name} in {root}.", remedy="See who removed it; take another copy or backup."
    )


def _space(remote: Remote, root: str) -> int | None:
    space = remote.space(root)
    return None if space is None else space.free


def _words(refused: Refused) -> str:
    return refused.words.strip().rstrip(".") or f"code {refused.code}"
