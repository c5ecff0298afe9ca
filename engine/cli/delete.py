"""`strongroom delete`: one backup, for good."""

from __future__ import annotations

import sys

import click

from engine.cli import documents
from engine.cli.finding import BACKUP_HELP, find_backup
from engine.cli.output import Output, with_output
from engine.cli.session import workspace
from engine.cli.words import moment
from engine.errors import Cancelled


@click.command(epilog=BACKUP_HELP)
@click.argument("backup")
@click.option("-y", "--yes", is_flag=True, help="Do not ask on a terminal.")
@with_output
def command(out: Output, backup: str, yes: bool) -> None:
    """Delete BACKUP for good: the artifact, its sidecar and what lies beside them.

    Refused for a locked backup, and for the newest good one of its job at its destination.
    """
    with workspace(out) as opened:
        found = find_backup(opened, backup)
        if sys.stdin.isatty() and not yes and not out.json:
            made = moment(found.sidecar.created_at)
            question = f"Delete {found.artifact} of {made} at {found.destination} for good?"
            if not click.confirm(question, err=True):
                raise Cancelled("nothing was deleted")
        opened.catalogue.delete(found.id)
    out.document({"deleted": documents.backup(found)})
    out.line(f"✓ {found.id} is deleted: {found.artifact} at {found.destination}", color="green")
