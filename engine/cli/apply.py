"""`strongroom apply`: bring the installation to what a configuration file says."""

from __future__ import annotations

from pathlib import Path

import click

from engine.cli.output import Output, with_output
from engine.cli.session import workspace
from engine.units import counted

_SIGNS = {"create": "+", "update": "~", "unchanged": "="}
_COLORS = {"create": "green", "update": "yellow", "unchanged": None}


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@with_output
def command(out: Output, file: Path, dry_run: bool) -> None:
    """Create or update what the configuration file FILE names; what it does not name stays as it is.

    All of the file is checked before anything is written. Secrets go to the keyring.
    """
    from engine.declarative.apply import alone, plan
    from engine.declarative.document import read

    document = read(file)
    with workspace(out) as opened, alone(opened):
        planned = plan(opened, document)
        if not dry_run:
            planned.perform()
    out.document(
        {
            "file": str(file),
            "dry_run": dry_run,
            "changes": [
                {
                    "kind": change.kind,
                    "name": change.name,
                    "action": change.action,
                    "fields": list(change.fields),
                    "note": change.note or None,
                }
                for change in planned.changes
            ],
        }
    )
    for change in planned.changes:
        details = f"  ({', '.join(change.fields)})" if change.fields else ""
        note = f"  {change.note}" if change.note else ""
        out.line(
            f"{_SIGNS[change.action]} {change.kind:<11}  {change.name}  {change.action}{details}{note}",
            color=_COLORS[change.action],
        )
    changed = [change for change in planned.changes if change.action != "unchanged"]
    if not planned.changes:
        out.line("The file names nothing.")
    elif dry_run:
        out.line(f"Dry run: {counted(len(changed), 'change')} would be made; nothing was written.", bold=True)
    else:
        out.line(f"Done: {counted(len(changed), 'change')}.", bold=True)
