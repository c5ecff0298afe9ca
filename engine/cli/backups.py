"""`strongroom backups`: what lies at the destinations, as the destinations themselves tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from engine.cli import documents
from engine.cli.following import cancellable
from engine.cli.output import Column, ExitCode, Output, with_output
from engine.cli.session import workspace
from engine.cli.words import moment, size
from engine.errors import StorageError

if TYPE_CHECKING:
    from engine.archive.backups import Backup
    from engine.workspace import Workspace


@click.command()
@click.argument("destination", required=False)
@click.option("--job", metavar="JOB", help="Only of this job.")
@click.option("--cached", is_flag=True, help="What was seen last, without asking the destinations.")
@click.option("-l", "--long", is_flag=True, help="With the artifacts' names.")
@with_output
def command(out: Output, destination: str | None, job: str | None, cached: bool, long: bool) -> int:
    """List the backups at DESTINATION, or at all destinations, newest first.

    The destinations are asked, so that backups of other installations are listed too. What cannot be
    listed or read is named on standard error. When a destination does not answer, the exit code is 3
    and what was seen there last is shown; when none does, that is an error.
    """
    with workspace(out) as opened:
        code = ExitCode.SUCCESS if cached else _refresh(out, opened, destination)
        found = opened.catalogue.list(destination=destination, job=job, refresh=False)
    found = sorted(found, key=lambda backup: backup.sidecar.created_at, reverse=True)
    out.document([documents.backup(backup) for backup in found])
    columns: list[Column | str] = [
        "Backup",
        "Made",
        "Job",
        "Database",
        Column("Size", right=True),
        "Destination",
        "Verified",
        "Notes",
        *(["Artifact"] if long else []),
    ]
    rows = [[*_row(backup), *([backup.artifact] if long else [])] for backup in found]
    out.table(columns, rows, empty="There is no backup here yet.")
    return code


def _refresh(out: Output, opened: Workspace, destination: str | None) -> ExitCode:
    """Ask the destinations. Raises `StorageError` when none answers: that must not look like no backups."""
    problems = cancellable(lambda token: opened.catalogue.refresh(destination, cancel=token))
    silent = [problem for problem in problems if problem.unreachable]
    asked = 1 if destination is not None else len(opened.endpoints.all("destination"))
    if silent and len(silent) == asked:
        remedy = f"{silent[0].remedy} --cached shows what was seen last.".strip()
        raise StorageError("; ".join(map(str, silent)), remedy=remedy)
    for problem in problems:
        seen = " What was seen there last is shown." if problem.unreachable else ""
        out.warn(f"{problem} {problem.remedy}".rstrip() + seen)
    return ExitCode.PARTIAL if silent else ExitCode.SUCCESS


def _row(backup: Backup) -> list[str]:
    proof = backup.proof
    verified = "when stored" if proof is None else f"{proof.level} {proof.outcome}"
    notes = ["locked"] if backup.locked else []
    if backup.problem:
        notes.append("broken")
    if not backup.verdict.proves:
        notes.append(str(backup.verdict))
    return [
        backup.id,
        moment(backup.sidecar.created_at),
        backup.sidecar.job,
        backup.sidecar.database,
        size(backup.size),
        backup.destination,
        verified,
        ", ".join(notes),
    ]
