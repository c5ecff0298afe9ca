"""`strongroom run`: one run of a job, from here to its end."""

from __future__ import annotations

import click

from engine.cli import documents, summary
from engine.cli.following import follow
from engine.cli.output import Output, exit_code_of, with_output
from engine.cli.session import workspace


@click.command()
@click.argument("job")
@click.option("-v", "--verbose", is_flag=True, help="Show every line of the log on a terminal, too.")
@with_output
def command(out: Output, job: str, verbose: bool) -> int:
    """Run the job JOB now, and wait for its end.

    It takes its place in the one queue of this installation, behind what a window or the agent runs.
    Ctrl-C cancels it. Exit codes: 0 success, 1 failed, 3 partial, 4 cancelled.
    """
    with workspace(out, working=True) as opened:
        execution = follow(opened, lambda: opened.run_job(job), out, verbose=verbose)
    out.document(documents.execution(execution))
    summary.tell(out, execution)
    return exit_code_of(execution.status)
