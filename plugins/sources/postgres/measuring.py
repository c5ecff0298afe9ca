"""What a cluster's files come to: counted in a backup's own stream, and on the disk of a restored one."""

from __future__ import annotations

import hashlib

from plugins.sources.postgres.tarring import Member
from strongroom import Context, Fingerprint, SourceError

_MOST = 1 << 53


class Measures:
    """Counts files, and sums over their names and sizes; their contents are pg_verifybackup's to prove."""

    def __init__(self) -> None:
        self._files = self._folders = self._bytes = self._sum = 0

    def add(self, member: Member) -> None:
        """Count one entry."""
        path = member.path.removeprefix("./").rstrip("/")
        if member.kind == "5":
            self._folders += 1 if path not in ("", ".") else 0
            return
        self._files += 1
        self._bytes += member.size
        digest = hashlib.sha256(f"{path}\0{member.size}".encode("utf-8", "surrogateescape")).digest()
        self._sum = (self._sum + int.from_bytes(digest[:8], "big")) % _MOST

    def fingerprint(self) -> Fingerprint:
        """The measures; consistent, for they are of the backup itself and of no moment of the server."""
        counts = {"files": self._files, "folders": self._folders, "bytes": self._bytes}
        return Fingerprint({**counts, "sum of names": self._sum}, consistent=True, of="measures")


def on_disk(context: Context, folder: str) -> Fingerprint:
    """The measures of a cluster's folder as it lies on the host."""
    measures = Measures()
    argv = ["find", folder, "-mindepth", "1", "-printf", "%y %s %P\\0"]
    with context.host.run(argv, env={"LC_ALL": "C"}) as process:
        rest = b""
        for chunk in process:
            *entries, rest = (rest + chunk).split(b"\0")
            for entry in entries:
                kind, size, path = entry.split(b" ", 2)
                member = Member(
                    path.decode("utf-8", "surrogateescape"), "5" if kind == b"d" else "0", int(size)
                )
                measures.add(member)
        status = process.wait()
        context.cancel.raise_if_cancelled()
        if status != 0:
            raise SourceError(f"{folder} cannot be looked through: {process.stderr().strip()[:400]}")
    return measures.fingerprint()
