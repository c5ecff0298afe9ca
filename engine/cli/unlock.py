"""`strongroom unlock`: take a backup's lock away."""

from __future__ import annotations

import click

from engine.cli import documents
from engine.cli.finding import BACKUP_HELP, find_backup
from engine.cli.output import Output, with_output
from engine.cli.session import workspace


@click.command(epilog=BACKUP_HELP)
@click.argument("backup")
@with_output
def command(out: Output, backup: str) -> None:
    """Take the lock of BACKUP away, so that retention may delete it in its time."""
    with workspace(out) as opened:
        found = find_backup(opened, backup)
        opened.catalogue.unlock(found.id)
        found = opened.catalogue.get(found.id)
    out.document(documents.backup(found))
    out.line(f"✓ {found.id} is no longer locked: {found.artifact} at {found.destination}", color="green")
