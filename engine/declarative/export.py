"""Write the configuration as a file that `apply` reads: secrets as references, never as values.

Applying such a file to the installation that it came from changes nothing.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.declarative.apply import ENDPOINT_KINDS, MAX_CONCURRENT_JOBS
from engine.records import Endpoint, Job, JobNotifier, JobOptions

if TYPE_CHECKING:
    from engine.workspace import Workspace

HEADER = """\
# The configuration of Strongroom, as `strongroom apply` reads it.
# It holds no secret.
"""


def export(workspace: Workspace) -> str:
    """The text of a configuration file in TOML."""
    import tomli_w

    store = workspace.store
    variables = secret_variables(
        [endpoint for kind in ENDPOINT_KINDS for endpoint in store.endpoints.list(kind)]
    )
    document: dict[str, Any] = {}
    concurrent = store.settings.get(MAX_CONCURRENT_JOBS)
    if concurrent is not None:
        document["settings"] = {"max_concurrent_jobs": concurrent}
    document["key"] = [{"name": key.name, "recipient": key.recipient} for key in store.keys.list()]
    for kind in ENDPOINT_KINDS:
        document[kind] = [_endpoint(endpoint, variables) for endpoint in store.endpoints.list(kind)]
    document["policy"] = [
        {"name": policy.name, "retention": dict(policy.retention)} for policy in store.policies.list()
    ]
    document["job"] = [_job(job) for job in store.jobs.list()]
    header = HEADER
    if variables:
        names = "\n".join(f"#   {name}" for name in sorted(variables.values()))
        header += f"# Before it is applied, these environment variables must hold the secrets:\n{names}\n"
    return f"{header}\n{tomli_w.dumps({key: value for key, value in document.items() if value})}"


def secret_variables(endpoints: list[Endpoint]) -> dict[tuple[str, str, str], str]:
    """A telling environment variable for each secret, by kind, name and field: `SHOP_PASSWORD`.

    Two that would be the same get the kind before the name, and then a number.
    """
    variables: dict[tuple[str, str, str], str] = {}
    for endpoint in endpoints:
        for field in endpoint.secret_names:
            for name in _candidates(endpoint, field):
                if name not in variables.values():
                    variables[endpoint.kind, endpoint.name, field] = name
                    break
    return variables


def _candidates(endpoint: Endpoint, field: str) -> Any:
    yield _variable(endpoint.name, field)
    yield _variable(endpoint.kind, endpoint.name, field)
    number = 2
    while True:
        yield _variable(endpoint.kind, endpoint.name, field, str(number))
        number += 1


def _variable(*words: str) -> str:
    parts = (re.sub(r"[^A-Z0-9]+", "_", word.upper()).strip("_") for word in words)
    name = "_".join(part for part in parts if part)
    return name if not name[:1].isdigit() else f"S_{name}"


def _endpoint(endpoint: Endpoint, variables: Mapping[tuple[str, str, str], str]) -> dict[str, Any]:
    config = {key: value for key, value in endpoint.config.items() if value is not None}
    for field in endpoint.secret_names:
        config[field] = {"env": variables[endpoint.kind, endpoint.name, field]}
    return {"name": endpoint.name, "adapter": endpoint.adapter, "config": config}


def _job(job: Job) -> dict[str, Any]:
    table: dict[str, Any] = {"name": job.name, "source": job.source_name}
    if not job.enabled:
        table["enabled"] = False
    optional = {"schedule": job.schedule, "timezone": job.timezone, "naming": job.naming}
    table |= {name: value for name, value in optional.items() if value is not None}
    table |= {"compression": job.compression, "encryption": job.encryption}
    usual = dataclasses.asdict(JobOptions())
    options = {name: value for name, value in dataclasses.asdict(job.options).items() if value != usual[name]}
    if options:
        table["options"] = options
    table["destinations"] = [
        {"name": its.name, "retention": dict(its.retention)} if its.retention else {"name": its.name}
        for its in job.destinations
    ]
    if job.notifiers:
        table["notifiers"] = [
            {"name": its.name, "on": [status.value.lower() for status in its.statuses]}
            if set(its.statuses) != set(JobNotifier("", "").statuses)
            else {"name": its.name}
            for its in job.notifiers
        ]
    return table
