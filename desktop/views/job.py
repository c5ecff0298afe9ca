"""One job: what it does now or did last, live, with its settings beside it."""

from __future__ import annotations

from collections.abc import Mapping

from desktop import words
from desktop.follow import Follower
from desktop.forms import JobDialog
from desktop.live import LiveRun
from desktop.navigation import Navigator
from desktop.snapshot import Snapshot
from desktop.views.base import View
from desktop.views.confirm import confirm
from desktop.views.run_panel import RunPanel
from desktop.widgets import Card, KeyValueGrid, StateChip, button, column, scrolled
from desktop.worker import Problem
from engine.clock import utc_now
from engine.events import Status
from engine.records import Job


class JobView(View):
    """The page of a job."""

    name, title = "job", "Job"

    def __init__(self, navigator: Navigator) -> None:
        super().__init__(navigator)
        self._job_id = ""
        self._pinned = ""
        self.add_crumb("Jobs", "jobs")
        self.chip = StateChip()
        self.add_state(self.chip)
        self.edit_button = button("Edit", self.edit)
        self.delete_button = button("Delete", self.delete, kind="danger")
        self.run_button = button("Run now", self.run, kind="primary", icon="play", tip="Ctrl+R")
        self.cancel_button = button("Cancel", self.cancel, icon="stop", name="Cancel this run")
        for its in (self.delete_button, self.edit_button, self.cancel_button, self.run_button):
            self.add_tool(its)
        self.facts = KeyValueGrid()
        aside = Card("This job")
        aside.add(self.facts)
        aside.body.addStretch(1)
        self.panel = RunPanel(self.session, aside)
        self.body.addWidget(scrolled(column(self.panel)), 1)
        self.follower = Follower(self.session, self)
        self.follower.run_changed.connect(self._show_run)
        self.follower.record_read.connect(self.panel.show_record)
        self.follower.log_shown.connect(self.panel.show_log)
        self.follower.log_added.connect(self.panel.add_log)
        self.cancel_button.hide()

    @property
    def job(self) -> Job | None:
        """The job that is shown."""
        return self.session.snapshot.job(self._job_id)

    def show_job(self, job_id: str) -> None:
        """Show this job and its newest run."""
        if job_id != self._job_id:
            self._job_id = job_id
            self.follower.follow("")
            self.panel.show_nothing()
        self.show_snapshot(self.session.snapshot)

    def entered(self) -> None:
        (self.run_button if self.run_button.isVisible() else self.cancel_button).setFocus()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        if not self._job_id:
            return
        job = snapshot.job(self._job_id)
        if job is None:
            if self.isVisible():
                self.navigator.go("jobs")
            self._job_id = ""
            return
        self.heading.say(job.name)
        self.setAccessibleName(f"Job {job.name}")
        self.panel.show_job(job)
        self.facts.show_facts(job_facts(job, snapshot))
        followed = self.session.live.get(self.follower.execution_id)
        if followed is not None and not followed.status.ended:
            self._show_buttons(True)  # a snapshot that was read before it was queued knows nothing of it
            return
        active, last = snapshot.active.get(job.id), snapshot.last.get(job.id)
        newest = active or last
        self._show_buttons(active is not None)
        if newest is None:
            self.chip.show_state(words.NEVER_RUN)
            self.panel.show_nothing()
        else:
            self.follower.follow(newest.id)

    def run(self) -> None:
        if self._job_id and self.run_button.isVisible():
            self.hold(self.run_button)
            self.session.run_job(self._job_id, self._queued, self._not_queued)

    def cancel(self) -> None:
        """Cancel what runs; the page says so when it has ended."""
        if self.follower.execution_id:
            self.hold(self.cancel_button)
            self.session.cancel(self.follower.execution_id)

    def edit(self) -> None:
        """Open the editor."""
        job = self.job
        if job is not None:
            dialog = JobDialog(self.window(), self.session, job)
            dialog.saved.connect(lambda its: self.navigator.say(f"{its.name} is saved."))
            dialog.open()

    def delete(self) -> None:
        """Delete the job, after asking; its backups stay."""
        job = self.job
        if job is None:
            return
        confirm(
            self,
            f"Delete the job {words.short(job.name, 40)}?",
            "Its backups stay where they are, and stay listed under Backups. Nothing will be backed up "
            "by this job any more.",
            f"Delete {words.short(job.name)}",
            lambda: self.session.ask(self, lambda workspace: workspace.jobs.delete(job.id), self._deleted),
        )

    def _deleted(self, job: Job) -> None:
        self._job_id = ""
        self.session.refresh()
        self.navigator.say(f"{job.name} is deleted; its backups stay.")
        self.navigator.go("jobs")

    def _queued(self, execution_id: str) -> None:
        self.follower.follow(execution_id)
        self._show_buttons(True)
        self.session.refresh()

    def _not_queued(self, problem: Problem) -> None:
        self.run_button.setEnabled(True)
        if self.hasFocus():
            self.run_button.setFocus()
        self.session.problem.emit(problem)

    def _show_run(self, run: LiveRun) -> None:
        self.chip.show_state(words.state_of(run.status, run.percent))
        self.panel.show_run(run)
        if run.status in (Status.PENDING, Status.RUNNING):
            self._show_buttons(True)

    def _show_buttons(self, active: bool) -> None:
        if active == self.run_button.isHidden():
            return
        had_focus = self.hasFocus() or self.run_button.hasFocus() or self.cancel_button.hasFocus()
        self.run_button.setVisible(not active)
        self.run_button.setEnabled(True)
        self.cancel_button.setVisible(active)
        self.cancel_button.setEnabled(True)
        self.delete_button.setEnabled(not active)
        if had_focus:
            (self.cancel_button if active else self.run_button).setFocus()


def job_facts(job: Job, snapshot: Snapshot) -> list[tuple[str, str] | tuple[str, str, str]]:
    """What a job does, in words."""
    now, next_at = utc_now(), snapshot.next_runs.get(job.id)
    facts: list[tuple[str, str] | tuple[str, str, str]] = [("Source", job.source_name)]
    facts.append(("When", snapshot.schedules.get(job.id, "")))
    if job.schedule:
        said = words.when(next_at, now) if next_at else "switched off"
        facts.append(("Next", said, words.exact(next_at)))
    facts.append(("Format", f"{words.compression(job.compression)}, {words.encryption(job.encryption)}"))
    facts.append(("Keep", _retentions({its.name: its.retention for its in job.destinations})))
    told = "; ".join(
        f"{its.name} when {', '.join(words.state_of(s).word.lower() for s in its.statuses)}"
        for its in job.notifiers
    )
    facts.append(("Tell", told or "nobody"))
    return facts


def _retentions(policies: Mapping[str, Mapping[str, object]]) -> str:
    said = {name: words.retention(policy) for name, policy in policies.items()}
    if len(set(said.values())) == 1:
        return words.capital(next(iter(said.values())))
    return " · ".join(f"{name}: {text}" for name, text in said.items())
