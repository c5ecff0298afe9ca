"""The command `strongroom` as people have it: real processes on an installation of their own."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from engine.cli.main import cli
from engine.contract.registry import Registry
from engine.home import Home
from engine.secrets import open_secrets
from engine.workspace import Workspace

PASSPHRASE = "a passphrase of the tests"
PATIENCE = 120.0
"""Seconds until a test says that a command hangs."""


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """What it printed with --json."""
        return json.loads(self.stdout)


class Command:
    """A command under way, in a process (and a process group) of its own."""

    def __init__(self, argv: Sequence[str], folder: Path, environ: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            argv,
            cwd=folder,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._stdin, self._stdout, self._stderr = (
            self._process.stdin,
            self._process.stdout,
            self._process.stderr,
        )
        self._said = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def until(self, words: str) -> str:
        """Read its standard error, line by line, until one holds `words`; return that line."""
        for line in self._stderr:
            self._said += line
            if words in line:
                return line
        raise AssertionError(f"the command ended, and never said {words!r}, but:\n{self._said}")

    def go(self) -> None:
        """Let a command of `Installation.at_once` begin."""
        self._stdin.write("go\n")
        self._stdin.flush()

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End it as the kernel does when memory is short: no handler runs. Its tools live on for a moment."""
        self._process.kill()

    def ended(self) -> Ended:
        """Wait for its end."""
        stdout, stderr = self._process.communicate(timeout=PATIENCE)
        return Ended(self._process.returncode, stdout, self._said + stderr)

    def close(self) -> None:
        """End it, whatever it does."""
        if self.is_running:
            self._process.kill()
        if not self._stdout.closed:
            self._process.communicate(timeout=PATIENCE)


_HELD = "import sys, engine.cli.run, engine.workspace, engine.pipeline.runner; sys.stdin.readline(); "
_MAIN = "from engine.cli.main import main; main()"


@dataclass
class Installation:
    """One STRONGROOM_HOME with a vault, and the commands that are run on it.

    Paths in its configuration files are relative to `folder`. `prefix` goes before every command.
    """

    folder: Path
    name: str = "home"
    environ: dict[str, str] = field(default_factory=dict)
    prefix: list[str] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.environ = {
            "STRONGROOM_HOME": str(self.folder / self.name),
            "STRONGROOM_VAULT": "file",
            "STRONGROOM_VAULT_PASSPHRASE": PASSPHRASE,
            "COLUMNS": "200",
            **self.environ,
        }

    @property
    def home(self) -> Home:
        return Home.locate(self.environ)

    def start(self, *arguments: str) -> Command:
        """Start a command."""
        script = Path(sys.executable).with_name("strongroom")
        return self._start([str(script)] if script.exists() else [sys.executable, "-c", _MAIN], arguments)

    def at_once(self, *arguments: str) -> Command:
        """Start a command that has imported all that it needs, and begins when it is told to `go`."""
        return self._start([sys.executable, "-c", _HELD + _MAIN], arguments)

    def _start(self, program: list[str], arguments: Sequence[str]) -> Command:
        environ = {**os.environ, **self.environ}
        self.commands.append(Command([*self.prefix, *program, *arguments], self.folder, environ))
        return self.commands[-1]

    def run(self, *arguments: str, code: int = 0) -> Ended:
        """Run a command to its end, and expect its exit code."""
        ended = self.start(*arguments).ended()
        assert "Traceback" not in ended.stderr, ended.stderr
        assert ended.code == code, f"{ended.code} is not {code}:\n{ended.stdout}\n{ended.stderr}"
        return ended

    def here(self, *arguments: str, code: int = 0) -> Ended:
        """Run a command in the test's own process, which takes a tenth of the time of one of its own."""
        result = CliRunner().invoke(cli, list(arguments), env=self.environ)
        assert result.exit_code == code, f"{result.exit_code} is not {code}:\n{result.output}"
        return Ended(result.exit_code, result.stdout, result.stderr)

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run a command with --json, expect its exit code, and return its document.

        In the test's own process, unless it has to be on another machine.
        """
        run = self.run if self.prefix else self.here
        return run(*arguments, "--json", code=code).document

    def apply(self, text: str) -> Any:
        """Apply a configuration; return what changed."""
        path = self.folder / f"{self.name}.toml"
        path.write_text(text, encoding="utf-8")
        return self.json("apply", str(path))

    @contextmanager
    def workspace(self, registry: Callable[[], Registry] = Registry.load) -> Iterator[Workspace]:
        """The same installation, open in the test's own process."""
        secrets = open_secrets(self.home, self.environ)
        with Workspace.open(self.home, registry=registry) as looked_at:
            installation_id = looked_at.store.installation_id
        with Workspace.open(self.home, registry=registry, secrets=secrets.scoped(installation_id)) as opened:
            yield opened

    def close(self) -> None:
        """End every command that still runs."""
        for command in self.commands:
            command.close()


def files(folder: Path) -> dict[str, str]:
    """Every file below a folder, hidden ones included, with its SHA-256."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
