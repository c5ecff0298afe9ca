"""Bring the installation to what a configuration file says: all of it is checked before the first write.

Things are matched by name; what the file does not name stays as it is, and nothing is ever deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine.configuration.keys import LONGEST_NAME
from engine.contract.registry import KIND_NAMES
from engine.declarative.changes import Change, Plan
from engine.declarative.document import Document
from engine.declarative.endpoints import ordered, plan_endpoint
from engine.declarative.jobs import plan_job, same_retention
from engine.errors import ConfigError, StoreError
from engine.rules.retention import parse_retention

if TYPE_CHECKING:
    from engine.workspace import Workspace

MAX_CONCURRENT_JOBS = "maxConcurrentJobs"
"""The store's setting that the queue reads live."""
PATIENCE = 60.0  # seconds that an apply waits for another one; a keyring may ask its person meanwhile


@contextmanager
def alone(workspace: Workspace) -> Iterator[None]:
    """Let no other process apply a file meanwhile, so that what was planned is still true when written.

    Raises `StoreError` when another one does not end.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(workspace.home.root / "apply.lock", timeout=PATIENCE, mode=0o600)
    try:
        lock.acquire()
    except Timeout as error:
        raise StoreError(
            f"Another process has been applying a file for more than {PATIENCE:.0f} s.",
            remedy="See whether a Strongroom process hangs, then try again.",
        ) from error
    try:
        yield
    finally:
        lock.release()


def plan(workspace: Workspace, document: Document) -> Plan:
    """Check the whole document against this installation; `Plan.perform` then writes what differs.

    Raises `ConfigError` with file, line and field, and `SecretsError`.
    """
    planned = Plan(workspace.secrets.check)
    _plan_settings(workspace, document, planned)
    _plan_keys(workspace, document, planned)
    for kind in KIND_NAMES:
        for index, section in ordered(document, kind):
            plan_endpoint(workspace, document, planned, kind, section, (kind, index))
    _plan_policies(workspace, document, planned)
    for index, job in enumerate(document.sections.job):
        plan_job(workspace, document, planned, job, ("job", index))
    return planned


def _plan_settings(workspace: Workspace, document: Document, planned: Plan) -> None:
    wanted = document.sections.settings.max_concurrent_jobs
    if wanted is None:
        return
    settings = workspace.store.settings
    same = settings.get(MAX_CONCURRENT_JOBS, 1) == wanted
    planned.add(
        Change("settings", "max_concurrent_jobs", "unchanged" if same else "update"),
        lambda: settings.set(MAX_CONCURRENT_JOBS, wanted),
    )


def _plan_keys(workspace: Workspace, document: Document, planned: Plan) -> None:
    for index, section in enumerate(document.sections.key):
        name, recipient = section.name, section.recipient
        if recipient is not None:
            with document.at(("key", index, "recipient")):
                recipient = _parse_recipient(recipient)
        if name == "none" or len(name) > LONGEST_NAME:
            document.fail(
                ("key", index, "name"),
                f"a key's name has at most {LONGEST_NAME} characters, and is not `none`",
            )
        keys = {key.name: key for key in workspace.store.keys.list()}
        twin = next((key for key in keys.values() if key.recipient == recipient), None)
        if twin is not None and twin.name != name:
            document.fail(
                ("key", index, "recipient"),
                f"this key is here already, under the name {twin.name!r}",
                "Use that name.",
            )
        known = keys.get(name)
        if known is not None:
            if recipient is not None and known.recipient != recipient:
                document.fail(
                    ("key", index, "recipient"),
                    f"there is a key {name!r} already, and it is another one",
                    "Give the key in the file another name: what was encrypted to the old one needs it.",
                )
            planned.add(Change("key", name, "unchanged"), lambda: None)
        elif recipient is not None:
            planned.add(
                Change("key", name, "create", note="its public half: this machine cannot restore with it"),
                lambda name=name, recipient=recipient: workspace.keys.import_(recipient, name),  # type: ignore[misc]
            )
        else:
            planned.add(
                Change("key", name, "create", note="export it, or only this machine can restore"),
                lambda name=name: workspace.keys.new(name),  # type: ignore[misc]
                with_secrets=True,
            )


def _plan_policies(workspace: Workspace, document: Document, planned: Plan) -> None:
    policies = workspace.store.policies
    for index, section in enumerate(document.sections.policy):
        with document.at(("policy", index, "retention")):
            wanted = parse_retention(section.retention)
        known = policies.find(section.name)
        same = known is not None and same_retention(known.retention, wanted)
        planned.add(
            Change.of("policy", section.name, known=known is not None, fields=() if same else ("retention",)),
            lambda name=section.name, retention=section.retention: policies.save(name, retention),  # type: ignore[misc]
        )


def _parse_recipient(text: str) -> str:
    from pyrage import RecipientError, x25519

    try:
        return str(x25519.Recipient.from_str(text.strip()))
    except RecipientError:
        raise ConfigError(
            "this is not the public half of an age key", remedy="It begins with age1."
        ) from None
