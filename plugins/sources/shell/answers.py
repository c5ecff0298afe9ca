"""What the lines beside dump and restore print, read into values."""

from __future__ import annotations

import shlex

from plugins.sources.shell.running import NAME, Runner
from strongroom import ConfigError, SourceError, TargetState, ToolFailed, ToolMissing

_LOOK = 60.0  # seconds
_COUNT = 4 * 3600.0


def counts(runner: Runner, line: str, database: str) -> dict[str, int]:
    """Run the counting line: each line that it prints is a name, a tab or space, and a whole number."""
    found = {}
    for printed in runner.ask("fingerprint", line, database, _COUNT).splitlines():
        if not printed.strip():
            continue
        name, _, number = printed.strip().replace("\t", " ").rpartition(" ")
        if not name.strip() or not number.lstrip("-").isdecimal():
            raise ToolFailed(
                f"The fingerprint command printed something else: {runner.clean(printed)[:100]!r}.",
                remedy="Let it print lines like `customers 300`, and nothing else.",
            )
        found[name.strip()] = int(number)
    return found


def state(runner: Runner, line: str, database: str) -> TargetState:
    """Run the line that prints what a restore under that name would find."""
    said = runner.ask("state", line, database, _LOOK).strip().lower()
    try:
        return TargetState(said)
    except ValueError:
        raise ToolFailed(
            f"The state command printed {runner.clean(said)[:100]!r}.",
            remedy="Let it print one of the words missing, empty and filled.",
        ) from None


def checked(runner: Runner, line: str, database: str) -> str:
    """Run the check line; return the version that it printed: a first word that begins with a digit."""
    words = runner.ask("check", line, database, _LOOK).split(maxsplit=1)
    return words[0] if words and words[0][0].isdigit() else ""


def need_whole(runner: Runner, what: str, line: str) -> None:
    """Raise for a line that the shell cannot read; nothing of it is run."""
    done = runner.capture(["-n", "-c", line], "", _LOOK)
    if done.exit_status != 0:
        said = " ".join(done.stderr.split())[:300]
        raise ConfigError(
            f"The shell cannot read the {what} command: {said}", field=what, remedy="Correct the command."
        )


def need_tool(runner: Runner, what: str, line: str) -> bool:
    """Look for the tool that a line begins with; return whether it begins with one.

    Raises `ToolMissing`. A shell's own word counts as found.
    """
    word = first_word(line)
    if word is None:
        return False
    done = runner.capture(["-c", 'command -v -- "$1" > /dev/null', "strongroom", word], "", _LOOK)
    if done.exit_status != 0:
        raise ToolMissing(
            f"The tool {word} of the {what} command is not there.",
            remedy="Install it on the source's host, or name it by its whole path.",
        )
    return True


def first_word(line: str) -> str | None:
    """The plain word that a line begins with, assignments passed over; None when it is no plain word."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return None
    for word in words:
        name, equals, _ = word.partition("=")
        if equals and NAME.fullmatch(name):
            continue
        return None if set(word) & set("$`(){}<>|&;!*?[]~") else word
    return None


def cannot_restore() -> SourceError:
    """For a source that has no line to restore with."""
    return SourceError(
        "This source has no restore command.",
        remedy="Get it as a file (strongroom fetch BACKUP -o FILE --decrypt), or give the source one.",
    )
