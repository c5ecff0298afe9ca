"""The door to one installation: the command line, the agent and the desktop all come in by it.

A `Workspace` ties the store, the secrets, the plugins, the keys, the catalogue and the queue together.
What it starts are executions: an ID comes back at once, events tell of the rest.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cached_property, partial
from types import TracebackType
from typing import Any, Literal

from engine import scratch
from engine.archive.catalogue import Catalogue
from engine.cancellation import CancelToken
from engine.clock import Clock, utc_now
from engine.configuration.endpoints import Endpoints
from engine.configuration.jobs import Jobs
from engine.configuration.keys import Keys
from engine.contract.adapters import no_log
from engine.contract.registry import Registry
from engine.event_bus import EventBus
from engine.home import Home
from engine.hosts.private import sweep_private
from engine.pipeline import leftovers
from engine.pipeline.runner import run
from engine.queue import Executor, QueueManager
from engine.queue.ownership import Ownership
from engine.records import Execution, Trigger
from engine.recovery.requests import RestoreRequest, labels_of
from engine.recovery.unfinished import drop_after_crash, left_behind
from engine.retaining import Retained, retain_at
from engine.rules.retention import parse_retention
from engine.scheduler import VERIFY_NAME, Scheduler
from engine.secrets import RememberedSecrets, SecretStore, open_secrets
from engine.services import Services
from engine.store.database import Store
from engine.units import counted

Level = Literal["checksum", "decode"]

WORKERS = 8
"""Threads for whole executions where no other executor is handed in. How many runs go at once is the
queue's affair (`maxConcurrentJobs`); the rest is room for restores and verifications beside them."""


class ThreadExecutor:
    """Executions on plain threads, for the command line and the agent."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="strongroom-execution")

    def submit(self, work: Callable[[], None]) -> object:
        """Run `work` on a thread of the pool."""
        return self._pool.submit(work)

    def close(self) -> None:
        """Wait for what runs, and let the threads go."""
        self._pool.shutdown()


class Workspace:
    """One installation, open. Use it in a `with` block, or call `close`."""

    def __init__(
        self,
        home: Home,
        store: Store,
        secrets: SecretStore,
        *,
        executor: Executor | None = None,
        registry: Callable[[], Registry] = Registry.load,
        clock: Clock = utc_now,
    ) -> None:
        self.home = home
        self.store = store
        self.secrets = secrets
        self.clock = clock
        self.events = EventBus()
        self._load_registry = registry
        self._lock = threading.Lock()
        self._own_executor: ThreadExecutor | None = None
        if executor is None:
            executor = self._own_executor = ThreadExecutor()
        self.endpoints = Endpoints(home, store, secrets, lambda: self.registry)
        self.keys = Keys(store, secrets)
        self.jobs = Jobs(store, lambda: self.keys, clock)
        self.catalogue = Catalogue(store, self.endpoints, self.keys, clock=clock)
        self.ownership = Ownership(home.locks)
        self.queue = QueueManager(
            store,
            self.ownership,
            executor,
            self._perform,
            emit=self.events.emit,
            clock=clock,
        )

    @classmethod
    def open(
        cls,
        home: Home | None = None,
        *,
        executor: Executor | None = None,
        secrets: SecretStore | None = None,
        registry: Callable[[], Registry] = Registry.load,
        clock: Clock = utc_now,
    ) -> Workspace:
        """Open the installation at `home` (by default the environment's), making it if it is new.

        Raises `StoreError`. Neither the keyring nor a plugin is touched before it is needed.
        """
        home = (home or Home.locate()).make()
        store = Store(home.database)
        return cls(
            home,
            store,
            secrets or open_secrets(home).scoped(store.installation_id),
            executor=executor,
            registry=registry,
            clock=clock,
        )

    def close(self, *, cancel: bool = False) -> None:
        """Wait for what runs (or cancel it), then let go of everything."""
        self.queue.shutdown(cancel=cancel)
        if self._own_executor is not None:
            self._own_executor.close()
        self.store.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(cancel=kind is not None)

    @cached_property
    def registry(self) -> Registry:
        """The adapters; plugins are loaded when one is first needed."""
        return self._load_registry()

    @cached_property
    def scheduler(self) -> Scheduler:
        """The scheduler; it does nothing until it is started."""
        return Scheduler(self.store, self.queue, self.clock, verify_all=self._verify_slot)

    # -- executions ----------------------------------------------------------------------------------

    def run_job(self, name_or_id: str, *, trigger: Trigger = "manual", reason: str = "") -> str:
        """Queue a run of a job; return the execution's ID."""
        return self.queue.enqueue_run(self.jobs.get(name_or_id), trigger=trigger, reason=reason)

    def restore(self, *requests: RestoreRequest) -> str:
        """Start a restore of one backup, or of several after each other; return the execution's ID."""
        target = self.endpoints.get("source", requests[0].to_source)
        into = (requests[0].as_name or target.name) if len(requests) == 1 else target.name
        return self._start("restore", f"Restore into {into}", labels_of(requests))

    def verify(self, backup_ids: Sequence[str] | None, level: Level = "checksum") -> str:
        """Start a verification of these backups (None: of all, everywhere); return the execution's ID."""
        labels = {"backups": _ids(backup_ids), "level": level}
        return self._start("verify", f"Verify {_how_many(backup_ids)}", labels)

    def drill(self, backup_ids: Sequence[str] | None) -> str:
        """Start drills of these backups (None: the newest of each job and database)."""
        return self._start("drill", f"Drill {_how_many(backup_ids)}", {"backups": _ids(backup_ids)})

    def retention(self, name_or_id: str, *, dry_run: bool = False) -> list[Retained]:
        """Apply a job's retention at each of its destinations now, or only say what it would do."""
        job = self.jobs.get(name_or_id)
        return [
            retain_at(
                self._services(),
                job,
                self.endpoints.get("destination", chosen.destination_id),
                parse_retention(chosen.retention),
                log=no_log,
                dry_run=dry_run,
            )
            for chosen in job.destinations
        ]

    def cancel(self, execution_id: str) -> None:
        """Ask an execution to stop, whichever process runs it."""
        self.queue.cancel(execution_id)

    def wait(self, execution_id: str, timeout: float | None = None) -> Execution:
        """Wait up to `timeout` seconds for an execution to end, its retention included."""
        return self.queue.wait(execution_id, timeout)

    def settle(self) -> list[Execution]:
        """Settle what a crash left behind, and only that: its executions, scratch, spool,
        uploads and half-built databases.

        Uploads whose destination does not answer now stay on record, and are tried at the next run.
        """
        settled = self.queue.settle_orphans()
        for folder in (self.home.scratch, self.home.spool):
            scratch.sweep(folder, self._was_ours)
        sweep_private()
        leftovers.sweep(self.store, self.endpoints, self.is_dead)
        services = self._services()
        for execution in {its.id: its for its in (*left_behind(services), *settled)}.values():
            drop_after_crash(services, execution)
        return settled

    def _was_ours(self, execution_id: str) -> bool:
        """Whether it is an execution of this store that nobody runs; a file of anybody else's stays."""
        return self.store.executions.find(execution_id) is not None and self.is_dead(execution_id)

    def is_dead(self, execution_id: str) -> bool:
        """Whether nobody runs that execution (any more)."""
        return self.ownership.is_free(execution_id)

    # -- within --------------------------------------------------------------------------------------

    def _start(
        self, kind: Literal["restore", "verify", "drill"], title: str, labels: Mapping[str, Any]
    ) -> str:
        return self.queue.enqueue_other(kind, labels={"title": title, **labels})

    def _perform(self, execution_id: str, cancel: CancelToken) -> None:
        execution = self.store.executions.get(execution_id)
        services = self._services(cancel)
        if execution.kind == "run":
            run(services, execution_id, cancel)
            return
        from engine.performing import perform

        perform(services, execution, cancel)

    def _verify_slot(self, planned_at: datetime, reason: str) -> str:
        """Queue the planned verification of all backups; raises `SlotTaken`."""
        return self.queue.enqueue_other(
            "verify",
            trigger="system",
            reason=reason,
            planned_at=planned_at,
            labels={"backups": None, "level": "checksum", "title": VERIFY_NAME},
        )

    def _services(self, cancel: CancelToken | None = None) -> Services:
        """The parts for one piece of work; each secret that it reads stays at hand until it has ended.

        A cancel ends the work's wait for a keyring. People are told whatever happened, so that the notifiers'
        secrets are read without it.
        """
        from engine.notify import notify_of, notify_of_retention

        secrets = RememberedSecrets(self.secrets if cancel is None else self.secrets.until(cancel))
        endpoints = Endpoints(self.home, self.store, secrets, lambda: self.registry)
        keys = Keys(self.store, secrets)
        return Services(
            home=self.home,
            store=self.store,
            endpoints=endpoints,
            keys=keys,
            catalogue=Catalogue(self.store, endpoints, keys, clock=self.clock),
            emit=self.events.emit,
            notify=partial(notify_of, self.store, self.endpoints),
            notify_retention=partial(notify_of_retention, self.store, self.endpoints),
            is_dead=self.is_dead,
            clock=self.clock,
        )


def _how_many(backup_ids: Sequence[str] | None) -> str:
    return "all backups" if backup_ids is None else counted(len(backup_ids), "backup")


def _ids(backup_ids: Sequence[str] | None) -> list[str] | None:
    return None if backup_ids is None else list(backup_ids)
