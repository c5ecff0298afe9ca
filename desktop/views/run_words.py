"""What is said of a run in sum: how far it is, what it failed by, why a check proved nothing."""

from __future__ import annotations

from desktop import words
from desktop.copies import DestinationRow
from desktop.live import LiveRun
from desktop.worker import Problem
from engine.events import DestinationState, Stage, Status
from engine.records import Execution

BESIDE = "Why, and what to do, stands beside each destination below."
REASONS = 2
"""Why a check proved nothing: so many reasons are said, the log has them all."""
UNSEEN = "That says nothing about the backup itself: test the destination, then verify again."
DAMAGED = "Restore from another copy, and run the job again."


def run_problem(run: LiveRun, record: Execution | None = None) -> Problem | None:
    """What a run failed by. What its destinations failed by stands beside each, and is only counted here."""
    if run.status not in (Status.FAILED, Status.PARTIAL) or not run.error:
        return None
    if record is not None and not run.remedy and (found := check_remedy(record)):
        return Problem(run.error, found)
    rows = run.destinations.values()
    failed = [its.name for its in rows if its.state is DestinationState.FAILED]
    if not failed or not all(f"{name}: " in run.error for name in failed):
        return Problem(run.error, words.in_window(run.remedy))
    whole = sum(its.state is DestinationState.SUCCESS for its in rows)
    names = ", ".join(failed)
    if not whole:
        return Problem(f"No destination got the whole backup: {names} failed.", BESIDE)
    others = words.count(whole, "other destination holds", "other destinations hold")
    return Problem(f"{names} failed; {others} the whole backup.", BESIDE)


def check_remedy(execution: Execution) -> str:
    """Why a verification or a drill could not prove a backup, each reason once, and what to do about it."""
    outcomes = execution.labels.get("outcomes")
    if not isinstance(outcomes, list):
        return ""
    found = [its for its in outcomes if isinstance(its, dict) and its.get("outcome") != "passed"]
    reasons = list(dict.fromkeys(str(its["reason"]).rstrip(".") for its in found if its.get("reason")))
    said = [f"{words.capital(reason)}." for reason in reasons[:REASONS]]
    if len(reasons) > REASONS:
        said.append(f"The log names {words.count(len(reasons) - REASONS, 'other reason')}.")
    if any(its.get("outcome") == "failed" for its in found):
        said.append(DAMAGED)
    elif reasons:
        said.append(UNSEEN)
    return " ".join(said)


def figures(run: LiveRun) -> str:
    """How far a run is, in words: `1.9 of about 4.8 GB · 212 MB/s · 14 s left`."""
    if run.status is Status.PENDING:
        return "Waiting for its turn"
    if run.status.ended:
        took = (
            words.duration((run.finished_at - run.started_at).total_seconds())
            if run.started_at and run.finished_at
            else ""
        )
        return " · ".join(part for part in (words.size(run.bytes_out) if run.bytes_out else "", took) if part)
    parts = []
    rows = run.destinations.values()
    if run.state_of(Stage.DUMP).state == "done" and rows and not any(its.elsewhere for its in rows):
        stored = sum(_all_there(its, run) for its in rows)
        said = f"{words.size(run.bytes_out)} dumped · stored at {stored} of {len(rows)}"
        return " · ".join(part for part in (said, words.time_left(run.seconds_left)) if part)
    if run.bytes_out or run.bytes_in:
        done = words.size(run.bytes_out)
        about = "about " if run.estimated else ""
        parts.append(f"{done} of {about}{words.size(run.total)}" if run.total else done)
    if run.speed:
        parts.append(words.speed(run.speed))
    if left := words.time_left(run.seconds_left):
        parts.append(left)
    if run.database:
        parts.insert(0, run.database)
    if not parts and run.stage is not None and run.stage is not Stage.INITIALIZE:
        return f"{words.STAGES[run.stage]}: no byte yet"
    return " · ".join(parts) or "Starting"


def _all_there(row: DestinationRow, run: LiveRun) -> bool:
    """Whether a destination has all that it is to get, of a run that goes on."""
    whole = len(row.stored) >= len(run.databases) and not row.failed
    return row.state is DestinationState.SUCCESS and whole
