"""Where a database's tools run. An adapter is written once, against `Host`; there is no second code path."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from engine.contract.readers import CHUNK


@dataclass(frozen=True, slots=True)
class Completed:
    """A tool that ended; `exit_status` is negative for a signal. The output is bytes of at most 16 MiB."""

    argv: tuple[str, ...]
    exit_status: int
    stdout: bytes
    stderr: str


class Process(ABC):
    """A running tool. Leaving its `with` block ends it and all that it started."""

    @abstractmethod
    def read(self, size: int = CHUNK, /) -> bytes:
        """Return 1 to `size` bytes of standard output, waiting for them; b"" at its end.

        The end of the output is not success: ask `wait`.
        """

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read():
            yield chunk

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Write all of `data` to standard input; raises `BrokenPipeError` when the tool has gone."""

    @abstractmethod
    def close_stdin(self) -> None:
        """Tell the tool that its input has ended."""

    @abstractmethod
    def wait(self, timeout: float | None = None) -> int:
        """Wait up to `timeout` seconds for the end and return the exit status, negative for a signal.

        Raises `TimeoutError`.
        """

    @abstractmethod
    def stderr(self) -> str:
        """The last 64 KiB of standard error, decoded; complete once `wait` has returned."""

    @abstractmethod
    def stop(self) -> None:
        """Like `kill`, without waiting: ask the process group to end, and force it after 2 seconds."""

    @abstractmethod
    def kill(self) -> None:
        """End the tool's whole process group: asked first, forced after 2 seconds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


class Host(ABC):
    """This machine, an SSH host, or a container: the same behaviour everywhere.

    Arguments are always lists, never a shell's line. The child gets an environment built from an
    allow-list (PATH, HOME, locale and the like) plus `env`; secrets travel in `env`, never in `argv`.
    Every process is registered with the run's cancel token: a cancel ends its process group.
    """

    name: str = ""
    local: bool = False
    """Whether its paths and its loopback addresses are those of this process."""

    @abstractmethod
    def run(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: bool = False
    ) -> Process:
        """Start a tool. With `stdin` its standard input is a pipe, else empty.

        Raises `ToolMissing` when there is no such tool.
        """

    @abstractmethod
    def capture(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout: float = 60.0,
    ) -> Completed:
        """Run a tool to its end and return its output, whatever its exit status.

        Raises `ToolMissing`, `ToolFailed` when `timeout` (seconds) passes, and `Cancelled`.
        """

    @abstractmethod
    def which(self, tool: str) -> str | None:
        """The tool's absolute path on this host; None when it is not there."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether a file or folder is there."""

    @abstractmethod
    def glob(self, pattern: str) -> list[str]:
        """The paths that match a shell pattern, sorted; for tools outside PATH."""

    @abstractmethod
    def secret_file(self, content: str) -> AbstractContextManager[str]:
        """A file of mode 0600 with `content` that lives as long as the block; gives its path."""

    @abstractmethod
    def folder(self) -> AbstractContextManager[str]:
        """A new folder of mode 0700 on that host, removed with all that is in it at the end of the block."""

    @abstractmethod
    def read_file(self, path: str) -> Iterator[bytes]:
        """A file's bytes. Raises `SourceError` when it cannot be read, at the first byte or at any other."""

    @abstractmethod
    def write_file(self, path: str, chunks: Iterable[bytes]) -> None:
        """Write a new file of mode 0600, and see that it has reached the disk.

        Raises `SourceError`; a file that is there already stays as it is. What was begun is removed.
        """

    @abstractmethod
    def tunnel(self, host: str, port: int) -> AbstractContextManager[tuple[str, int]]:
        """The address at which this process reaches what that host knows as `host` and `port`.

        For adapters that speak to a server themselves. Raises `ConnectionFailed` where it cannot be had.
        """

    @abstractmethod
    def aside(self) -> Host:
        """The same host for what has to be tidied up after a cancel: none ends what runs there."""

    def close(self) -> None:  # noqa: B027 - optional, this machine holds nothing open
        """Let go of connections. Called in every outcome."""
