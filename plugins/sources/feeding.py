"""Giving a dump to the tool that restores it."""

from __future__ import annotations

from collections.abc import Iterable

from strongroom import CancelToken, Process


def feed(process: Process, chunks: Iterable[bytes], cancel: CancelToken) -> bool:
    """Write all chunks to a tool's standard input; return whether it took them all.

    They are read to the end even when the tool, ended well, wants no more: the end is what proves the dump
    whole. A tool that failed ends it at once. Raises what `chunks` raises, and `Cancelled`.
    """
    gone = False
    for chunk in chunks:
        cancel.raise_if_cancelled()
        if not gone:
            try:
                process.write(chunk)
            except BrokenPipeError:
                gone = True
                if process.wait() != 0:
                    break
    return not gone
