"""The two lines that carry a backup: one gives it, one takes it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress

from plugins.sources.feeding import feed
from plugins.sources.shell.running import Runner
from strongroom import (
    Cancelled,
    Context,
    Dump,
    DumpIncomplete,
    Fingerprint,
    LogLevel,
    LogType,
    Process,
    SourceError,
    ToolFailed,
)

_TAIL = 4096

Count = Callable[[], dict[str, int]]


class EndMark:
    """Remembers the end of a stream, to say whether it is whole."""

    def __init__(self, mark: str) -> None:
        self._mark = mark.encode()
        self._keep = max(_TAIL, len(self._mark))
        self._tail = b""
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._size += len(chunk)
        self._tail = (self._tail + chunk[-self._keep :])[-self._keep :]

    def require(self, who: str, remedy: str) -> None:
        """Raises `DumpIncomplete` for a stream without a byte, or without its mark."""
        if not self._size:
            raise DumpIncomplete(f"{who} has no byte in it.", remedy=remedy)
        if self._mark not in self._tail:
            raise DumpIncomplete(
                f"{who} has {self._size:,} bytes, and its end mark is missing.", remedy=remedy
            )


def begin_dump(
    context: Context, runner: Runner, line: str, database: str, *, end_mark: str, count: Count | None
) -> Dump:
    """Start the dump line. `count` is asked before and after: where both agree, the dump holds that too."""
    before = count() if count is not None else {}
    whole = False
    resources = ExitStack()
    try:
        folder = resources.enter_context(context.host.folder())
        process = resources.enter_context(runner.start(line, database, folder))
    except BaseException:
        resources.close()
        raise

    def chunks() -> Iterator[bytes]:
        nonlocal whole
        mark = EndMark(end_mark)
        for chunk in process:
            mark.feed(chunk)
            yield chunk
        _end(context, runner, "dump", process)
        mark.require("What the dump command printed", "See what it prints when it is run by hand.")
        whole = True

    def counted() -> Fingerprint | None:
        if count is None or not whole:
            return None
        return Fingerprint(before, consistent=before == count(), of="measures")

    fingerprint = counted if count is not None else None
    return Dump(chunks(), fingerprint=fingerprint, close=resources.close, details=line)


def give(
    context: Context, runner: Runner, line: str, database: str, chunks: Iterable[bytes], *, end_mark: str
) -> None:
    """Run the restore line with the backup as its standard input. Raises `SourceError`s."""
    mark = EndMark(end_mark)

    def seen() -> Iterator[bytes]:
        for chunk in chunks:
            mark.feed(chunk)
            yield chunk
        # Before the command hears that its input has ended: it may not take half a backup for a whole one.
        mark.require("The backup", "Restore another backup of this job.")

    with context.host.folder() as folder, runner.start(line, database, folder, stdin=True) as process:
        threading.Thread(target=_pass_over, args=(process,), name="command-output", daemon=True).start()
        took_all = feed(process, seen(), context.cancel)
        process.close_stdin()
        _end(context, runner, "restore", process)
        if not took_all:
            raise ToolFailed(
                "The restore command ended well, and before it had read the whole backup.",
                remedy="If that is meant, let it read the rest: COMMAND && cat > /dev/null",
                exit_status=0,
            )


def _pass_over(process: Process) -> None:
    """Read what nobody wants, so that a command which prints much is not held up."""
    with suppress(OSError, ValueError, SourceError, Cancelled):
        for _ in process:
            pass


def _end(context: Context, runner: Runner, what: str, process: Process) -> None:
    """Wait for the end, keep what was said for the log, and raise unless the exit status is 0."""
    status = process.wait()
    context.cancel.raise_if_cancelled()
    said = runner.clean(process.stderr()).strip()
    if status != 0:
        context.log(f"The {what} command has failed.", LogLevel.ERROR, LogType.COMMAND, said)
        raise runner.failure(what, status, said)
    if said:
        context.log(f"The {what} command said something.", LogLevel.INFO, LogType.COMMAND, said)
