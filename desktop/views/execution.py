"""One execution of the history, live while it runs, with its stored log and what it made."""

from __future__ import annotations

from desktop import words
from desktop.follow import Follower
from desktop.live import LiveRun
from desktop.models.executions import subject
from desktop.navigation import Navigator
from desktop.views.base import View
from desktop.views.run_panel import RunPanel
from desktop.widgets import Card, KeyValueGrid, StateChip, button, column, scrolled
from desktop.worker import Problem
from engine.clock import utc_now
from engine.records import Execution


class ExecutionView(View):
    """The page of an execution."""

    name, title = "execution", "Execution"

    def __init__(self, navigator: Navigator) -> None:
        super().__init__(navigator)
        self.add_crumb("History", "history")
        self.chip = StateChip()
        self.add_state(self.chip)
        self.job_button = button("Show the job", self._open_job)
        self.cancel_button = button("Cancel", self.cancel, icon="stop", name="Cancel this execution")
        self.add_tool(self.job_button)
        self.add_tool(self.cancel_button)
        self.facts = KeyValueGrid()
        aside = Card("This execution")
        aside.add(self.facts)
        aside.body.addStretch(1)
        self.panel = RunPanel(self.session, aside)
        self.body.addWidget(scrolled(column(self.panel)), 1)
        self.follower = Follower(self.session, self)
        self.follower.run_changed.connect(self._show_run)
        self.follower.log_shown.connect(self.panel.show_log)
        self.follower.log_added.connect(self.panel.add_log)
        self.follower.record_read.connect(self._show_record)
        self.follower.missing.connect(self._missing)
        self._job_id = ""

    def show_execution(self, execution_id: str) -> None:
        """Show this execution."""
        if execution_id != self.follower.execution_id:
            self.heading.say("")
            self.facts.show_facts([])
            self.chip.show_state(None)
            self.job_button.hide()
            self.cancel_button.hide()
            self.panel.show_run(LiveRun(execution_id))
            self.panel.show_log([])
            self.follower.follow(execution_id)

    def entered(self) -> None:
        self.panel.log.setFocus()

    def cancel(self) -> None:
        """Ask it to stop, whichever process runs it."""
        self.hold(self.cancel_button)
        self.session.cancel(self.follower.execution_id)

    def _open_job(self) -> None:
        self.navigator.open_job(self._job_id)

    def _show_run(self, run: LiveRun) -> None:
        self.chip.show_state(words.state_of(run.status, run.percent))
        self.panel.show_run(run)
        active = not run.status.ended
        if active == self.cancel_button.isHidden():
            self.cancel_button.setVisible(active)
            self.cancel_button.setEnabled(True)

    def _show_record(self, execution: Execution) -> None:
        what = words.KINDS.get(execution.kind, execution.kind)
        about = subject(execution, self.session.snapshot)
        between = " " if about.startswith("into ") else " of "
        self.heading.say(f"#{execution.seq} {what}{between}{about}")
        self.setAccessibleName(self.heading.value)
        self._job_id = execution.job_id or ""
        self.job_button.setVisible(self.session.snapshot.job(self._job_id) is not None)
        self.panel.show_job(self.session.snapshot.job(self._job_id) if execution.kind == "run" else None)
        self.facts.show_facts(execution_facts(execution, about))
        self.panel.show_record(execution)

    def _missing(self, problem: Problem) -> None:
        self.panel.error.show_problem(problem)


def execution_facts(execution: Execution, about: str) -> list[tuple[str, str] | tuple[str, str, str]]:
    """What is to be said of an execution beside its progress."""
    now = utc_now()
    began = execution.started_at or execution.queued_at
    facts: list[tuple[str, str] | tuple[str, str, str]] = [
        ("Started", words.capital(words.when(began, now)), words.exact(began)),
        ("Why", words.capital(words.TRIGGERS.get(execution.trigger, execution.trigger))),
    ]
    if execution.trigger_reason:
        facts.append(("Reason", execution.trigger_reason))
    if execution.planned_at:
        facts.append(("Planned", words.when(execution.planned_at, now), words.exact(execution.planned_at)))
    if execution.attempt > 1:
        facts.append(("Attempt", str(execution.attempt)))
    if execution.kind == "restore":
        facts.append(("Target", about))
        facts.append(("Backup", str(execution.labels.get("backup_id", "–"))))
    facts.append(("Took", words.duration(execution.duration)))
    # Of several databases the table of the copies tells, of each destination its own row.
    for artifact in execution.artifacts if len(execution.artifacts) == 1 else ():
        said = words.size(artifact.size)
        if artifact.dump_size and artifact.size:
            said += f", {artifact.dump_size / artifact.size:.1f} to 1"
        facts.append((artifact.database, artifact.error or said, artifact.name))
    return facts
