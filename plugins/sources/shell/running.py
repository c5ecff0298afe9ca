"""Run a person's line by a shell on the source's host.

`sh` of Debian and Alpine cannot tell that the first part of a pipe failed: `a | b` ends as `b` does. So
bash with `pipefail` runs the lines wherever there is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from strongroom import Completed, Context, Process, SourceError, ToolFailed, ToolMissing

Choice = Literal["auto", "bash", "sh"]

DATABASE = "STRONGROOM_DATABASE"
FOLDER = "STRONGROOM_FOLDER"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_FOUND = 127  # POSIX, XCU 2.8.2
_NOT_EXECUTABLE = 126
_HIDDEN = "•••"
_SHORTEST = 4  # characters below which a value would be blotted out of ordinary words


def parsed_environment(text: str) -> dict[str, str]:
    """Lines of NAME=VALUE; empty ones and comments (#) are passed over.

    Raises `ValueError`, which tells the line's number and nothing that stands in it.
    """
    values = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not NAME.fullmatch(name.strip()):
            raise ValueError(f"line {number} is not of the form NAME=VALUE")
        values[name.strip()] = value
    return values


class Runner:
    """Runs lines with an environment of the source's own."""

    def __init__(self, context: Context, shell: Choice, environment: Mapping[str, str]) -> None:
        self._context = context
        self._chosen = shell
        self._environment = dict(environment)
        self._shell: list[str] | None = None

    @property
    def shell(self) -> list[str]:
        """The shell's path and options. Raises `ToolMissing`."""
        if self._shell is None:
            self._shell = self._found()
        return self._shell

    def _found(self) -> list[str]:
        host = self._context.host
        if self._chosen != "sh" and (bash := host.which("bash")) is not None:
            return [bash, "-o", "pipefail"]
        if self._chosen != "bash" and (sh := host.which("sh")) is not None:
            return [sh]
        wanted = "bash" if self._chosen == "bash" else "sh"
        raise ToolMissing(
            f"There is no {wanted} on {host.name or 'this host'}.", remedy=f"Install {wanted} there."
        )

    @property
    def hides_failures(self) -> bool:
        """Whether the status of a pipe is that of its last part alone."""
        return "pipefail" not in self.shell

    def environment(self, database: str, folder: str = "") -> dict[str, str]:
        """What a line gets beside the host's own few variables."""
        ours = {DATABASE: database, **({FOLDER: folder} if folder else {})}
        return {**self._environment, **ours}

    def start(self, line: str, database: str, folder: str, *, stdin: bool = False) -> Process:
        """Start a line that gives or takes a backup; `folder` is a private one on that host."""
        argv = [*self.shell, "-c", line]
        return self._context.host.run(argv, env=self.environment(database, folder), stdin=stdin)

    def ask(self, what: str, line: str, database: str, timeout: float) -> str:
        """Run a line to its end and return what it printed. Raises unless it ended with status 0."""
        done = self.capture(["-c", line], database, timeout)
        if done.exit_status != 0:
            raise self.failure(what, done.exit_status, done.stderr)
        return done.stdout.decode("utf-8", "replace")

    def capture(self, arguments: list[str], database: str, timeout: float) -> Completed:
        """Run the shell with these arguments."""
        env = self.environment(database)
        return self._context.host.capture([*self.shell, *arguments], env=env, timeout=timeout)

    def clean(self, text: str) -> str:
        """The text without the values of the environment, whoever repeated them."""
        values = {value for value in self._environment.values() if len(value) >= _SHORTEST}
        for value in sorted(values, key=len, reverse=True):
            text = text.replace(value, _HIDDEN)
        return text

    def failure(self, what: str, status: int, stderr: str) -> SourceError:
        """The error for a line that ended with `status` (negative for a signal) and wrote `stderr`."""
        lines = [line.strip() for line in self.clean(stderr).splitlines() if line.strip()]
        said = "; ".join(lines[-3:])[-400:]
        place = self._context.host.name or "this host"
        if status in (_NOT_FOUND, _NOT_EXECUTABLE):
            return ToolMissing(
                f"A tool of the {what} command is not on {place}" + (f": {said}" if said else "."),
                remedy="Install it there, or name it by its whole path.",
            )
        how = f"was ended by signal {-status}" if status < 0 else f"failed with exit status {status}"
        return ToolFailed(
            f"The {what} command {how}" + (f": {said}" if said else "."),
            remedy=f"Run it by hand on {place}, and see what it says.",
            exit_status=status,
        )
