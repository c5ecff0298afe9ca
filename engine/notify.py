"""Telling people: of how an execution ended, of a retention that failed, of a backup that is broken.

Each attempt is kept with its rendered payload. Nothing in here raises or changes a status: a message
that did not arrive is logged as one that did not arrive.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engine.cancellation import CancelToken
from engine.clock import Clock, iso, utc_now
from engine.contract.values import Message
from engine.errors import NotFound, StrongroomError
from engine.events import LogLevel, NotificationSent, Status
from engine.records import VANISHED, Endpoint, Execution, Job, NotificationAttempt
from engine.units import size_text, span_text

if TYPE_CHECKING:
    from engine.archive.backups import Backup, Problem
    from engine.configuration.endpoints import Endpoints
    from engine.recorder import Recorder
    from engine.recovery.integrity import Verification
    from engine.store.database import Store

LONGEST = 150.0
"""Seconds that one notifier may hold an execution up, whatever its own time limits."""

_LEVELS = {
    Status.SUCCESS: "success",
    Status.PARTIAL: "warning",
    Status.FAILED: "error",
    Status.CANCELLED: "warning",
}
_TITLES = {
    Status.SUCCESS: "{job}: backed up and verified",
    Status.PARTIAL: "{job}: only partly backed up",
    Status.FAILED: "{job}: the backup failed",
    Status.CANCELLED: "{job}: the backup was cancelled",
}


def notify_of(
    store: Store,
    endpoints: Endpoints,
    execution: Execution,
    job: Job,
    recorder: Recorder,
    clock: Clock = utc_now,
) -> None:
    """Tell those of the job's people who want to hear of that status. Never raises."""
    chosen = [its.notifier_id for its in job.notifiers if execution.status in its.statuses]
    _tell(store, endpoints, chosen, message_of(execution), recorder, clock)


def notify_of_retention(
    store: Store,
    endpoints: Endpoints,
    job: Job,
    problems: Mapping[str, str],
    recorder: Recorder,
    clock: Clock = utc_now,
) -> None:
    """Tell those who hear of failures that retention failed or paused; `problems` by destination.

    An event of its own: the run may well have succeeded, and still the disk fills up. Never raises.
    """
    message = Message(
        title=f"{job.name}: old backups were not cleaned up",
        body="\n".join(f"{destination}: {problem}" for destination, problem in problems.items()),
        level="warning",
        facts=(("Job", job.name),),
    )
    _tell(store, endpoints, _hearing_of_failures(job), message, recorder, clock)


def notify_of_broken(
    store: Store,
    endpoints: Endpoints,
    found: Sequence[tuple[Verification, Backup | None]],
    recorder: Recorder,
    clock: Clock = utc_now,
    *,
    problems: Iterable[Problem] = (),
) -> None:
    """Tell of backups that did not pass a verification or a drill. Never raises.

    Each goes to the people of its job who hear of failures; one whose job is not here, and a destination
    that did not answer (`problems`), to all.
    """
    lines: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for verification, backup in found:
        if verification.outcome == "passed":
            continue
        name = f"{backup.artifact} at {backup.destination}" if backup is not None else verification.backup_id
        verb = "failed" if verification.outcome == "failed" else "could not be verified"
        lines[tuple(_people(store, backup))].append(f"{name} {verb}: {verification.reason}")
    for problem in problems:
        lines[tuple(_people(store, None))].append(f"Nothing could be verified at {problem}")
    for chosen, its in lines.items():
        message = Message(
            title="Backups did not pass verification"
            if len(its) > 1
            else "A backup did not pass verification",
            body="\n".join(its),
            level="error",
        )
        _tell(store, endpoints, chosen, message, recorder, clock)


def message_of(execution: Execution) -> Message:
    """What people read about an execution that has ended."""
    facts = [("Job", execution.job_name), ("Status", str(execution.status))]
    if execution.started_at is not None:
        facts.append(("Started", iso(execution.started_at.replace(microsecond=0))))
    if execution.duration is not None:
        facts.append(("Duration", span_text(execution.duration)))
    for artifact in execution.artifacts:
        size = "" if artifact.size is None else f", {size_text(artifact.size)}"
        facts.append((f"Database {artifact.database}", f"{artifact.status}{size}"))
    if gone := execution.labels.get(VANISHED):
        facts.append(("Not there any more", ", ".join(map(str, gone))))
    for destination in execution.destinations:
        copies = [its for its in execution.copies if its.destination_id == destination.destination_id]
        stored = sum(its.status is Status.SUCCESS for its in copies)
        some = f", {stored} of {len(copies)} stored" if 0 < stored < len(copies) else ""
        reason = f": {destination.error}" if destination.error else ""
        facts.append((f"Destination {destination.name}", f"{destination.status}{some}{reason}"))
    body = [execution.error or "", execution.remedy or ""]
    if execution.status is Status.SUCCESS:
        stored = sum(its.status is Status.SUCCESS for its in execution.destinations)
        body = [f"Stored and verified at {stored} destination{'' if stored == 1 else 's'}."]
    return Message(
        title=_TITLES.get(execution.status, "{job}").format(job=execution.job_name),
        body="\n".join(line for line in body if line) or str(execution.status),
        level=_LEVELS.get(execution.status, "info"),
        facts=tuple(facts),
    )


def _hearing_of_failures(job: Job) -> list[str]:
    return [its.notifier_id for its in job.notifiers if Status.FAILED in its.statuses]


def _people(store: Store, backup: Backup | None) -> list[str]:
    if backup is not None:
        try:
            return _hearing_of_failures(store.jobs.get(backup.sidecar.job_id))
        except NotFound:
            pass
    return [notifier.id for notifier in store.endpoints.list("notifier")]


def _tell(
    store: Store,
    endpoints: Endpoints,
    notifier_ids: Iterable[str],
    message: Message,
    recorder: Recorder,
    clock: Clock,
) -> None:
    clean = Message(
        title=recorder.clean(message.title),
        body=recorder.clean(message.body),
        level=message.level,
        facts=tuple((name, recorder.clean(value)) for name, value in message.facts),
    )
    for notifier_id in notifier_ids:
        try:
            _attempt(store, endpoints, endpoints.get("notifier", notifier_id), clean, recorder, clock)
        except Exception as error:  # telling people never changes what happened
            recorder.log(f"A notification could not be sent: {error}", LogLevel.ERROR)


def _attempt(
    store: Store,
    endpoints: Endpoints,
    endpoint: Endpoint,
    message: Message,
    recorder: Recorder,
    clock: Clock,
) -> None:
    payload: dict[str, Any] = {"title": message.title, "body": message.body}
    cancel = CancelToken()

    def send() -> None:
        with endpoints.open_notifier(endpoint, cancel=cancel) as notifier:
            payload.clear()
            payload.update(notifier.render(message))
            notifier.send(message)

    at, problem = clock(), ""
    try:
        _within(LONGEST, send, cancel)
    except Exception as error:  # a notifier's plugin may raise anything
        problem = recorder.clean(error.message if isinstance(error, StrongroomError) else repr(error))
    store.notifications.add(
        NotificationAttempt(
            at=at,
            notifier_id=endpoint.id,
            notifier_name=endpoint.name,
            status="error" if problem else "success",
            payload=dict(payload),
            execution_id=recorder.execution_id,
            error=problem or None,
        )
    )
    if problem:
        recorder.log(f"{endpoint.name} could not be told: {problem}", LogLevel.ERROR)
    else:
        recorder.log(f"{endpoint.name} was told.", LogLevel.SUCCESS)
    recorder.emit(NotificationSent(recorder.execution_id, endpoint.name, not problem, problem))


def _within(seconds: float, work: Callable[[], None], cancel: CancelToken) -> None:
    """Do the work on a thread that is left alone after that time. Raises what it raises."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="notify", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        cancel.cancel("the time for a notification is over")
        raise StrongroomError(f"It took longer than {seconds:.0f} seconds.")
    if raised:
        raise raised[0]
