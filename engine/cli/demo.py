"""`strongroom demo`: all of the main job on a sample database, in a profile of its own."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click

from engine.cli import documents
from engine.cli.desktop import require_desktop, start_desktop
from engine.cli.following import follow
from engine.cli.output import Output, with_output
from engine.cli.session import workspace
from engine.cli.words import duration


@click.command()
@click.option("--headless", is_flag=True, help="Do not open the window; print each step instead.")
@with_output
def command(out: Output, headless: bool) -> int:
    """Back a sample database up in a fresh profile, verify, drill and restore it.

    The profile is STRONGROOM_HOME if that is set and empty, else a new folder; a real profile is never
    touched. Then the window opens on it, or, with --headless, the commands of standard tools are
    printed that restore the backup without Strongroom.
    """
    from engine import demo

    if not headless:
        require_desktop()
    profile = demo.fresh_profile(os.environ)
    os.environ.update(profile.environment)  # for the workspace here, and for the window after it
    out.line(f"A fresh profile in {profile.home.root}", bold=True)
    steps: list[demo.Step] = []

    def tell(step: demo.Step) -> None:
        steps.append(step)
        out.line(f"✓ {step.title:<15}  {duration(step.seconds):>6}  {step.detail}")

    with workspace(out) as opened:
        result = demo.play(opened, profile, tell, lambda start: follow(opened, start, out, quiet=True))
    strongroom = _this_command()
    lines = demo.commands(profile, result, strongroom)
    assert result.run is not None  # noqa: S101 - play raises when the backup fails
    out.document(
        {
            "home": str(profile.home.root),
            "environment": dict(profile.environment),
            "steps": [
                {"step": step.title, "detail": step.detail, "duration_s": round(step.seconds, 3)}
                for step in steps
            ],
            "run": documents.execution(result.run),
            "backup": result.backup_id,
            "artifact": str(result.artifact),
            "restored": str(profile.restored),
            "commands": lines,
        }
    )
    out.line("\nStandard tools restore it as well; Strongroom only gives the key:", bold=True)
    for line in lines:
        out.line(f"  {line}")
    out.line(f"\nAfter these exports, `{strongroom} backups` and all other commands work on this profile.")
    out.line(f"The demo is gone when its folder is: {profile.home.root}")
    return 0 if headless else start_desktop()


def _this_command() -> str:
    """The path by which the shell finds this very command."""
    found = shutil.which("strongroom")
    own = Path(sys.argv[0]).absolute()
    if own.name.startswith("strongroom") and own.exists() and (found is None or Path(found) != own):
        return str(own)
    return "strongroom"
