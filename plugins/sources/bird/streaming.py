"""gbak in both directions. Its log says how many rows each table has, and how many bytes the whole."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress

from plugins.sources.bird.failures import failure
from plugins.sources.bird.tools import Toolbox
from plugins.sources.feeding import feed
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
)

_TABLE = re.compile(r"gbak:\s+writing data for table (.*)")
_RECORDS = re.compile(r"gbak:\s*(\d+) records written")
_CLOSING = re.compile(r"gbak:\s*closing file, committing, and finishing\. (\d+) bytes written")
_WENT_HOME = "finishing, closing, and going home"
_REMEDY = "Restore another backup of this job."


def counted(log: str) -> dict[str, int]:
    """Rows by table, from gbak's log: it tells how far it is several times, the whole number last."""
    found: dict[str, int] = {}
    table = None
    for line in log.splitlines():
        if match := _TABLE.fullmatch(line):
            table = match[1]
            found[table] = 0
        elif table is not None and (match := _RECORDS.fullmatch(line)):
            found[table] = int(match[1])
    return found


def begin_dump(context: Context, tools: Toolbox, database: str, version: str, *, fingerprint: bool) -> Dump:
    """Start gbak; its snapshot is the dump's."""
    gbak = tools.find("gbak")
    resources = ExitStack()
    try:
        # Of the log, which tells each column, standard error would keep the end alone.
        log = f"{resources.enter_context(context.host.folder())}/log"
        argv = [gbak.path, "-b", "-g", "-v", "-y", log, tools.server.target(database), "stdout"]
        process = resources.enter_context(context.host.run(argv, env=tools.server.environment()))
    except BaseException:
        resources.close()
        raise
    rows: dict[str, int] | None = None

    def chunks() -> Iterator[bytes]:
        nonlocal rows
        size = 0
        for chunk in process:
            size += len(chunk)
            yield chunk
        status = process.wait()
        context.cancel.raise_if_cancelled()
        said = _read(context, log)
        if status != 0:
            raise failure("gbak", status, said + process.stderr(), tools.server, database)
        _warn(context, said, tools)
        match = _CLOSING.search(said)
        if match is None or not size:
            raise DumpIncomplete(
                f"gbak did not say that {database!r} was backed up whole.", remedy="Run the job again."
            )
        if int(match[1]) not in (size, size % (1 << 32)):
            raise DumpIncomplete(
                f"gbak says that it wrote {int(match[1]):,} bytes of {database!r}, and {size:,} came.",
                remedy="Run the job again.",
            )
        rows = counted(said)

    def count() -> Fingerprint | None:
        return Fingerprint(rows, consistent=True) if rows is not None else None

    return Dump(
        chunks(),
        engine_version=version,
        tool_version=f"gbak {gbak.version}",
        fingerprint=count if fingerprint else None,
        close=resources.close,
        details=" ".join(argv),
    )


def restore(
    context: Context, tools: Toolbox, database: str, chunks: Iterable[bytes], *, over_empty: bool
) -> None:
    """Feed gbak. Raises `SourceError`s; what it made until then is left for whoever asked."""
    gbak, host = tools.find("gbak"), context.host
    with host.folder() as folder:
        log = f"{folder}/log"
        argv = [gbak.path, "-rep" if over_empty else "-c", "-v", "-y", log, "stdin"]
        argv.append(tools.server.target(database))
        size = 0

        def sized() -> Iterator[bytes]:
            nonlocal size
            for chunk in chunks:
                size += len(chunk)
                yield chunk

        with host.run(argv, env=tools.server.environment(), stdin=True) as process:
            # At an end that comes too early it asks for the next volume, on standard output.
            threading.Thread(target=_pass_over, args=(process,), name="gbak-output", daemon=True).start()
            feed(process, sized(), context.cancel)
            process.close_stdin()
            status = process.wait()
            context.cancel.raise_if_cancelled()
            said = _read(context, log)
            if not size:
                raise DumpIncomplete("The backup has no byte in it.", remedy=_REMEDY)
            if status != 0 or _WENT_HOME not in said or "ERROR:" in said:
                if "ERROR:" not in said:
                    raise DumpIncomplete(
                        f"The backup ended before gbak had restored all of {database!r}.", remedy=_REMEDY
                    )
                raise failure("gbak", status, said + process.stderr(), tools.server, database)
            _warn(context, said, tools)


def _pass_over(process: Process) -> None:
    with suppress(OSError, ValueError, SourceError, Cancelled):
        for _ in process:
            pass


def _read(context: Context, log: str) -> str:
    try:
        return b"".join(context.host.read_file(log)).decode("utf-8", "replace")
    except SourceError:
        return ""  # it ended before it wrote a word


def _warn(context: Context, said: str, tools: Toolbox) -> None:
    if warnings := [line for line in said.splitlines() if "WARNING" in line.upper()]:
        context.log(
            f"gbak warned {len(warnings)} times.",
            LogLevel.WARNING,
            LogType.COMMAND,
            tools.server.without_secret("\n".join(warnings[:20])),
        )
