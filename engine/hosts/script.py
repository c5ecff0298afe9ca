"""What is said to the shell at the other end, so that nothing of it stands in an argument or a listing.

The command line that goes there is always the same; the login shell, whichever it is, finds nothing in it
to interpret. What to run, with which environment, follows as the first bytes of standard input: neither
the server's list of processes nor a container engine's log ever holds a secret. What follows them is the
tool's own input. The numbers of bytes are exact, for a shell must not read what is meant for the tool.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Mapping, Sequence

from engine.errors import SourceError

BOOT = 'read -r n && eval "$(dd bs=1 count="$n" 2>/dev/null)"'
"""POSIX: `read` takes one line from a pipe and not a byte more, and `dd bs=1` exactly so many bytes."""
BOOT_LINE = f"exec /bin/sh -c '{BOOT}'"
"""As a line for a login shell: within single quotes no shell sees a variable. By `exec` the shell takes the
login shell's place, and leads the group of all that it starts."""
MISSING = "-"
# A tool that says nothing for long (it waits for a lock) would not notice that nobody is there any more.
# Without input of its own the shell's is free: its end means that the connection has gone, or whoever asked.
_WATCH = """exec 3<&0
( cat <&3; trap '' TERM; kill -s TERM -- -$$; sleep 2; kill -s KILL -- -$$ ) >/dev/null 2>&1 &
exec 3<&-"""
_HEAD = 1 << 20
"""Bytes before the shell's own first word: what a chatty profile may print."""


def new_word() -> str:
    """A word that no profile prints by chance; the shell's first line begins with it."""
    return f"strongroom-{secrets.token_hex(8)}"


def launch(word: str, argv: Sequence[str], env: Mapping[str, str], *, stdin: bool) -> bytes:
    """The bytes that start a tool: the script's length, and the script.

    It prints `word` and its process ID, or `word -` where there is no such tool. The shell stays the
    tool's parent, so that every end has an exit status; whatever the tool leaves of its group goes with it.
    Without `stdin` the shell's own input must stay open for as long as the tool may run.
    Raises `SourceError` for what no shell can be told.
    """
    tool = shlex.quote(argv[0])
    lines = [
        f'command -v {tool} >/dev/null 2>&1 && id=$$ || id={MISSING}; printf "\\n%s %s\\n" {word} "$id"',
        f'[ "$id" != {MISSING} ] || exit 127',
        *([] if stdin else [_WATCH]),
        *(f"export {name}={shlex.quote(value)}" for name, value in env.items()),
        f"{shlex.join(argv)}{'' if stdin else ' </dev/null'}",
        "status=$?; trap '' TERM; kill -s TERM -- -$$ 2>/dev/null; exit $status",
    ]
    try:
        script = "\n".join(lines).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise SourceError("An argument of a tool is no valid text.") from error
    if b"\0" in script:
        raise SourceError("An argument of a tool holds a NUL, which none can.")
    return b"%d\n%s" % (len(script), script)


def ending(pid: int, seconds: float) -> str:
    """A script that ends a shell of `launch` and its group: asked first, forced after so many seconds."""
    steps = int(seconds * 10)
    return (
        f"kill -s TERM -- -{pid} 2>/dev/null || kill -s TERM {pid} 2>/dev/null; i=0; "
        f'while kill -s 0 -- -{pid} 2>/dev/null && [ "$i" -lt {steps} ]; do sleep 0.1; i=$((i + 1)); done; '
        f"kill -s KILL -- -{pid} 2>/dev/null || kill -s KILL {pid} 2>/dev/null; :"
    )


def first_word(head: bytes, word: str) -> tuple[str, bytes] | None:
    """The process ID (or `-`) that the shell said after `word`, and what the tool said since; None before.

    Raises `SourceError` when something else talks on and on.
    """
    mark = f"\n{word} ".encode()
    at = head.find(mark)
    end = head.find(b"\n", at + len(mark)) if at >= 0 else -1
    if end >= 0:
        return head[at + len(mark) : end].decode("ascii", "replace"), head[end + 1 :]
    if len(head) > _HEAD:
        raise SourceError(
            "The shell at the other end prints on and on, instead of running what it is told.",
            remedy="See that its profile says nothing to a login without a terminal.",
        )
    return None
