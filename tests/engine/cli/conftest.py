"""A person at a terminal: the real command on a fresh profile, in this process or in one of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from engine.cli.main import cli
from tests.conftest import make_shop

SLOW_PLUGIN = '''
import strongroom
from plugins.sources.sqlite import Sqlite


class SlowSource(Sqlite):
    """Gives its first bytes, and then waits to be cancelled."""

    name = "slow"
    title = "Slow"

    class Config(Sqlite.Config):
        pass

    def dump(self, database, *, fingerprint=True):
        def chunks():
            yield b"begun"
            self.context.log("the dump stalls here", strongroom.LogLevel.INFO, strongroom.LogType.GENERAL, "")
            self.context.cancel.wait(60)
            self.context.cancel.raise_if_cancelled()

        return strongroom.Dump(chunks())


@strongroom.hookimpl
def strongroom_sources():
    return [SlowSource]
'''


@dataclass
class Terminal:
    """Runs commands on one profile. `environ` is what the commands see beside the process's own."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __call__(self, *arguments: str) -> Result:
        """Run a command in this process; quick, and with its warnings as errors."""
        return CliRunner().invoke(cli, list(arguments), env=self.environ)

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run a command with --json, expect its exit code, and return its document."""
        result = self(*arguments, "--json")
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def said(self, *arguments: str, code: int = 0) -> str:
        """Run a command, expect its exit code, and return what it says to people."""
        result = self(*arguments)
        assert result.exit_code == code, result.output
        return result.output

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command in a process of its own; it is ended with the test."""
        process = subprocess.Popen(
            [sys.executable, "-c", "from engine.cli.main import main; main()", *arguments],
            cwd=self.folder,
            env={**os.environ, **self.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def process(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end in a process of its own."""
        process = self.start(*arguments)
        stdout, stderr = process.communicate(timeout=90)
        return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)

    def install_slow_plugin(self) -> None:
        """Install a third party's source, `slow`, for the processes that are started from now on."""
        site = self.folder / "site"
        info = site / "strongroom_slow-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strongroom-slow\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text("[strongroom]\nslow = slow_plugin\n")
        (site / "slow_plugin.py").write_text(SLOW_PLUGIN)
        paths = [str(site), str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
        self.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))

    def configure(self, text: str) -> None:
        """Apply a configuration."""
        path = self.folder / "strongroom.toml"
        path.write_text(text, encoding="utf-8")
        done = self.process("apply", str(path))
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def shop(self) -> Path:
        """The database that the jobs of the tests back up."""
        return self.folder / "shop.sqlite"


CONFIG = """
[[key]]
name = "default"

[[source]]
name = "shop"
adapter = "sqlite"
config = { path = "shop.sqlite" }

[[destination]]
name = "disk"
adapter = "local"
config = { path = "backups" }

[[job]]
name = "shop-nightly"
source = "shop"
destinations = ["disk"]
"""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A fresh profile with a vault, and nothing in it."""
    its = Terminal(
        tmp_path,
        {
            "STRONGROOM_HOME": str(tmp_path / "home"),
            "STRONGROOM_VAULT": "file",
            "STRONGROOM_VAULT_PASSPHRASE": "of the tests",
            "COLUMNS": "200",
        },
    )
    make_shop(its.shop)
    yield its
    for process in its.started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.fixture
def shop(terminal: Terminal) -> Terminal:
    """A profile with one job, `shop-nightly`, from an SQLite file to a local folder."""
    path = terminal.folder / "strongroom.toml"
    path.write_text(CONFIG, encoding="utf-8")
    terminal.json("apply", str(path))
    return terminal
