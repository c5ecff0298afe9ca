"""Jobs as a person configures them: checked as a whole before anything is saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from engine.clock import Clock, utc_now
from engine.configuration.keys import Keys
from engine.configuration.saved import check_label
from engine.errors import ConfigError
from engine.records import Job
from engine.rules.naming import check_template
from engine.rules.retention import parse_retention
from engine.rules.schedule import parse_cron, resolve_zone
from engine.streams.compression import parse_compression

if TYPE_CHECKING:
    from engine.store.database import Store


class Jobs:
    """The configured jobs of one installation."""

    def __init__(self, store: Store, keys: Callable[[], Keys], clock: Clock = utc_now) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock

    def all(self) -> list[Job]:
        """All jobs, by name."""
        return self._store.jobs.list()

    def get(self, name_or_id: str) -> Job:
        """One job; raises `NotFound`."""
        return self._store.jobs.get(name_or_id)

    def save(self, job: Job) -> Job:
        """Check a job and save it; an empty `id` makes a new one. Raises `ConfigError` with the field.

        A schedule that changed counts from now on: nothing of the past is caught up.
        """
        self.check(job)
        before = self._store.jobs.get(job.id) if job.id else None
        same = before is not None and (before.schedule, before.timezone, before.enabled) == (
            job.schedule,
            job.timezone,
            job.enabled,
        )
        since = before.scheduled_since if same and before else None
        return self._store.jobs.save(
            replace(job, scheduled_since=(since or self._clock()) if job.schedule else None)
        )

    def delete(self, name_or_id: str) -> Job:
        """Remove a job. Its backups stay where they are, and listed."""
        job = self.get(name_or_id)
        self._store.jobs.delete(job.id)
        return job

    def check(self, job: Job) -> None:
        """Raise `ConfigError` for the first thing that would keep the job from working."""
        check_label("job", job.name)
        if not job.destinations:
            raise ConfigError(
                "A job needs at least one destination.", field="destinations", remedy="Choose where to."
            )
        chosen = [destination.destination_id for destination in job.destinations]
        if len(chosen) != len(set(chosen)):
            raise ConfigError("A destination is named twice.", field="destinations")
        if not job.source_id:
            raise ConfigError("A job needs a source.", field="source", remedy="Choose what to back up.")
        self._store.endpoints.get("source", job.source_id)
        for destination in job.destinations:
            self._store.endpoints.get("destination", destination.destination_id)
            _in_field("retention", partial(parse_retention, destination.retention))
        for notifier in job.notifiers:
            self._store.endpoints.get("notifier", notifier.notifier_id)
        _in_field("compression", lambda: parse_compression(job.compression))
        if job.schedule:
            schedule = job.schedule
            _in_field("schedule", lambda: parse_cron(schedule))
        _in_field("timezone", lambda: resolve_zone(job.timezone))
        if job.naming:
            naming = job.naming
            _in_field("naming", lambda: check_template(naming))
        if job.encryption != "none":
            self._keys().recipient(job.encryption)
        _check_options(job)


def _check_options(job: Job) -> None:
    options = job.options
    bounds = {
        "parallel_uploads": (options.parallel_uploads, 1, 64),
        "time_limit": (options.time_limit, 1, 30 * 86400),
        "retries": (options.retries, 0, 20),
        "retry_wait": (options.retry_wait, 0, 86400),
        "upload_attempts": (options.upload_attempts, 1, 50),
        "stall_after": (options.stall_after, 1, 86400),
        "collapse_ratio": (options.collapse_ratio, 0, 1),
        "parallel_dumps": (options.parallel_dumps, 1, 16),
        "hook_time_limit": (options.hook_time_limit, 1, 86400),
    }
    for field, (value, least, most) in bounds.items():
        if value is not None and not least <= value <= most:
            raise ConfigError(f"{value} is not between {least} and {most}.", field=field)


def _in_field(field: str, check: Callable[[], object]) -> None:
    """Name the job's field in an error that does not know it."""
    try:
        check()
    except ConfigError as error:
        error.field = f"{field}.{error.field}" if error.field and error.field != field else field
        raise
