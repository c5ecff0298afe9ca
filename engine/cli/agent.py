"""`strongroom agent`: the scheduler without a window, for servers and logged-out machines."""

from __future__ import annotations

import click

from engine.cli.following import interruptions
from engine.cli.output import Output, with_output
from engine.cli.session import workspace
from engine.cli.words import moment, safe
from engine.events import Event, ExecutionFinished, ExecutionStarted, LogAdded, LogLevel
from engine.units import counted


@click.command()
@with_output
def command(out: Output) -> None:
    """Run the jobs by their schedules until SIGTERM or Ctrl-C.

    What was missed while no window and no agent ran is caught up once. On a signal what runs is
    cancelled cleanly, and the exit code is 0.
    """
    with interruptions() as stop, workspace(out, working=True) as opened:
        unsubscribe = opened.events.subscribe(lambda event: _tell(out, event))
        try:
            opened.scheduler.start()
            for name, planned in opened.scheduler.next_runs():
                out.log(f"{name} runs next at {moment(planned)}")
            out.log("The agent is ready.")
            stop.event.wait()
            out.log("The agent stops.")
            opened.scheduler.stop()
            opened.queue.shutdown(cancel=True)
        finally:
            unsubscribe()
    out.document({"stopped": True})


def _tell(out: Output, event: Event) -> None:
    if isinstance(event, ExecutionStarted):
        out.log(f"{safe(event.job) or 'A system task'} began ({event.execution_id})")
    elif isinstance(event, ExecutionFinished):
        backups = f", {counted(len(event.backups), 'backup')}" if event.backups else ""
        why = f": {event.error}" if event.error else ""
        remedy = f" {event.remedy}" if event.remedy else ""
        out.log(f"{event.execution_id} ended: {event.status}{backups}{why}{remedy}")
    elif isinstance(event, LogAdded) and event.entry.level in (LogLevel.WARNING, LogLevel.ERROR):
        out.log(f"{event.entry.stage.value}: {event.entry.message}")
