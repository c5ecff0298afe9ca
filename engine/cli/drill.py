"""`strongroom drill`: can backups be restored? By doing it, into a scratch database."""

from __future__ import annotations

import click

from engine.cli.finding import BACKUP_HELP
from engine.cli.output import Output, with_output
from engine.cli.proving import prove


@click.command(epilog=BACKUP_HELP)
@click.argument("backups", metavar="BACKUP...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="The newest backup of each job and database.")
@click.option("-v", "--verbose", is_flag=True, help="Show every line of the log on a terminal, too.")
@with_output
def command(out: Output, backups: tuple[str, ...], every: bool, verbose: bool) -> int:
    """Restore BACKUP into a scratch database, compare it with what the dump saw, and drop it.

    Exit codes: 0 all passed, 1 one failed, 5 one could not be verified, which is no pass.
    """
    return prove(out, backups, every, lambda opened, ids: opened.drill(ids), verbose=verbose)
