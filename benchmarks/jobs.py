"""Strongroom's side of the benchmarks: an installation of its own, with sources, destinations and jobs.

It is no benchmark. A job runs in this process, from its start to its stored status: the connection tests,
the spool, the uploads, the sidecars and the status are all in the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from postgres import USER, Postgres

from engine.contract.registry import Registry
from engine.home import Home
from engine.records import Endpoint, Execution, Job, JobDestination, JobOptions
from engine.secrets import VaultSecrets
from engine.workspace import Workspace

KEEPING_ALL = {"mode": "none"}


@contextmanager
def installation(folder: Path, registry: Callable[[], Registry] = Registry.load) -> Iterator[Workspace]:
    """A fresh one in that folder, with a key named default."""
    home = Home(folder / "home").make()
    secrets = VaultSecrets(home.vault, "a benchmark's")
    with Workspace.open(home, secrets=secrets, registry=registry) as workspace:
        workspace.keys.new("default")
        yield workspace


def recipient(workspace: Workspace) -> str:
    """The key's public half, for the tool age."""
    [key] = workspace.keys.list()
    return key.recipient


def postgresql(workspace: Workspace, server: Postgres) -> Endpoint:
    """The database bench of that server as a source."""
    config = {
        "host": "127.0.0.1",
        "port": server.port,
        "user": USER,
        "databases": ["bench"],
        "tools": str(server.binaries),
    }
    return workspace.endpoints.save("source", "bench", "postgresql", config)


def destination(workspace: Workspace, name: str, adapter: str, values: Mapping[str, Any]) -> Endpoint:
    """A destination of that name."""
    return workspace.endpoints.save("destination", name, adapter, values)


def job(
    workspace: Workspace,
    name: str,
    source: Endpoint,
    destinations: Sequence[Endpoint],
    *,
    compression: str = "zstd",
    encryption: str = "default",
    fingerprint: bool = True,
    retention: Mapping[str, Any] = KEEPING_ALL,
) -> Job:
    """A job; `fingerprint` counts the rows in the dump's snapshot."""
    return workspace.jobs.save(
        Job(
            id="",
            name=name,
            source_id=source.id,
            source_name=source.name,
            destinations=tuple(JobDestination(place.id, place.name, 0, retention) for place in destinations),
            compression=compression,
            encryption=encryption,
            options=JobOptions(fingerprint=fingerprint),
        )
    )


def run(workspace: Workspace, job: Job) -> Execution:
    """Run a job to its end. Anything but a success ends the benchmark."""
    ended = workspace.wait(workspace.run_job(job.id))
    if ended.status != "Success":
        said = [f"{place.name}: {place.error}" for place in ended.destinations if place.error]
        raise SystemExit(f"The job {job.name} ended as {ended.status}: {ended.error} {'; '.join(said)}")
    return ended


def sizes(ended: Execution) -> dict[str, float]:
    """What a run has dumped and stored, in MB."""
    dumped = sum(artifact.dump_size or 0 for artifact in ended.artifacts) / 1e6
    stored = sum(artifact.size or 0 for artifact in ended.artifacts) / 1e6
    print(f"a dump of {dumped:.0f} MB, an artifact of {stored:.0f} MB", flush=True)
    return {"dump_mb": dumped, "artifact_mb": stored}
