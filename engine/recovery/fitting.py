"""Whether a backup and a source go together: looked at before anything is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING

from engine.archive.sidecar import Sidecar
from engine.cancellation import CancelToken
from engine.contract.adapters import Source
from engine.contract.values import BackupFacts
from engine.errors import ConfigError, SourceError, UsageError
from engine.recovery.requests import RestoreRequest

if TYPE_CHECKING:
    from engine.recorder import Recorder
    from engine.services import Services


def facts_of(sidecar: Sidecar) -> BackupFacts:
    """What an adapter's preflight is told."""
    return BackupFacts(
        database=sidecar.database,
        engine=sidecar.engine,
        engine_version=sidecar.engine_version,
        tool_version=sidecar.tool_version,
        format=sidecar.format,
        dump_size=sidecar.dump_size,
    )


def fit(source: Source, name: str, sidecar: Sidecar, database: str) -> list[str]:
    """What people should know of restoring that backup as `database` into the source called `name`.

    Raises `UsageError` for another family, and what the adapter knows would fail the restore.
    """
    warnings = []
    if source.engine != sidecar.engine:
        if sidecar.engine not in source.accepts:
            raise UsageError(
                f"This is a backup of {sidecar.engine}, and {name} is a source of {source.engine}.",
                remedy=f"Choose a source of {sidecar.engine}.",
            )
        warnings.append(
            f"This is a backup of {sidecar.engine}, restored into {source.engine}: what only one of the two "
            "knows does not come across. Look at what was restored before you rely on it."
        )
    return [*warnings, *source.preflight(database, facts_of(sidecar))]


def fit_names(
    services: Services,
    requests: Sequence[RestoreRequest],
    recorder: Recorder,
    cancel: CancelToken,
    owner: str,
) -> None:
    """Look, before the first database of a set is restored, at the names that people gave for them.

    Raises `ConfigError` or `UsageError` for one that no target can have: then nothing of the set is
    restored, for it was asked for wrongly. What else would fail one of them is told in its turn.
    """
    named = [request for request in requests if request.as_name is not None]
    for (to_source, choices), group in groupby(named, lambda its: (its.to_source, its.choices)):
        endpoint = services.endpoints.get("source", to_source)
        recorder.hide(*services.endpoints.secrets(endpoint))
        with services.endpoints.open_source(endpoint, cancel=cancel, owner=owner, choices=choices) as source:
            for request in group:
                _fit_name(source, request.as_name or "")


def _fit_name(source: Source, name: str) -> None:
    try:
        with suppress(SourceError):
            source.target_state(name)
    except (ConfigError, UsageError) as error:
        error.message += " Nothing of the set was restored."
        raise
