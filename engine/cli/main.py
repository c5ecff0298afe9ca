"""The command `strongroom`: which commands there are, and how they are found without importing them all.

`strongroom` alone starts the desktop. Nothing heavy is imported here: `strongroom --version` answers in
a fraction of a second (DESIGN, section 6), and a command pays only for what it uses.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from engine import __version__
from engine.cli.output import ExitCode, Output, turn_away

SECTIONS: dict[str, dict[str, str]] = {
    "Begin": {
        "demo": "A sample database in a fresh profile: backed up, proven, restored.",
        "doctor": "What this machine lacks, and how to mend it.",
        "plugins": "The adapters that are installed, and those that do not load.",
    },
    "Configure": {
        "apply": "Create or update sources, destinations and jobs from a file.",
        "export": "Write the configuration as such a file, secrets as references.",
        "check": "Test one host, source, destination or notifier for real.",
        "keys": "Make, list, export, import and trust keys.",
    },
    "Back up": {
        "run": "Run a job now.",
        "jobs": "The jobs, and when each runs next.",
        "history": "What has run, newest first.",
        "show": "One execution with its log.",
        "agent": "Run the jobs by their schedules, without a window.",
    },
    "Keep": {
        "backups": "The backups at one destination, or at all of them.",
        "lock": "Keep a backup from being deleted, by retention or by hand.",
        "unlock": "Take the lock away again.",
        "delete": "Delete a backup for good.",
        "retention": "What a job's retention keeps and deletes, and why.",
    },
    "Prove and restore": {
        "verify": "Prove backups whole: their checksum, and all of what they hold.",
        "drill": "Restore backups into a scratch database, and compare.",
        "restore": "Restore a backup into a source.",
        "fetch": "Get a backup's file, decrypted if wanted.",
    },
}
SUMMARIES = {name: summary for section in SECTIONS.values() for name, summary in section.items()}


class LazyGroup(click.Group):
    """A group whose commands are modules of `engine.cli`, imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUMMARIES:
            return None
        command: click.Command = importlib.import_module(f"engine.cli.{cmd_name}").command
        command.short_help = SUMMARIES[cmd_name]
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in SUMMARIES and not name.startswith("-"):
            import difflib

            near = difflib.get_close_matches(name, SUMMARIES, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"There is no command '{name}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, SUMMARIES))
        with formatter.section("Commands"):
            for title, commands in SECTIONS.items():
                formatter.write_text(f"{title}:")
                with formatter.indentation():
                    formatter.write_dl([(name.ljust(width), text) for name, text in commands.items()])
                formatter.write_paragraph()

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and end the process with the contract's exit code whatever happens."""
        args = list(sys.argv[1:] if args is None else args)
        code: Any = ExitCode.FAILED
        try:
            code = super().main(args, "strongroom", complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
        except BrokenPipeError:
            turn_away(sys.stdout)  # whoever read us has seen enough: no complaint, and none at exit
        except click.exceptions.Exit as stop:
            code = stop.exit_code
        except (Exception, KeyboardInterrupt) as error:
            given = args[: args.index("--")] if "--" in args else args
            code = Output(json="--json" in given).error(error)
        sys.exit(int(code) if isinstance(code, int) else ExitCode.SUCCESS)


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 success, 1 failed, 2 wrong usage or configuration, 3 partial, 4 cancelled, "
    "5 could not verify. State lives in STRONGROOM_HOME, or the platform's own folder.",
)
@click.version_option(__version__, message="strongroom %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> int:
    """Backs databases up, and proves that the backups can be restored.

    Without a command, the desktop starts.
    """
    if ctx.invoked_subcommand is not None:
        return ExitCode.SUCCESS
    from engine.cli.desktop import start_desktop

    return start_desktop()


def _open_what_is_closed() -> None:
    """Give standard streams that are closed (`>&-`) a place where nothing arrives.

    Python has no object for them, and the next file to be opened, a database say, would take their place.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8"))


def main() -> None:
    """The entry point of the console script."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a character shows a mark for it, rather than nothing and an error.
            stream.reconfigure(errors="replace")
    cli()


if __name__ == "__main__":
    main()
