"""A host with a POSIX shell that is reached by something else: SSH, a container engine.

Whoever makes one says how a shell is started there (`open_shell`); everything that `Host` promises comes
from that shell, `dd`, `mktemp` and a few more that every system and every database's image has.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import PurePosixPath
from typing import Self

from engine.contract.hosts import Completed, Host, Process
from engine.errors import ConnectionFailed, SourceError, ToolFailed, ToolMissing
from engine.hosts import script
from engine.hosts.capturing import captured
from engine.hosts.shell import ShellProcess

# Both live as long as the shell that made them: when the connection is cut, its input ends, and they go.
_PRIVATE_FILE = """umask 077
for place in "$XDG_RUNTIME_DIR" "$TMPDIR" /tmp; do [ -n "$place" ] && [ -w "$place" ] && break; done
folder=$(mktemp -d "$place/strongroom-XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT; trap 'exit 1' HUP INT TERM
dd bs=1 count="$1" of="$folder/secret" 2>/dev/null ||
{ echo "$place cannot be written to, or is full" >&2; exit 1; }
printf '%s\\n' "$folder/secret"; cat >/dev/null"""
_FOLDER = """umask 077
folder=$(mktemp -d "${TMPDIR:-/tmp}/strongroom-XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT; trap 'exit 1' HUP INT TERM
printf '%s\\n' "$folder"; cat >/dev/null"""
_WRITE = """umask 077; set -C
{ : > "$1"; } || exit 1
set +C; cat > "$1" && { sync "$1" 2>/dev/null || sync; } || { rm -f "$1"; exit 1; }"""
_GLOB = """IFS=
for found in $1; do [ -e "$found" ] || [ -L "$found" ] || continue; printf '%s\\0' "$found"; done"""


class PosixHost(Host):
    """A host behind a shell. Subclasses say how the shell is started, and what the host is called."""

    _aside = False

    def __init__(self) -> None:
        self._tools: dict[str, str] = {}

    @abstractmethod
    def open_shell(self, *, aside: bool) -> Process:
        """Start `script.BOOT_LINE` (or `sh -c BOOT`) there, with a pipe to its standard input.

        With `aside` a cancel must not end it. Raises `ConnectionFailed` and `ToolMissing`.
        """

    def run(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: bool = False
    ) -> ShellProcess:
        word = script.new_word()
        said = script.launch(word, argv, env or {}, stdin=stdin)
        process = ShellProcess(self.open_shell(aside=self._aside), self.aside, self.name, with_input=stdin)
        try:
            found = process.begin(said, word)
        except BaseException:
            process.kill()
            raise
        tool = PurePosixPath(argv[0]).name
        if found is None:
            raise ConnectionFailed(
                f"No command can be run on {self.name}: {process.no_shell()}.",
                remedy="Check that it is there and running, that this user may log in to a shell there, and"
                " that the shell's profile neither waits nor reads what is meant for commands.",
            )
        if found == script.MISSING:
            raise ToolMissing(
                f"The tool {tool} is not on {self.name}.",
                remedy=f"Install {tool} there, or see that it is on PATH for logins without a terminal.",
            )
        return process

    def capture(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout: float = 60.0,
    ) -> Completed:
        return captured(self.run(argv, env=env, stdin=bool(stdin)), argv, stdin, timeout)

    def which(self, tool: str) -> str | None:
        # Asked once for each: adapters ask again and again, and each question is a way there and back.
        if tool not in self._tools:
            found = self._sh('command -v "$1"', tool)
            path = found.stdout.decode("utf-8", "surrogateescape").rstrip("\n")
            if found.exit_status != 0 or not path.startswith("/"):
                return None
            self._tools[tool] = path
        return self._tools[tool]

    def exists(self, path: str) -> bool:
        return self._sh('[ -e "$1" ]', path).exit_status == 0

    def glob(self, pattern: str) -> list[str]:
        found = self._sh(_GLOB, pattern).stdout.decode("utf-8", "surrogateescape")
        return sorted(found.split("\0")[:-1])

    def secret_file(self, content: str) -> AbstractContextManager[str]:
        data = content.encode()
        return self._living(_PRIVATE_FILE, str(len(data)), given=data)

    def folder(self) -> AbstractContextManager[str]:
        return self._living(_FOLDER)

    def read_file(self, path: str) -> Iterator[bytes]:
        with self.run(["cat", "--", path]) as process:
            yield from process
            if process.wait() != 0:
                raise SourceError(f"{path} on {self.name} cannot be read: {_said(process, 'cat')}.")

    def write_file(self, path: str, chunks: Iterable[bytes]) -> None:
        with self.run(["sh", "-c", _WRITE, "sh", path], stdin=True) as process:
            whole = False
            try:
                with suppress(BrokenPipeError):  # its exit status says why
                    for chunk in chunks:
                        process.write(chunk)
                    process.close_stdin()
                if process.wait() != 0:
                    raise SourceError(
                        f"{path} on {self.name} cannot be written: {_said(process, 'cat')}.",
                        remedy="Make room there, or give this user the right to write there.",
                    )
                whole = True
            finally:
                if not whole and process.is_running:
                    process.kill()
                    with suppress(Exception):  # it must not hide what went wrong before
                        self.aside().capture(["rm", "-f", "--", path], timeout=5)

    def tunnel(self, host: str, port: int) -> AbstractContextManager[tuple[str, int]]:
        raise ConnectionFailed(
            f"No connection can be led through {self.name}.",
            remedy="Give the address at which this machine itself reaches the server, and no host.",
        )

    def aside(self) -> Self:
        other = copy.copy(self)
        other._aside = True
        return other

    def _sh(self, line: str, argument: str) -> Completed:
        return self.capture(["sh", "-c", line, "sh", argument])

    @contextmanager
    def _living(self, line: str, *arguments: str, given: bytes = b"") -> Iterator[str]:
        """A path that is there as long as the shell that made it."""
        with self.run(["sh", "-c", line, "sh", *arguments], stdin=True) as process:
            process.write(given)
            path = b""
            while not path.endswith(b"\n"):
                got = process.read()
                if not got:
                    raise ToolFailed(
                        f"No private folder can be made on {self.name}: {_said(process, 'mktemp')}.",
                        remedy="Make room in its temporary folder (TMPDIR says where it is, else /tmp), or"
                        " give this user the right to write there.",
                    )
                path += got
            try:
                yield path.decode("utf-8", "surrogateescape").rstrip("\n")
            finally:
                process.close_stdin()
                process.let_end()


def _said(process: Process, tool: str) -> str:
    """What a tool complained of, as the end of a sentence."""
    last = process.stderr().strip().rpartition("\n")[2].rstrip(".")
    return last.removeprefix(f"{tool}: ") or "it failed"
