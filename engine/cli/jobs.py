"""`strongroom jobs`: what there is to run, when it runs next and how it ended last."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from engine.cli.output import Output, with_output
from engine.cli.session import workspace
from engine.cli.words import NOTHING, moment
from engine.clock import iso, utc_now
from engine.records import Execution, Job


@click.command()
@with_output
def command(out: Output) -> None:
    """List the jobs, when each runs next, and how its last run ended."""
    with workspace(out) as opened:
        found = [(job, opened.store.executions.last(job.id)) for job in opened.jobs.all()]
    out.document([_document(job, last) for job, last in found])
    rows = []
    for job, last in found:
        rows.append(
            [
                job.name,
                job.source_name,
                ", ".join(its.name for its in job.destinations),
                (job.schedule or NOTHING) if job.enabled else "switched off",
                moment(next_run(job)),
                "never" if last is None else f"{last.status}, {moment(last.finished_at or last.queued_at)}",
            ]
        )
    columns = ["Job", "Source", "Destinations", "Schedule", "Next run", "Last run"]
    out.table(columns, rows, empty="There is no job yet. `strongroom apply FILE.toml` makes some.")


def next_run(job: Job) -> datetime | None:
    """When the schedule says that the job runs next, in UTC; None for one that waits for no clock."""
    if not job.schedule or not job.enabled:
        return None
    from engine.rules.schedule import next_after, resolve_zone

    return next_after(job.schedule, resolve_zone(job.timezone), utc_now())


def _document(job: Job, last: Execution | None) -> dict[str, Any]:
    planned = next_run(job)
    return {
        "id": job.id,
        "name": job.name,
        "source": job.source_name,
        "destinations": [
            {"name": its.name, "priority": its.priority, "retention": dict(its.retention)}
            for its in job.destinations
        ],
        "notifiers": [
            {"name": its.name, "on": [status.lower() for status in its.statuses]} for its in job.notifiers
        ],
        "enabled": job.enabled,
        "schedule": job.schedule,
        "timezone": job.timezone,
        "next_run": None if planned is None else iso(planned),
        "compression": job.compression,
        "encryption": job.encryption,
        "last": None
        if last is None
        else {
            "execution": last.id,
            "status": str(last.status),
            "finished_at": None if last.finished_at is None else iso(last.finished_at),
        },
    }
