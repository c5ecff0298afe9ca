"""A tool that runs below a shell at the other end of a pipe, and is ended by its process ID there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from engine.contract.hosts import Host, Process
from engine.contract.readers import CHUNK
from engine.errors import Cancelled, ConnectionFailed, StrongroomError
from engine.hosts import script

GRACE = 2.0
"""Seconds between asking a tool to end and forcing it."""
_START = 60.0
"""Seconds for the shell at the other end to say its first word."""


class ShellProcess(Process):
    """A tool at the other end. `pipe` carries its input and output; `aside` makes a host to end it on.
    `name` is the host's, for people.

    Ending the pipe alone would leave the tool running there: SSH and container engines both do so.
    """

    def __init__(self, pipe: Process, aside: Callable[[], Host], name: str, *, with_input: bool) -> None:
        self._pipe = pipe
        self._name = name
        self._aside = aside
        self._with_input = with_input
        self._pid = 0
        self._head = b""
        self._gave_up = False
        self._ahead = b""  # what came together with the shell's first word
        self._ender: threading.Thread | None = None
        self._lock = threading.Lock()

    def begin(self, said: bytes, word: str) -> str | None:
        """Say what to run. Return the process ID, `script.MISSING`, or None when no shell answered."""
        timer = threading.Timer(_START, self._give_up)
        timer.daemon = True
        timer.start()
        try:
            with suppress(BrokenPipeError):  # what it says instead is read below
                self._pipe.write(said)
            head = b""
            while (found := script.first_word(head, word)) is None:
                got = self._pipe.read()
                if not got:
                    self._head = head
                    with suppress(TimeoutError):
                        self._pipe.wait(5)
                    return None
                head += got
        finally:
            timer.cancel()
        answer, self._ahead = found
        self._pid = int(answer) if answer.isdigit() else 0
        if self._pid == 0:
            self._pipe.kill()
            return script.MISSING
        return answer

    def _give_up(self) -> None:
        self._gave_up = True
        self._pipe.stop()

    def no_shell(self) -> str:
        """Why `begin` got no answer, as the end of a sentence."""
        if self._gave_up:
            return f"its shell did not answer within {_START:.0f} s, and was ended"
        said = self._pipe.stderr().strip() or self._head[-300:].decode("utf-8", "replace").strip()
        return said.rstrip(".") or "its shell ended"

    @property
    def is_running(self) -> bool:
        """Whether it has not ended, as far as can be told without waiting."""
        try:
            self._pipe.wait(0)
        except (TimeoutError, Cancelled):
            return True
        except StrongroomError:
            return False
        return False

    def read(self, size: int = CHUNK, /) -> bytes:
        if self._ahead:
            data, self._ahead = self._ahead[:size], self._ahead[size:]
            return data
        return self._pipe.read(size)

    def write(self, data: bytes) -> None:
        if not self._with_input:
            raise BrokenPipeError("the tool has no standard input")
        self._pipe.write(data)

    def close_stdin(self) -> None:
        if self._with_input:  # else it is what says at the other end that we are still here
            self._pipe.close_stdin()

    def wait(self, timeout: float | None = None) -> int:
        status = self._pipe.wait(timeout)
        ours = self._ender is not None or self._gave_up
        if status < 0 and not ours and not isinstance(self._pipe, ShellProcess):
            # Of a tool the shell there would have told: this was the pipe itself. A pipe that is a tool of
            # another shell has had its status told like that, and the two cannot be told apart.
            raise ConnectionFailed(
                f"What leads to {self._name} was ended by signal {-status}: what the tool there did is not"
                " known.",
                remedy="See whether the machine's memory ran out, or who ended it; then try again.",
            )
        # Shells say 128 and the signal's number; there are 64 of them.
        return 128 - status if 128 < status <= 192 else status

    def stderr(self) -> str:
        return self._pipe.stderr()

    def let_end(self) -> None:
        """Wait a moment for a tool whose input has ended, and end it if it has not."""
        with suppress(TimeoutError, Cancelled, StrongroomError):
            self._pipe.wait(GRACE)

    def stop(self) -> None:
        with self._lock:
            if self._ender is not None:
                return
            self._ender = threading.Thread(target=self._end, name="shell-process-end", daemon=True)
            self._ender.start()

    def kill(self) -> None:
        if self._pid and self.is_running:
            self.stop()
        if self._ender is not None:
            self._ender.join(3 * GRACE)
        self._pipe.kill()

    def _end(self) -> None:
        """End it where it runs, then the pipe to it. A host that is gone cannot be asked any more."""
        try:
            if self._pid:
                with suppress(Exception):
                    line = script.ending(self._pid, GRACE)
                    self._aside().capture(["sh", "-c", line], timeout=2 * GRACE)
        finally:
            self._pipe.stop()
