"""This machine as a `Host`: tools run as our children, each in a process group of its own.

Three threads mind a process: the caller's reads and writes, one drains standard error, one waits for
the end. Nothing here waits without an end: a cancel wakes whoever reads, writes or waits, and a
descendant that keeps a pipe open after the tool has ended is not waited for.
"""

from __future__ import annotations

import glob as globbing
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO

from engine.cancellation import CancelToken
from engine.contract.hosts import Completed, Host, Process
from engine.contract.readers import CHUNK
from engine.errors import SourceError, ToolFailed, ToolMissing
from engine.hosts.capturing import captured
from engine.hosts.private import in_memory, private_folder

GRACE = 2.0
"""Seconds between asking a process group to end and forcing it."""
_QUIET = 2.0
"""Seconds of silence after which a pipe that somebody holds open counts as ended, the tool being gone."""
_STEP = 0.2
"""Seconds after which whoever waits for a pipe looks whether somebody asked to stop."""
_PIPE = 64 << 10
_STDERR_KEPT = 64 << 10

# pg_dump writes 4 to 16 KiB at a time. Reading each as it comes cost 1.3 s of processor time for
# 0.9 GB; letting them gather in the pipe for a moment costs 0.5 s. Answers of a few MiB never wait.
_BULK = 4 << 20
_SMALL = 256 << 10
_PAUSE = 0.002

_ALLOWED = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ"),
        *("TMPDIR", "TEMP", "TMP", "XDG_RUNTIME_DIR"),
        *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT"),  # without these Windows starts little
        *("APPDATA", "LOCALAPPDATA", "USERPROFILE"),
    }
)


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a tool: what the allow-list takes over from ours, and `extra`."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if name.upper() in _ALLOWED or name.upper().startswith("LC_")
    }
    return {**ours, **(extra or {})}


class LocalHost(Host):
    """Runs tools on this machine. With a token, a cancel ends all that it runs."""

    name = "this machine"
    local = True

    def __init__(self, cancel: CancelToken | None = None) -> None:
        self._cancel = cancel if cancel is not None else CancelToken()

    def run(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: bool = False
    ) -> LocalProcess:
        self._cancel.raise_if_cancelled()
        argv = list(argv)
        tool = Path(argv[0]).name
        try:
            # A session of its own: a group that can be ended as a whole, and no terminal to ask a
            # password on.
            popen = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=child_environment(env),
                start_new_session=True,
            )
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            raise ToolMissing(
                f"The tool {tool} cannot be started on {self.name}: {error.strerror}.",
                remedy=f"Install {tool}, or make sure that it is on PATH.",
            ) from error
        except (OSError, ValueError) as error:
            raise ToolFailed(f"The tool {tool} could not be started on {self.name}: {error}.") from error
        return LocalProcess(popen, self._cancel)

    def capture(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout: float = 60.0,
    ) -> Completed:
        return captured(self.run(argv, env=env, stdin=bool(stdin)), argv, stdin, timeout)

    def aside(self) -> LocalHost:
        return LocalHost(CancelToken())

    def which(self, tool: str) -> str | None:
        found = shutil.which(tool)
        return str(Path(found).absolute()) if found is not None else None

    def exists(self, path: str) -> bool:
        return Path(path).exists()

    def glob(self, pattern: str) -> list[str]:
        return sorted(globbing.glob(pattern))  # noqa: PTH207 - the pattern is a whole path

    @contextmanager
    def secret_file(self, content: str) -> Iterator[str]:
        with private_folder(in_memory()) as folder:
            path = Path(folder) / "secret"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                file.write(content)
            yield str(path)

    @contextmanager
    def folder(self) -> Iterator[str]:
        with private_folder() as folder:
            yield folder

    def read_file(self, path: str) -> Iterator[bytes]:
        try:
            with Path(path).open("rb") as file:
                while chunk := file.read(CHUNK):
                    self._cancel.raise_if_cancelled()
                    yield chunk
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}.") from error

    def write_file(self, path: str, chunks: Iterable[bytes]) -> None:
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            raise SourceError(f"{path} cannot be written: {error.strerror}.") from error
        try:
            with os.fdopen(descriptor, "wb") as file:
                for chunk in chunks:
                    self._cancel.raise_if_cancelled()
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
        except BaseException as error:
            with suppress(OSError):
                Path(path).unlink()
            if isinstance(error, OSError):
                raise SourceError(f"{path} cannot be written: {error.strerror}.") from error
            raise

    @contextmanager
    def tunnel(self, host: str, port: int) -> Iterator[tuple[str, int]]:
        yield host, port


class LocalProcess(Process):
    """A child of ours. Use it as a context manager: only leaving the block lets go of it."""

    def __init__(self, popen: subprocess.Popen[bytes], cancel: CancelToken) -> None:
        assert popen.stdout is not None and popen.stderr is not None  # noqa: S101 - both are pipes
        self._popen = popen
        self._cancel = cancel
        self._stdin: IO[bytes] | None = popen.stdin
        self._stdout: IO[bytes] = popen.stdout
        self._status: int | None = None
        self._ended = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.RLock()  # over the life of the descriptors and of the process group
        # Reads and writes hold it, for they return at once; on Windows they wait, and must not.
        self._using: AbstractContextManager[object] = nullcontext() if sys.platform == "win32" else self._lock
        self._let_go = False
        self._forced = threading.Timer(GRACE, self._force)
        self._errors = bytearray()
        self._read = self._last = 0
        self._wide = _widen(self._stdout)
        _unblock(self._stdout)
        if self._stdin is not None:
            _widen(self._stdin)
            _unblock(self._stdin)
        self._forced.daemon = True
        self._waiter = threading.Thread(target=self._await_end, name="process-end", daemon=True)
        self._drainer = threading.Thread(
            target=self._drain, args=(popen.stderr,), name="process-stderr", daemon=True
        )
        self._waiter.start()
        self._drainer.start()
        self._registration = ExitStack()
        self._registration.enter_context(cancel.calling(self.stop))

    @property
    def pid(self) -> int:
        """The tool's process ID, which is its group's number too."""
        return self._popen.pid

    def read(self, size: int = CHUNK, /) -> bytes:
        if self._wide and self._read > _BULK and self._last < _SMALL:
            time.sleep(_PAUSE)
        while self._ready(self._stdout):
            with self._using:
                if self._let_go:
                    break
                try:
                    data = os.read(self._stdout.fileno(), size)
                except BlockingIOError:
                    continue
            self._last = len(data)
            self._read += len(data)
            return data
        return b""

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            stdin = self._stdin
            if stdin is None or not self._ready(stdin, for_writing=True):
                raise BrokenPipeError("the tool's standard input is closed")
            with self._using:
                if self._stdin is None:
                    continue
                try:
                    rest = rest[os.write(stdin.fileno(), rest) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    self._cancel.raise_if_cancelled()
                    raise

    def close_stdin(self) -> None:
        with self._lock:
            if self._stdin is not None:
                stdin, self._stdin = self._stdin, None
                stdin.close()

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended.wait(timeout):
            raise TimeoutError(f"the tool has not ended within {timeout} s")
        self._cancel.raise_if_cancelled()
        self._drainer.join()
        assert self._status is not None  # noqa: S101 - set before `_ended`
        return self._status

    def stderr(self) -> str:
        return self._errors.decode("utf-8", "replace")

    def stop(self) -> None:
        with self._lock:
            if self._stopping.is_set():
                return
            self._stopping.set()
            self._signal(signal.SIGTERM)
            if not self._ended.is_set():
                self._forced.start()

    def kill(self) -> None:
        self._registration.close()
        self.stop()
        self._ended.wait(2 * GRACE)
        self._forced.cancel()
        with self._lock:
            if self._let_go:
                return
            self._let_go = True
            self._signal(_SIGKILL)  # what the tool started, and left behind
            with suppress(subprocess.TimeoutExpired):  # stuck in the kernel: nobody can end it now
                self._popen.wait(0.1)
            self.close_stdin()
            self._stdout.close()
        self._drainer.join(GRACE)

    def _force(self) -> None:
        with self._lock:
            if not self._let_go:
                self._signal(_SIGKILL)

    def _signal(self, number: int) -> None:
        """Send a signal to the whole group; its leader is not reaped yet, so the number is still its own."""
        with suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self._popen.terminate()
            else:
                os.killpg(self._popen.pid, number)

    def _await_end(self) -> None:
        if hasattr(os, "waitid"):
            # Left unreaped until `kill`: a reaped leader's number could be another group's a moment later.
            result = os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOWAIT)
            exited = result is not None and result.si_code == os.CLD_EXITED
            self._status = (result.si_status if exited else -result.si_status) if result is not None else -1
        else:
            self._status = self._popen.wait()
        self._ended.set()

    def _drain(self, pipe: IO[bytes]) -> None:
        """Keep the last of standard error, so that a chatty tool never stalls on a full pipe."""
        with pipe:
            _unblock(pipe)
            after_end = 0
            while after_end < _PIPE:  # what the tool wrote is read then; a descendant may go on for ever
                ended = self._ended.is_set()
                try:
                    data = os.read(pipe.fileno(), _PIPE)
                except BlockingIOError:
                    if ended:
                        return
                    _poll(pipe, _STEP)
                    continue
                if not data:
                    return
                after_end += len(data) if ended else 0
                self._errors += data
                del self._errors[:-_STDERR_KEPT]

    def _ready(self, pipe: IO[bytes], for_writing: bool = False) -> bool:
        """Wait until `pipe` can be read or written. False when it has ended, or was ended by us."""
        quiet = 0.0
        while True:
            self._cancel.raise_if_cancelled()
            if self._stopping.is_set():
                return False
            ended = self._ended.is_set()
            if _poll(pipe, _STEP, for_writing):
                return True
            if ended:
                quiet += _STEP
                if quiet >= _QUIET:
                    return False


_SIGKILL = getattr(signal, "SIGKILL", signal.SIGTERM)


def _unblock(pipe: IO[bytes]) -> None:
    """Let reads and writes of our end return at once; `_poll` is what waits. Not on Windows."""
    if sys.platform != "win32":
        os.set_blocking(pipe.fileno(), False)


def _poll(pipe: IO[bytes], seconds: float, for_writing: bool = False) -> bool:
    """Whether the pipe can be read or written (or has been hung up) within that time.

    Windows has no such question for pipes: there they block, and ending the tool wakes who waits.
    """
    if sys.platform == "win32":
        return True
    poller = select.poll()
    try:
        poller.register(pipe, select.POLLOUT if for_writing else select.POLLIN)
    except ValueError:  # closed meanwhile: whoever asked sees that next
        return True
    return bool(poller.poll(seconds * 1000))


def _widen(pipe: IO[bytes]) -> bool:
    """Let the kernel hold 1 MiB between the tool and us instead of 64 KiB; whether it does (Linux)."""
    if sys.platform.startswith("linux"):
        import fcntl

        with suppress(OSError):
            return bool(fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, CHUNK) >= CHUNK)
    return False
