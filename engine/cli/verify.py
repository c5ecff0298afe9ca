"""`strongroom verify`: are backups still what was written?"""

from __future__ import annotations

from typing import Literal

import click

from engine.cli.finding import BACKUP_HELP
from engine.cli.output import Output, with_output
from engine.cli.proving import prove


@click.command(epilog=BACKUP_HELP)
@click.argument("backups", metavar="BACKUP...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All backups at all destinations.")
@click.option(
    "--level",
    type=click.Choice(["checksum", "decode"]),
    default="decode",
    show_default=True,
    help="checksum: the stored bytes have the recorded SHA-256. decode: they also decrypt and decompress "
    "to the very end, which needs the key.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show every line of the log on a terminal, too.")
@with_output
def command(
    out: Output, backups: tuple[str, ...], every: bool, level: Literal["checksum", "decode"], verbose: bool
) -> int:
    """Prove BACKUP whole: its signature, its checksum, and all of what it holds.

    Exit codes: 0 all passed, 1 one is broken, 5 one could not be verified (no key, no answer), which is
    no pass.
    """
    return prove(out, backups, every, lambda opened, ids: opened.verify(ids, level), verbose=verbose)
