"""`strongroom retention`: what a job's retention keeps and deletes at each destination, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from engine.cli.output import ExitCode, Output, with_output
from engine.cli.session import workspace
from engine.cli.words import moment, size
from engine.clock import iso
from engine.units import counted

if TYPE_CHECKING:
    from engine.retaining import Retained


@click.command()
@click.argument("job")
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@with_output
def command(out: Output, job: str, dry_run: bool) -> int:
    """Apply the retention of JOB at each of its destinations now, as a run does at its end.

    Never deleted are the newest good backup of a database, a locked one, and one that cannot be read.
    A destination that cannot be listed keeps everything, and makes the exit code 1.
    """
    with workspace(out) as opened:
        name = opened.jobs.get(job).name
        found = opened.retention(name, dry_run=dry_run)
    out.document([_document(its, dry_run) for its in found])
    for its in found:
        _tell(out, its, dry_run)
    return ExitCode.FAILED if any(its.error for its in found) else ExitCode.SUCCESS


def _document(found: Retained, dry_run: bool) -> dict[str, Any]:
    return {
        "destination": found.destination,
        "dry_run": dry_run,
        "paused": found.plan.paused if found.plan else None,
        "error": found.error or None,
        "deleted": list(found.deleted),
        "decisions": [
            {
                "set": decision.backup_set.set_id,
                "created_at": iso(decision.backup_set.created_at),
                "keep": decision.keep,
                "reason": decision.reason,
                "backups": [backup.id for backup in decision.backup_set.backups],
                "size": sum(backup.size for backup in decision.backup_set.backups),
            }
            for decision in (found.plan.decisions if found.plan else ())
        ],
    }


def _tell(out: Output, found: Retained, dry_run: bool) -> None:
    out.line(found.destination, bold=True)
    if found.plan is not None:
        rows = [
            [
                ("keep" if decision.keep else "would delete" if dry_run else "delete"),
                moment(decision.backup_set.created_at),
                ", ".join(backup.database for backup in decision.backup_set.backups),
                size(sum(backup.size for backup in decision.backup_set.backups)),
                decision.reason,
            ]
            for decision in found.plan.decisions
        ]
        out.table(["", "Made", "Databases", "Size", "Why"], rows, empty="There is no backup here yet.")
    if found.error:
        out.line(f"✕ Stopped: {found.error}", color="red")
    elif found.plan and found.plan.paused:
        out.line(f"! Paused, nothing is deleted: {found.plan.paused}", color="yellow")
    elif not dry_run:
        out.line(f"{counted(len(found.deleted), 'backup')} deleted.")
