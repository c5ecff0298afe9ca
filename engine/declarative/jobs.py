"""Plan one job: its parts known by name, its values checked in their places, compared with the stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.contract.registry import KindName
from engine.declarative.changes import Change, Plan, did_you_mean
from engine.declarative.document import Document, JobSection
from engine.declarative.lines import Path as Place
from engine.errors import ConfigError
from engine.events import Status
from engine.records import Job, JobDestination, JobNotifier
from engine.rules.naming import check_template
from engine.rules.retention import Retention, parse_retention
from engine.rules.schedule import parse_cron, resolve_zone
from engine.streams.compression import parse_compression

if TYPE_CHECKING:
    from engine.workspace import Workspace


def plan_job(workspace: Workspace, document: Document, plan: Plan, section: JobSection, place: Place) -> None:
    """Add the change that a section calls for. Raises `ConfigError` with its place."""
    wanted = _JobReader(workspace, document, section, place).job()
    known = workspace.store.jobs.find(section.name)
    if known is not None and known.name != section.name:
        known = None  # found by an ID that happens to be somebody's name
    fields: list[str] = []
    if known is not None:
        before, after = _comparable(known), _comparable(wanted)
        fields = [name for name in before if before[name] != after[name]]
    its_id = known.id if known else ""
    plan.add(
        Change.of("job", section.name, known=known is not None, fields=fields),
        lambda: _save(workspace, replace(wanted, id=its_id)),
    )


def same_retention(stored: Mapping[str, Any], wanted: Retention) -> bool:
    """Whether a stored retention means the wanted one; what cannot be read means nothing."""
    try:
        return bool(parse_retention(stored) == wanted)
    except ConfigError:  # of another version of Strongroom
        return False


class _JobReader:
    """Makes a job of one section. Its IDs are those of what is stored; `_save` fills in the others."""

    def __init__(self, workspace: Workspace, document: Document, section: JobSection, place: Place) -> None:
        self._workspace = workspace
        self._document = document
        self._section = section
        self._place = place

    def job(self) -> Job:
        section = self._section
        self._check_name("source", section.source, "source")
        with self._at("compression"):
            parse_compression(section.compression)
        if section.schedule is not None:
            with self._at("schedule"):
                parse_cron(section.schedule)
        with self._at("timezone"):
            resolve_zone(section.timezone)
        if section.naming is not None:
            with self._at("naming"):
                check_template(section.naming)
        self._check_key()
        return Job(
            id="",
            name=section.name,
            source_id="",
            source_name=section.source,
            destinations=self._destinations(),
            notifiers=self._notifiers(),
            enabled=section.enabled,
            schedule=section.schedule,
            timezone=section.timezone,
            compression=section.compression,
            encryption=section.encryption,
            naming=section.naming,
            options=section.options.record(),
        )

    def _at(self, *inner: str | int) -> Any:
        return self._document.at((*self._place, *inner))

    def _destinations(self) -> tuple[JobDestination, ...]:
        found = []
        for index, its in enumerate(self._section.destinations):
            self._check_name("destination", its.name, "destinations", index)
            retention = self._retention(its.retention, its.policy, index)
            priority = index if its.priority is None else its.priority
            found.append(JobDestination("", its.name, priority, retention))
        return tuple(sorted(found, key=lambda its: its.priority))

    def _notifiers(self) -> tuple[JobNotifier, ...]:
        found = []
        for index, its in enumerate(self._section.notifiers):
            self._check_name("notifier", its.name, "notifiers", index)
            statuses = [tuple(Status(status.capitalize()) for status in its.on)] if its.on else []
            found.append(JobNotifier("", its.name, *statuses))
        return tuple(found)

    def _check_name(self, kind: KindName, name: str, *inner: str | int) -> None:
        """Fail for a name that neither the file nor the store has."""
        known = {section.name for section in getattr(self._document.sections, kind)}
        known |= {endpoint.name for endpoint in self._workspace.store.endpoints.list(kind)}
        if name not in known:
            self._document.fail(
                (*self._place, *inner), f"there is no {kind} {name!r}", did_you_mean(name, known)
            )

    def _check_key(self) -> None:
        name = self._section.encryption
        named = {key.name for key in self._document.sections.key}
        if name == "none" or name in named:
            return
        if name not in {key.name for key in self._workspace.store.keys.list()}:
            usual = ", which a job without `encryption` uses" if name == "default" else ""
            self._document.fail(
                (*self._place, "encryption"),
                f"there is no key {name!r}{usual}",
                f'`strongroom keys new {name}` makes it; encryption = "none" does without.',
            )

    def _retention(
        self, given: Mapping[str, Any] | None, policy: str | None, index: int
    ) -> Mapping[str, Any]:
        place: Place = (*self._place, "destinations", index)
        if given is not None and policy is not None:
            self._document.fail((*place, "policy"), "a destination has a retention or a policy, not both")
        if policy is None:
            with self._document.at((*place, "retention")):
                parse_retention(given or {})
            return dict(given or {})
        policies: dict[str, Mapping[str, Any]] = {
            its.name: its.retention for its in self._workspace.store.policies.list()
        }
        policies |= {its.name: its.retention for its in self._document.sections.policy}
        if policy not in policies:
            self._document.fail(
                (*place, "policy"), f"there is no policy {policy!r}", did_you_mean(policy, policies)
            )
        return dict(policies[policy])


def _save(workspace: Workspace, wanted: Job) -> Job:
    """Save a job whose parts stand in the store by now, under their IDs."""
    get = workspace.store.endpoints.get
    return workspace.jobs.save(
        replace(
            wanted,
            source_id=get("source", wanted.source_name).id,
            destinations=tuple(
                replace(its, destination_id=get("destination", its.name).id) for its in wanted.destinations
            ),
            notifiers=tuple(
                replace(its, notifier_id=get("notifier", its.name).id) for its in wanted.notifiers
            ),
        )
    )


def _comparable(job: Job) -> dict[str, Any]:
    """What makes two jobs the same, by name and not by ID; destinations by their order."""
    return {
        "source": job.source_name,
        "destinations": [(its.name, parse_retention(its.retention)) for its in job.destinations],
        "notifiers": sorted((its.name, sorted(its.statuses)) for its in job.notifiers),
        "enabled": job.enabled,
        "schedule": job.schedule,
        "timezone": job.timezone,
        "compression": job.compression,
        "encryption": job.encryption,
        "naming": job.naming,
        "options": job.options,
    }
