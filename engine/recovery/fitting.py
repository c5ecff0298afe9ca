"""Whether a backup and a source go together: looked at before anything is fetched."""

from __future__ import annotations

from engine.archive.sidecar import Sidecar
from engine.contract.adapters import Source
from engine.contract.values import BackupFacts
from engine.errors import UsageError


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
