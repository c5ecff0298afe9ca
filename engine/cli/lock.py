"""`strongroom lock`: a backup that is not to be deleted, by retention or by hand."""

from __future__ import annotations

import click

from engine.cli import documents
from engine.cli.finding import BACKUP_HELP, find_backup
from engine.cli.output import Output, with_output
from engine.cli.session import workspace


@click.command(epilog=BACKUP_HELP)
@click.argument("backup")
@click.option("--reason", default="", help="Why, for whoever finds it locked.")
@with_output
def command(out: Output, backup: str, reason: str) -> None:
    """Keep BACKUP from being deleted. The lock lies beside it, so every installation heeds it."""
    with workspace(out) as opened:
        found = find_backup(opened, backup)
        opened.catalogue.lock(found.id, reason)
        found = opened.catalogue.get(found.id)
    out.document(documents.backup(found))
    out.line(f"✓ {found.id} is locked: {found.artifact} at {found.destination}", color="green")
