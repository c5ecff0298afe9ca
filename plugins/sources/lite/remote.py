"""SQLite files on a host that is not this machine, by the `sqlite3` of that host.

The library here cannot lock a file there. So whatever is asked of a live file is asked by the tool, in one
read transaction; what was backed up lies in a folder of that host until it has been read.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from urllib.parse import quote

from plugins.sources.lite.placing import check_header
from plugins.sources.lite.renaming import drop_empty_sides, publish, remove, swap, temporary_name
from strongroom import (
    Cancelled,
    Completed,
    ConnectionFailed,
    Context,
    DatabaseMissing,
    Dump,
    DumpIncomplete,
    Fingerprint,
    LogLevel,
    LogType,
    SourceError,
    TargetState,
    Tool,
    ToolMissing,
)

_LONG = 24 * 3600.0  # seconds
_PAGES = "PRAGMA page_count;\nPRAGMA page_size;\nPRAGMA journal_mode;\n"
_COUNTS = (
    "SELECT 'SELECT ''=' || hex(name) || ' '' || count(*) FROM \"' || replace(name, '\"', '\"\"') || '\";'"
    " FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    " AND sql NOT LIKE 'CREATE VIRTUAL TABLE%' ORDER BY name;\n"
)


class Remote:
    """What the source does with files of its host."""

    def __init__(self, context: Context, lock_timeout: float) -> None:
        self._context = context
        self._host = context.host
        self._wait = int(lock_timeout * 1000)
        self._tool: Tool | None = None

    def tool(self) -> Tool:
        """Raises `ToolMissing`."""
        if self._tool is None:
            path = self._host.which("sqlite3")
            said = self._host.capture([path, "--version"], timeout=20).stdout.decode() if path else ""
            if path is None or not said[:1].isdigit():
                raise ToolMissing(
                    f"The tool sqlite3 is not on {self._host.name or 'this host'}.",
                    remedy="Install it there (Debian, Ubuntu: the package sqlite3).",
                )
            self._tool = Tool("sqlite3", path, said.split()[0])
        return self._tool

    # ---------------------------------------------------------------------------------- looking

    def look_at(self, path: str) -> list[str]:
        """What `check` tells of a file. Raises what would keep it from being backed up."""
        self._need(path)
        pages, size, mode = self._ask(path, _PAGES)[:3]
        tables = len(self._counted(path))
        with self._host.folder() as folder:
            self._need_room(folder, int(pages) * int(size))
        notes = [f"{int(pages) * int(size):,} bytes", f"{tables} table{'' if tables == 1 else 's'}"]
        return notes if mode == "wal" else [*notes, f"journal mode {mode}: writers wait while it is copied"]

    def fingerprint(self, path: str) -> Fingerprint:
        self._need(path)
        return Fingerprint(self._counted(path), consistent=True)

    def target_state(self, path: str) -> TargetState:
        if not self._host.exists(path):
            return TargetState.MISSING
        try:
            found = self._ask(path, "SELECT count(*) FROM sqlite_master;\n")
        except ToolMissing:
            raise
        except SourceError:
            return TargetState.FILLED  # whatever it is, it is somebody's
        return TargetState.EMPTY if found == ["0"] else TargetState.FILLED

    def _counted(self, path: str, *, alone: bool = False) -> dict[str, int]:
        """Rows by table, in one transaction: what lists the tables is run once more, as its own answer."""
        with self._host.folder() as folder:
            script = (
                f"BEGIN;\n.once {_word(f'{folder}/counts')}\n{_COUNTS}.read {_word(f'{folder}/counts')}\n"
            )
            lines = self._ask(path, script, alone=alone)
        pairs = (line[1:].split(" ") for line in lines if line.startswith("="))
        return {bytes.fromhex(name).decode("utf-8", "replace"): int(count) for name, count in pairs}

    # ---------------------------------------------------------------------------------- dumping

    def dump(self, path: str, *, fingerprint: bool) -> Dump:
        """Begin a dump; the copy is made and checked when the first chunk is asked for."""
        self._need(path)
        version = self.tool().version
        resources = ExitStack()
        folder = resources.enter_context(self._host.folder())
        copy = f"{folder}/copy.sqlite"
        counted: dict[str, int] | None = None

        def chunks() -> Iterator[bytes]:
            nonlocal counted
            self._copy(path, copy, folder)
            if fingerprint:
                try:
                    counted = self._counted(copy, alone=True)
                except SourceError as error:  # a collation that only the application has
                    self._warn(f"The rows could not be counted: {error.message}")
            yield from self._host.read_file(copy)

        def count() -> Fingerprint | None:
            return Fingerprint(counted, consistent=True) if counted is not None else None

        return Dump(
            chunks(),
            engine_version=version,
            tool_version=f"sqlite3 {version}",
            fingerprint=count if fingerprint else None,
            close=resources.close,
            details=path,
        )

    def _copy(self, path: str, copy: str, folder: str) -> None:
        pages, size = (int(value) for value in self._ask(path, _PAGES)[:2])
        self._need_room(folder, pages * size)
        # With the transaction held, no write of another program makes the backup begin anew.
        script = f"BEGIN;\nSELECT count(*) FROM sqlite_master;\n.backup main {_word(copy)}\nCOMMIT;\n"
        self._ask(path, script)
        if pages == 0:
            self._warn(f"{path} has no page: what is backed up is an empty database.")
            # An empty file is an empty database; with a header it can be told from a lost one.
            self._ask(copy, "PRAGMA user_version = 0;\n", write=True)
        self._prove(copy, "Run the job again; if this stays so, look after the disk.")

    def _prove(self, path: str, remedy: str) -> None:
        try:
            found = self._ask(path, "PRAGMA quick_check(5);\n", alone=True)
        except ConnectionFailed:
            raise
        except SourceError as error:
            if "no such" in error.message:
                self._warn(f"SQLite could not check every table: {error.message}")
                return
            raise DumpIncomplete(f"The copy is damaged: {error.message}", remedy=remedy) from error
        if found != ["ok"]:
            raise DumpIncomplete(f"The copy is damaged: {'; '.join(found)}.", remedy=remedy)

    # -------------------------------------------------------------------------------- restoring

    def restore(self, path: str, chunks: Iterable[bytes], state: TargetState, model: str) -> None:
        """Write the file beside, check it there, and only then give it its name and `model`'s rights."""
        host = self._host
        folder = posixpath.dirname(path)
        if not host.exists(folder):
            raise SourceError(f"There is no folder {folder}.", remedy="Make it, or choose another place.")
        temporary = temporary_name(path)
        size, head = 0, b""

        def seen() -> Iterator[bytes]:
            nonlocal size, head
            for chunk in chunks:
                self._context.cancel.raise_if_cancelled()
                size += len(chunk)
                head = (head + chunk)[:100] if len(head) < 100 else head
                yield chunk

        try:
            host.write_file(temporary, seen())
            check_header(head, size)
            self._prove(temporary, "Restore another backup of this job.")
            if host.exists(model):
                for option in ("chown", "chmod"):
                    host.capture([option, f"--reference={model}", "--", temporary], timeout=20)
            publish(host, temporary, path, over_empty=state is TargetState.EMPTY)
        finally:
            with suppress(SourceError, Cancelled):
                remove(host, temporary)

    def drop(self, path: str) -> None:
        remove(self._host, path)

    def replace(self, new: str, path: str, kept: str) -> bool:
        """Swap by renaming; False when there was no old file."""
        if not self._host.exists(new):
            raise DatabaseMissing(f"There is no file {new}.", remedy="Restore again.")
        if not self._host.exists(path):
            publish(self._host, new, path, over_empty=False)
            drop_empty_sides(self._host, new)
            return False
        self._settle(path)
        for option in ("chown", "chmod"):
            self._host.capture([option, f"--reference={path}", "--", new], timeout=20)
        swap(self._host, new, path, kept)
        return True

    def _settle(self, path: str) -> None:
        """Write the WAL back, and see that no program has the file open; whatever is no database passes."""
        try:
            [mode] = self._ask(path, "PRAGMA journal_mode;\n", write=True)
            script = "BEGIN EXCLUSIVE;\nROLLBACK;\n"
            if mode == "wal":  # leaving the mode needs to be alone
                script = "PRAGMA journal_mode = DELETE;\nPRAGMA journal_mode = WAL;\n"
            self._ask(path, script, write=True)
        except ConnectionFailed:
            raise
        except SourceError as error:
            if "is not an SQLite database" not in error.message:
                raise

    # ---------------------------------------------------------------------------------- helpers

    def _ask(self, path: str, script: str, *, alone: bool = False, write: bool = False) -> list[str]:
        """Run a script; `alone` says that nobody else has the file, which is then left without a trace."""
        target = f"file:{quote(path)}?immutable=1" if alone else path
        argv = [self.tool().path, "-batch", "-bail", "-noheader", "-init", "/dev/null"]
        argv += [*([] if write else ["-readonly"]), target]
        text = f".timeout {self._wait}\n{script}"
        done = self._host.capture(argv, stdin=text.encode(), timeout=_LONG)
        if done.exit_status != 0 or "rror:" in done.stderr:
            raise _translated(path, done)
        return done.stdout.decode("utf-8", "replace").splitlines()

    def _need(self, path: str) -> None:
        if not self._host.exists(path):
            raise DatabaseMissing(
                f"There is no file {path} on {self._host.name}.", remedy="Correct the path of the source."
            )

    def _need_room(self, folder: str, size: int) -> None:
        done = self._host.capture(["df", "-Pk", folder], timeout=60)
        last = done.stdout.decode("utf-8", "replace").splitlines()[-1:]
        fields = last[0].split() if last else []
        if len(fields) > 3 and fields[3].isdecimal() and int(fields[3]) * 1024 < size:
            raise SourceError(
                f"The copy needs {size:,} bytes, and {posixpath.dirname(folder)} on {self._host.name} has"
                f" {int(fields[3]) * 1024:,} free.",
                remedy="Make room there, or name another temporary folder by TMPDIR.",
            )

    def _warn(self, message: str) -> None:
        self._context.log(message, LogLevel.WARNING, LogType.GENERAL, "")


def _word(path: str) -> str:
    """A path for one of sqlite3's own commands."""
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _translated(path: str, done: Completed) -> SourceError:
    said = " ".join(done.stderr.split())[:300]
    if "locked" in said:
        return ConnectionFailed(
            f"Another program holds {path} locked.", remedy="Close it, or raise the time to wait for a lock."
        )
    if "not a database" in said:
        return SourceError(f"{path} is not an SQLite database.", remedy="Name the database file.")
    if "malformed" in said:
        return SourceError(f"The database {path} is damaged: {said}", remedy="Restore a backup of it.")
    if "unable to open" in said or "readonly" in said:
        return ConnectionFailed(
            f"The database {path} cannot be opened: {said}",
            remedy="Give the user of that host the right to read the file, its -wal and its -shm.",
        )
    return SourceError(f"sqlite3 failed on {path}: {said}", remedy="See what it says about that file.")
