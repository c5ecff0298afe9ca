"""`strongroom history`: the executions, newest first."""

from __future__ import annotations

import click

from engine.cli import documents
from engine.cli.output import Column, Output, with_output
from engine.cli.session import workspace
from engine.cli.summary import sign
from engine.cli.words import NOTHING, cut, duration, moment, size
from engine.records import Execution, ExecutionKind

KINDS = ["run", "restore", "verify", "drill", "retention"]


@click.command()
@click.option("--job", metavar="JOB", help="Only of this job; a name of one that is gone works too.")
@click.option("--kind", type=click.Choice(KINDS), help="Only of this kind.")
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many."
)
@with_output
def command(out: Output, job: str | None, kind: ExecutionKind | None, limit: int) -> None:
    """List what has run and what runs, newest first."""
    with workspace(out) as opened:
        found = opened.store.executions.list(limit, job=job, kind=kind)
    out.document([documents.execution(execution) for execution in found])
    columns: list[Column | str] = [
        Column("#", right=True),
        "Kind",
        "Job",
        "Status",
        "Began",
        Column("Took", right=True),
        Column("Size", right=True),
        "Note",
    ]
    out.table(columns, [_row(execution) for execution in found], empty="Nothing has run yet.")


def _row(execution: Execution) -> list[str]:
    sizes = [artifact.size for artifact in execution.artifacts if artifact.size is not None]
    return [
        str(execution.seq),
        execution.kind,
        execution.job_name or NOTHING,
        f"{sign(execution.status)} {execution.status}",
        moment(execution.started_at or execution.queued_at),
        duration(execution.duration),
        size(sum(sizes) if sizes else None),
        cut(execution.error) if execution.error else execution.trigger,
    ]
