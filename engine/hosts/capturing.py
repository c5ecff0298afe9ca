"""Running a tool to its end for the sake of its answer, the same on every host."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import PurePosixPath

from engine.contract.hosts import Completed, Process
from engine.errors import ToolFailed

MOST = 16 << 20
"""Bytes of an answer; what is longer is no answer."""


def captured(process: Process, argv: Sequence[str], stdin: bytes, timeout: float) -> Completed:
    """Give a process its input and return what it said, whatever its exit status; it is let go of.

    Raises `ToolFailed` when `timeout` (seconds) passes or the answer is longer than `MOST`, and `Cancelled`.
    """
    tool = PurePosixPath(argv[0]).name
    with process:
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.stop()

        timer = threading.Timer(timeout, give_up)
        feeder = threading.Thread(target=_feed, args=(process, stdin), name="process-stdin", daemon=True)
        timer.daemon = True
        timer.start()
        feeder.start()
        try:
            output = bytearray()
            for chunk in process:
                output += chunk
                if len(output) > MOST:
                    raise ToolFailed(f"{tool} wrote more than 16 MiB where an answer was expected.")
            status = process.wait()
        finally:
            timer.cancel()
            process.kill()
            feeder.join()
        if late.is_set():
            raise ToolFailed(
                f"{tool} did not answer within {timeout:g} s and was ended.",
                remedy="Check that the server answers, and what it is busy with.",
                exit_status=status,
            )
        return Completed(tuple(argv), status, bytes(output), process.stderr())


def _feed(process: Process, data: bytes) -> None:
    """Give a tool its input from a thread, while its output is read."""
    with suppress(Exception):  # the tool's own exit status and output say what went wrong
        if data:
            process.write(data)
        process.close_stdin()
