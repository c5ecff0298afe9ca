"""The command itself: its commands are found lazily, and wrong usage is told kindly, with exit code 2."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import engine
from engine.cli.main import SECTIONS, SUMMARIES, cli


def strongroom(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), env=environ)


def test_the_version_is_the_engines() -> None:
    result = strongroom("--version")
    assert (result.exit_code, result.stdout) == (0, f"strongroom {engine.__version__}\n")


def test_the_help_lists_every_command_in_its_section() -> None:
    result = strongroom("--help")
    assert result.exit_code == 0
    for section, commands in SECTIONS.items():
        assert f"{section}:" in result.stdout
        for name, summary in commands.items():
            line = next(line for line in result.stdout.splitlines() if line.split()[:1] == [name])
            assert line.endswith(summary), "a summary fits its line"


@pytest.mark.parametrize("name", SUMMARIES)
def test_every_command_has_its_module_and_its_help(name: str) -> None:
    module = importlib.import_module(f"engine.cli.{name}")
    assert isinstance(module.command, click.Command)
    result = strongroom(name, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: strongroom {name}")
    commands = list(module.command.commands.values()) if isinstance(module.command, click.Group) else []
    for command in commands or [module.command]:
        assert any("--json" in option.opts for option in command.params), f"{command.name} takes --json"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "There is no command 'rnu'. Did you mean 'run'?"),
        (["run"], "Missing argument 'JOB'."),
        (["run", "a", "b"], "Got unexpected extra argument (b)"),
        (["check", "sauce", "x"], "'sauce' is not one of"),
        (["--nonsense"], "No such option"),
        (["history", "--limit", "none"], "'none' is not a valid integer range."),
    ],
)
def test_wrong_usage_is_told_with_code_2(arguments: list[str], message: str) -> None:
    result = strongroom(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "--help` shows how it is used." in result.stderr
    assert result.stdout == ""


def test_wrong_usage_is_a_document_when_that_is_asked_for() -> None:
    result = strongroom("run", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["kind"] == "UsageError"
    assert result.stderr == ""


def test_alone_without_a_screen_it_says_what_to_do(tmp_path: Path) -> None:
    hidden = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "QT_QPA_PLATFORM": "", "STRONGROOM_HOME": str(tmp_path)}
    if sys.platform not in ("win32", "darwin"):
        result = strongroom(**hidden)
        assert result.exit_code == 2
        assert "There is no screen for the desktop" in result.stderr
        assert "strongroom --help" in result.stderr
    assert list(tmp_path.iterdir()) == [], "no profile is made for nothing"


def test_alone_without_qt_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PySide6", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = strongroom(DISPLAY=":0")
    assert result.exit_code == 2
    assert 'pip install "strongroom[desktop]"' in result.stderr


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    script = "from engine.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", script, "--help"],
        env={**os.environ, "STRONGROOM_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    complaint = process.stderr.read()
    process.stderr.close()
    process.wait(60)
    assert complaint == b""
