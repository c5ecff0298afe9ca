"""`strongroom show`: one execution with its log and what was sent to people."""

from __future__ import annotations

from typing import Any

import click

from engine.cli import documents, summary
from engine.cli.output import Output, with_output
from engine.cli.session import workspace
from engine.clock import iso
from engine.events import LogEntry, LogLevel
from engine.records import NotificationAttempt

_COLORS = {LogLevel.SUCCESS: "green", LogLevel.WARNING: "yellow", LogLevel.ERROR: "red"}


@click.command()
@click.argument("execution")
@with_output
def command(out: Output, execution: str) -> None:
    """Show the execution EXECUTION, by its ID or its number, with its log."""
    with workspace(out) as opened:
        found = opened.store.executions.get(execution)
        log = [stored.entry for stored in opened.store.logs.list(found.id)]
        told = opened.store.notifications.list(execution_id=found.id)
    out.document(
        {
            **documents.execution(found),
            "log": [_entry(entry) for entry in log],
            "notifications": [_attempt(attempt) for attempt in told],
        }
    )
    summary.tell(out, found)
    out.line()
    for entry in log:
        clock = entry.at.astimezone().strftime("%H:%M:%S")
        out.line(f"{clock}  {entry.stage.value:<10}  {entry.message}", color=_COLORS.get(entry.level))
        for line in entry.details.strip().splitlines():
            out.line(f"{'':22}{line}")
    for attempt in told:
        out.line(f"Told {attempt.notifier_name}: {attempt.error or 'delivered'}")


def _entry(entry: LogEntry) -> dict[str, str]:
    return {
        "at": iso(entry.at),
        "level": str(entry.level),
        "type": str(entry.type),
        "stage": str(entry.stage),
        "message": entry.message,
        "details": entry.details,
    }


def _attempt(attempt: NotificationAttempt) -> dict[str, Any]:
    return {
        "notifier": attempt.notifier_name,
        "at": iso(attempt.at),
        "status": attempt.status,
        "error": attempt.error,
        "payload": dict(attempt.payload),
    }
