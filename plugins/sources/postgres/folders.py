"""pg_dump's directory format: written by several workers into a folder of the host, carried as a tar.

The folder is the host's own scratch (mode 0700), gone in every outcome. The tar holds plain files of one
level, the table of contents first; what else an archive may hold is refused before tar sees it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from plugins.sources.feeding import feed
from plugins.sources.postgres.dumping import MAGIC, Order, Write, no_dump
from plugins.sources.postgres.failures import failure
from plugins.sources.postgres.session import Psql
from plugins.sources.postgres.tarring import Member, incomplete, refused, watched
from strongroom import Context, Host, SourceError, ToolFailed, ToolMissing

CONTENTS = "toc.dat"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]*")


def tar_of(host: Host) -> str:
    """The host's tar. Raises `ToolMissing`."""
    if (path := host.which("tar")) is None:
        raise ToolMissing(
            f"tar is not on {host.name or 'this host'}.",
            remedy="Install it, or take the custom format, which needs none.",
        )
    return path


def directory(context: Context, psql: Psql, order: Order, workers: int) -> Write:
    """Writes the directory format as a tar, once all of it has been dumped."""
    tar = tar_of(context.host)

    def write(argv: list[str], resources: ExitStack) -> Iterator[bytes]:
        folder = posixpath.join(resources.enter_context(context.host.folder()), "dump")
        tool, *rest = argv
        line = [tool, "-Fd", f"--jobs={workers}", f"--file={folder}", *rest]
        process = context.host.run(line, env=psql.connection.environment(order.encoding))
        resources.callback(process.kill)

        def chunks() -> Iterator[bytes]:
            for _ in process:
                pass
            status = process.wait()
            context.cancel.raise_if_cancelled()
            if status != 0:
                said = process.stderr()
                raise _no_room(said) or failure("pg_dump", status, said, psql.connection, order.database)
            head = next(iter(context.host.read_file(posixpath.join(folder, CONTENTS))), b"")
            if not head.startswith(MAGIC):
                raise no_dump(order.tool)
            yield from _packed(context, tar, folder)

        return chunks()

    return write


def _packed(context: Context, tar: str, folder: str) -> Iterator[bytes]:
    names = [posixpath.basename(path) for path in context.host.glob(f"{folder}/*")]
    names.sort(key=lambda name: (name != CONTENTS, name))
    # Names in a file: there may be more than arguments take, and tar would not read them all at once.
    listed = posixpath.join(posixpath.dirname(folder), "names")
    context.host.write_file(listed, ["".join(f"{name}\n" for name in names).encode()])
    # No option that busybox lacks: containers have its tar.
    with context.host.run([tar, "-cf", "-", "-C", folder, "-T", listed], env={"LC_ALL": "C"}) as process:
        yield from process
        status = process.wait()
        context.cancel.raise_if_cancelled()
        if status != 0:
            raise ToolFailed(
                f"tar failed on the dump with exit status {status}: {process.stderr().strip()[:400]}",
                remedy="See what tar says above.",
                exit_status=status,
            )


@contextmanager
def unpacked(context: Context, chunks: Iterable[bytes]) -> Iterator[str]:
    """A folder of the host with the archive that the tar holds; gone at the end of the block."""
    tar = tar_of(context.host)
    names: set[str] = set()

    def allow(member: Member) -> None:
        name = member.path.removeprefix("./")
        if member.kind == "5" and name in ("", "."):
            return
        if member.kind != "0" or not _NAME.fullmatch(name) or name in names:
            raise refused(f"{member.path!r}, which is no file of a dump")
        names.add(name)

    with context.host.folder() as folder:
        argv = [tar, "-xf", "-", "-C", folder]
        with context.host.run(argv, env={"LC_ALL": "C"}, stdin=True) as process:
            feed(process, watched(chunks, allow), context.cancel)
            process.close_stdin()
            status = process.wait()
            context.cancel.raise_if_cancelled()
            if status != 0:
                said = process.stderr()
                raise _no_room(said) or ToolFailed(
                    f"tar failed with exit status {status}: {said.strip()[:400]}",
                    remedy="See what tar says above.",
                    exit_status=status,
                )
        if CONTENTS not in names:
            raise incomplete("The archive has no table of contents: it is no dump in the directory format.")
        yield folder


def room(host: Host, folder: str = "") -> int | None:
    """The bytes that are free at a folder, or where the host's own are; None when it cannot be told."""
    with ExitStack() as stack:
        place = folder or stack.enter_context(host.folder())
        done = host.capture(["df", "-Pk", place], env={"LC_ALL": "C"}, timeout=30)
    last = done.stdout.decode("utf-8", "replace").strip().rpartition("\n")[2].split()
    return int(last[3]) << 10 if done.exit_status == 0 and len(last) > 3 and last[3].isdigit() else None


def _no_room(said: str) -> SourceError | None:
    if "No space left" not in said:
        return None
    return SourceError(
        "There is no room left where the host keeps its temporary folders.",
        remedy="Make room there, or take the custom format, which needs none.",
    )
