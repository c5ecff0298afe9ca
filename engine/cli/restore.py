"""`strongroom restore`: a backup, back into a database."""

from __future__ import annotations

import click

from engine.cli import documents, summary
from engine.cli.finding import BACKUP_HELP, find_backup
from engine.cli.following import follow
from engine.cli.output import Output, exit_code_of, with_output
from engine.cli.session import workspace
from engine.errors import UsageError
from engine.events import Status


@click.command(epilog=BACKUP_HELP)
@click.argument("backup")
@click.option("--to", "source", metavar="SOURCE", required=True, help="The source to restore into.")
@click.option("--as", "name", metavar="NAME", help="The database's name there; by default its own.")
@click.option("--overwrite", is_flag=True, help="Replace what exists and is not empty.")
@click.option("--unproven", is_flag=True, help="Although it is not proven who wrote the backup.")
@click.option("-v", "--verbose", is_flag=True, help="Show every line of the log on a terminal, too.")
@with_output
def command(
    out: Output, backup: str, source: str, name: str | None, overwrite: bool, unproven: bool, verbose: bool
) -> int:
    """Restore BACKUP into SOURCE, whose database is made if it is missing.

    The signature and the checksum have matched before the target is touched. With --overwrite the new
    database is built beside the old one and takes its place only when it has been compared.
    """
    from engine.recovery.restore import RestoreRequest

    if name is not None and not name.strip():
        raise UsageError("--as needs a name.", remedy="Leave it out to restore under the database's own.")
    with workspace(out, working=True) as opened:
        target = opened.endpoints.get("source", source)
        found = find_backup(opened, backup)
        request = RestoreRequest(
            backup_id=found.id, to_source=target.id, as_name=name, overwrite=overwrite, unproven=unproven
        )
        execution = follow(opened, lambda: opened.restore(request), out, verbose=verbose)
    database = execution.labels.get("database") or name or found.sidecar.database
    out.document(
        {
            "execution": execution.id,
            "number": execution.seq,
            "status": str(execution.status),
            "backup": found.id,
            "target": target.name,
            "database": database,
            "kept": execution.labels.get("kept"),
            "duration_s": documents.execution(execution)["duration_s"],
            "error": documents.error(execution),
        }
    )
    summary.tell(out, execution)
    if execution.status is Status.SUCCESS:
        out.line(f"  {found.artifact} is now {database} at {target.name}")
        if kept := execution.labels.get("kept"):
            out.line(f"  The old database is kept as {kept}")
    return exit_code_of(execution.status)
