"""Making and unpacking the archive, by find and tar on whatever host the folder is."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from plugins.sources.feeding import feed
from plugins.sources.tree import choosing
from plugins.sources.tree.choosing import Wanted
from plugins.sources.tree.scanning import TarScanner
from plugins.sources.tree.wording import listed, shortened, shown
from strongroom import (
    Cancelled,
    Context,
    Dump,
    Fingerprint,
    Host,
    LogLevel,
    LogType,
    Process,
    SourceError,
    StrongroomError,
    Tool,
    ToolFailed,
    ToolMissing,
)

_CREATE = (
    *("--create", "--file=-", "--format=pax", "--xattrs", "--acls", "--blocking-factor=256"),
    # Times of reading, and of what tar itself does, are nobody's data.
    "--pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f",
)
_FROM_US = ("--no-recursion", "--null", "--verbatim-files-from", "--files-from=-")
"""They count for what comes after them."""
_EXTRACT = (
    *("--extract", "--file=-", "--preserve-permissions", "--xattrs", "--xattrs-include=*", "--acls"),
    *("--delay-directory-restore", "--blocking-factor=256"),
)
_NO_SUCH = ": No such file or directory"
_CHANGED = re.compile(
    r"file changed as we read it|File removed before we read it|File shrank by|Cannot stat: No such file"
    r"|Warning: Cannot stat"
)
_PREFIX = re.compile(r"^\S*tar: ")
_HARMLESS = re.compile(
    r"Exiting with failure status due to previous errors|socket ignored|xattrs? support|ACL support"
    r"|acls? cannot|Operation not supported"
)


@dataclass(frozen=True, slots=True)
class Tools:
    """find and tar of a host."""

    find: str
    tar: str
    version: str

    def as_tool(self) -> Tool:
        return Tool("tar", self.tar, self.version)


def tools_of(host: Host) -> Tools:
    """Raises `ToolMissing` where either is not there, or not GNU's."""
    found = {}
    for name, package in (("find", "findutils"), ("tar", "tar")):
        path = host.which(name)
        text = host.capture([path, "--version"], timeout=20).stdout.decode("utf-8", "replace") if path else ""
        if path is None or "GNU" not in text:
            raise ToolMissing(
                f"GNU {name} is not on {host.name or 'this host'}.",
                remedy=f"Install it (Debian, Ubuntu, Alpine: the package {package}).",
            )
        found[name] = (path, text.partition("\n")[0].rpartition(" ")[2])
    return Tools(found["find"][0], found["tar"][0], found["tar"][1])


def begin_dump(
    context: Context,
    tools: Tools,
    folder: str,
    chosen: list[str],
    include: Sequence[str] = (),
    *,
    fingerprint: bool,
) -> Dump:
    """Start to archive; `chosen` is find's command line. Raises `SourceError`s.

    Of the patterns `include` it is told which have chosen no file, if any.
    """
    resources = ExitStack()
    try:
        finder = context.host.run([tools.find, *chosen], env={"LC_ALL": "C"})
        resources.callback(finder.kill)
        argv = [tools.tar, *_CREATE, f"--directory={folder}", *_FROM_US]
        archiver = context.host.run(argv, env={"LC_ALL": "C", "TZ": "UTC"}, stdin=True)
        resources.callback(archiver.kill)
    except BaseException:
        resources.close()
        raise
    scanner = TarScanner(sums=fingerprint)
    return Dump(
        _chunks(context, finder, archiver, scanner, folder, Wanted(include)),
        engine_version=tools.version,
        tool_version=f"tar {tools.version}",
        fingerprint=scanner.fingerprint if fingerprint else None,
        close=resources.close,
        details=shown([tools.find, *chosen, "|", *argv]),
    )


def counted(context: Context, tools: Tools, folder: str, chosen: list[str]) -> Fingerprint:
    """What a folder holds now, by reading all of it."""
    with begin_dump(context, tools, folder, chosen, fingerprint=True) as dump:
        for _ in dump:
            pass
        found = dump.fingerprint()
    assert found is not None  # noqa: S101 - it was asked for
    return found


def _chunks(
    context: Context, finder: Process, archiver: Process, scanner: TarScanner, folder: str, wanted: Wanted
) -> Iterator[bytes]:
    given = (finder, archiver, wanted)
    feeder = threading.Thread(target=_pass_names, args=given, name="files-found", daemon=True)
    feeder.start()
    for chunk in archiver:
        scanner.feed(chunk)
        yield chunk
    status = archiver.wait()
    finding = finder.wait()
    context.cancel.raise_if_cancelled()
    _judge(context, status, archiver.stderr(), folder)  # first: find is stopped when tar has gone
    if finding != 0:
        _judge_finding(context, finding, finder.stderr(), folder)
    scanner.finish()
    feeder.join()
    wanted.refuse_nothing(folder)
    if words := wanted.words(folder):
        context.log(words, LogLevel.WARNING, LogType.GENERAL, choosing.CORRECT)


def _pass_names(finder: Process, archiver: Process, wanted: Wanted) -> None:
    """Give tar what find finds, after the folder itself, and the folders on the way to each."""
    folders = {b""}
    try:
        archiver.write(b".\0")
        for entries in found(finder):
            for each in entries:
                wanted.see(each[:1], each[1:])
            archiver.write(b"".join(b"./" + name + b"\0" for each in entries for name in _new(each, folders)))
    except (OSError, StrongroomError, Cancelled):
        finder.stop()  # tar has ended, or somebody cancelled; its own end says which
    finally:
        archiver.close_stdin()


def found(finder: Process) -> Iterator[list[bytes]]:
    """What find prints, some entries at a time: of each its kind (a letter), and its path."""
    rest = b""
    for chunk in finder:
        *entries, rest = (rest + chunk).split(b"\0")
        yield entries


def _new(entry: bytes, folders: set[bytes]) -> Iterator[bytes]:
    """An entry's path after those of the folders above it that have not been named yet."""
    kind, name = entry[:1], entry[1:]
    above = name.rpartition(b"/")[0]
    if above not in folders:
        yield from _new(b"d" + above, folders)
    if kind == b"d":
        folders.add(name)
    yield name


def _judge(context: Context, status: int, said: str, folder: str) -> None:
    """Let pass what changed while it was read, and say so; raise for everything else."""
    lines = [shortened(_PREFIX.sub("", line)) for line in said.splitlines() if line.strip()]
    changed = [line for line in lines if _CHANGED.search(line)]
    wrong = [line for line in lines if not _CHANGED.search(line) and not _HARMLESS.search(line)]
    if status not in (0, 1, 2) or (status == 2 and (wrong or not changed)):
        raise _failed("tar", status, "\n".join(wrong or lines), folder)
    if changed:
        some = "; ".join(changed[:5]) + (f"; and {len(changed) - 5} more" if len(changed) > 5 else "")
        context.log(
            f"Files changed while they were read: {some}.",
            LogLevel.WARNING,
            LogType.GENERAL,
            "Each is in the backup as it was read, or was gone by then.",
        )


def _judge_finding(context: Context, status: int, said: str, folder: str) -> None:
    """Let pass folders that went before find came to look into them; raise for everything else."""
    lines = [line.removeprefix("find: ") for line in said.splitlines() if line.strip()]
    whole = shown([folder])
    if not lines or any(not line.endswith(_NO_SUCH) or line == f"'{whole}'{_NO_SUCH}" for line in lines):
        raise _failed("find", status, said, folder)
    context.log(
        f"Folders went while they were looked for: {listed(line.removesuffix(_NO_SUCH) for line in lines)}.",
        LogLevel.WARNING,
        LogType.GENERAL,
        "What was in them is not in the backup.",
    )


def unpack(
    context: Context, tools: Tools, folder: str, chunks: Iterable[bytes], paths: Sequence[str] = ()
) -> None:
    """Unpack an archive into a folder that is there and empty; only these `paths`, and what is below them.

    Raises `SourceError`s; a path that is not in the archive is one.
    """
    scanner = TarScanner(sums=False)
    argv = [tools.tar, *_EXTRACT, f"--directory={folder}"]
    if paths:
        argv += ["--no-wildcards", "--no-unquote", "--", *(f"./{path}" for path in paths)]
    with context.host.run(argv, env={"LC_ALL": "C"}, stdin=True) as process:
        if feed(process, _scanned(chunks, scanner), context.cancel):
            scanner.finish()
        process.close_stdin()
        status = process.wait()
        context.cancel.raise_if_cancelled()
        if status != 0:
            said = process.stderr()
            if paths and "Not found in archive" in said:
                gone = [path for path in paths if f"./{path}: Not found" in said] or list(paths)
                raise SourceError(
                    f"Not in this backup: {', '.join(gone)}.",
                    remedy="Give paths from the folder on, as docs/offer.pdf.",
                )
            if paths and "Cannot hard link to" in said:
                raise SourceError(
                    f"What was chosen is another name of a file that was not chosen: {said.strip()[:300]}",
                    remedy="Choose the name that it links to as well, or the whole folder.",
                )
            raise _failed("tar", status, said, folder)


def _scanned(chunks: Iterable[bytes], scanner: TarScanner) -> Iterator[bytes]:
    for chunk in chunks:
        scanner.feed(chunk)  # before tar sees it
        yield chunk


def _failed(tool: str, status: int, said: str, folder: str) -> SourceError:
    lines = [shortened(line.strip()) for line in said.splitlines() if line.strip()]
    words = "; ".join(lines[:3])
    if "File name too long" in said:
        return too_long(folder, words)
    if "Permission denied" in said or "Operation not permitted" in said:
        return SourceError(
            f"Not all of {folder} is open to this user: {words}",
            remedy="Run as a user that may do this (the owner, or root), or leave these files out (exclude).",
        )
    if "No space left" in said:
        return SourceError(f"There is no room left at {folder}: {words}", remedy="Make room there.")
    return ToolFailed(
        f"{tool} failed at {folder} with exit status {status}" + (f": {words}" if words else "."),
        remedy=f"See what {tool} says above.",
        exit_status=status,
    )


def too_long(folder: str, words: str) -> SourceError:
    """What to say of paths that no tool there can open."""
    return SourceError(
        f"Some paths below {folder} are longer than the system takes: {words}",
        remedy="Leave the folders out that are so deep (exclude), or give them shorter names.",
    )
