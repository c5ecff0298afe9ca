"""Drill: the whole restore, into a scratch database that goes again, compared with what the dump saw.

It passes only when a fingerprint from the dump's own snapshot was found again, row for row. A restore
that merely ended without an error is no proof, and is not called one.
"""

from __future__ import annotations

import secrets
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING

from engine.archive.backups import Backup
from engine.archive.sidefiles import Outcome
from engine.cancellation import CancelToken
from engine.contract.adapters import Source
from engine.contract.values import TargetState
from engine.errors import CouldNotVerify, DumpIncomplete, NotFound, StrongroomError, ToolFailed
from engine.events import LogLevel, LogType
from engine.recovery import unfinished
from engine.recovery.comparing import SAME, Equality, compare
from engine.recovery.fitting import fit
from engine.recovery.integrity import Verification, doubtful, judged, patiently, retriever
from engine.recovery.retrieve import Fetched, OnBytes
from engine.scratch import scratch_folder

if TYPE_CHECKING:
    from engine.contract.adapters import Log
    from engine.records import Endpoint
    from engine.services import Services


def drill_backup(
    services: Services,
    backup_id: str,
    *,
    cancel: CancelToken,
    log: Log,
    owner: str = "adhoc",
    source: str | None = None,
    on_bytes: OnBytes | None = None,
) -> Verification:
    """Drill a backup on its job's source, or on `source`, and remember the outcome.

    Raises `Cancelled`, and `NotFound` for an ID that nothing has. The scratch database is dropped in
    every outcome; one that cannot be dropped is named in the log.
    """

    def look(backup: Backup) -> tuple[Outcome, str, str]:
        return _Drill(services, backup, cancel, log, owner).run(source, on_bytes)

    return judged(services, backup_id, "drill", look, log)


class _Drill:
    def __init__(self, services: Services, backup: Backup, cancel: CancelToken, log: Log, owner: str) -> None:
        self._services = services
        self._backup = backup
        self._cancel = cancel
        self._log = log
        self._owner = owner

    def run(self, source: str | None, on_bytes: OnBytes | None) -> tuple[Outcome, str, str]:
        services, backup, cancel = self._services, self._backup, self._cancel
        place = services.endpoints.get("destination", backup.destination_id)
        with services.endpoints.open_storage(place, cancel=cancel) as storage:
            _, verdict = patiently(lambda: retriever(services).prove(storage, backup), cancel)
        if (found := doubtful(backup, verdict)) is not None:
            return found
        endpoint = self._endpoint(source)
        with (
            retriever(services).fetched(
                backup, cancel=cancel, owner=self._owner, on_bytes=on_bytes
            ) as fetched,
            scratch_folder(services.home.scratch, self._owner) as folder,
            self._open(endpoint, cancel) as adapter,
        ):
            label = f"drill_{secrets.token_hex(4)}"
            name = adapter.scratch_name(backup.sidecar.database, label, folder)
            if adapter.target_state(name) is not TargetState.MISSING:
                raise CouldNotVerify(f"{name} at {endpoint.name} is there already.", remedy="Drill again.")
            try:
                warnings = fit(adapter, endpoint.name, backup.sidecar, name)
            except StrongroomError as error:
                # It says something of this server and its tools, and nothing of the backup.
                raise CouldNotVerify(
                    f"It cannot be drilled there. {error.message}", remedy=error.remedy
                ) from error
            for warning in warnings:
                self._log(warning, LogLevel.WARNING, LogType.GENERAL, "")
            unfinished.remember(services, self._owner, endpoint, name)
            try:
                return self._restore_and_compare(adapter, name, fetched)
            finally:
                self._drop(endpoint, name)

    def _restore_and_compare(self, adapter: Source, name: str, fetched: Fetched) -> tuple[Outcome, str, str]:
        identities = fetched.identities  # asked for first: a key that is not here is no failed restore
        with closing(fetched.plain()) as chunks:
            try:
                adapter.restore(name, chunks)
                for _ in chunks:
                    pass
            except (ToolFailed, DumpIncomplete) as error:
                self._cancel.raise_if_cancelled()
                return "failed", f"The restore failed: {error.message}", ""
        comparison = compare(fetched.sidecar, lambda: identities, adapter, name)
        if comparison.result is Equality.EQUAL:
            return "passed", "", comparison.words.removeprefix(f"{SAME}: ").rstrip(".")
        if comparison.result is Equality.DIFFERENT:
            return "failed", comparison.words, ""
        return "could-not-verify", f"It was restored without an error. {comparison.words}", ""

    def _endpoint(self, source: str | None) -> Endpoint:
        services, sidecar = self._services, self._backup.sidecar
        if source is not None:
            return services.endpoints.get("source", source)
        try:
            return services.endpoints.get("source", services.store.jobs.get(sidecar.job_id).source_id)
        except NotFound as error:
            raise CouldNotVerify(
                f"The job {sidecar.job!r} of this backup is not here, so there is no source to drill on.",
                remedy="Name a source of that kind.",
            ) from error

    def _open(self, endpoint: Endpoint, cancel: CancelToken) -> AbstractContextManager[Source]:
        return self._services.endpoints.open_source(endpoint, cancel=cancel, log=self._log, owner=self._owner)

    def _drop(self, endpoint: Endpoint, name: str) -> None:
        try:
            # With a token of its own: a cancelled one would end the very tool that cleans up.
            with self._open(endpoint, CancelToken()) as adapter:
                adapter.drop(name)
        except Exception as error:  # it must not hide the outcome
            self._log(
                f"The scratch database {name} at {endpoint.name} is still there: {error}",
                LogLevel.WARNING,
                LogType.GENERAL,
                "Drop it yourself.",
            )
