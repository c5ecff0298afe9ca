"""A cluster's folder as a target: unpacked from a base backup, verified before it counts as restored."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from plugins.sources.feeding import feed
from plugins.sources.postgres.basebackup import MANIFEST, OLDEST, allow
from plugins.sources.postgres.tarring import Member, incomplete, watched
from plugins.sources.postgres.tools import Toolbox
from plugins.sources.tree.archiving import Tools
from strongroom import Context, SourceError, ToolFailed

_LONG = 7 * 24 * 3600.0  # seconds: all of a large cluster is read


def unpack(context: Context, tools: Tools, folder: str, chunks: Iterable[bytes]) -> None:
    """Unpack into a folder that is there and empty. Raises `SourceError`s."""
    seen: set[str] = set()

    def look_at(member: Member) -> None:
        allow(member)
        if member.path in (MANIFEST, "PG_VERSION"):
            seen.add(member.path)

    argv = [tools.tar, "--extract", "--file=-", "--preserve-permissions", "--blocking-factor=256"]
    argv += [f"--directory={folder}"]
    with context.host.run(argv, env={"LC_ALL": "C"}, stdin=True) as process:
        feed(process, watched(chunks, look_at), context.cancel)
        process.close_stdin()
        status = process.wait()
        context.cancel.raise_if_cancelled()
        if status != 0:
            said = process.stderr().strip()[:400]
            if "No space left" in said:
                raise SourceError(f"There is no room left at {folder}.", remedy="Make room there.")
            raise ToolFailed(
                f"tar failed at {folder} with exit status {status}: {said}",
                remedy="See what tar says above.",
                exit_status=status,
            )
    if len(seen) < 2:
        raise incomplete("The archive is no base backup of a PostgreSQL cluster with its manifest.")
    # As root, tar has given the files to whom they belonged; the folder itself goes with them.
    done = context.host.capture(["chown", f"--reference={folder}/PG_VERSION", "--", folder])
    if done.exit_status != 0:
        raise SourceError(f"{folder} could not be given to the owner of its files: {done.stderr.strip()}")


def major_of(context: Context, folder: str) -> int:
    """The major version of a cluster's folder."""
    text = b"".join(context.host.read_file(posixpath.join(folder, "PG_VERSION"))).strip()
    if not text.isdigit() or int(text) < OLDEST:
        raise incomplete("The archive is of no PostgreSQL that is known here.")
    return int(text)


def verify(context: Context, tools: Toolbox, folder: str) -> None:
    """Have pg_verifybackup compare every file with the manifest, and read the write-ahead log."""
    tool = tools.exactly("pg_verifybackup", major_of(context, folder))
    argv = [tool.path, "--quiet", "--", folder]
    done = context.host.capture(argv, env={"LC_ALL": "C"}, timeout=_LONG)
    if done.exit_status != 0:
        said = " ".join(done.stderr.split())[:400]
        raise ToolFailed(
            f"pg_verifybackup found fault with {folder}: {said}",
            remedy="Restore another backup, and verify this one.",
            exit_status=done.exit_status,
        )
