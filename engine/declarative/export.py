"""Write the configuration as a file that `apply` reads: secrets as references, never as values.

Applying such a file to the installation that it came from changes nothing.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from engine.configuration.hosts import LOCAL
from engine.contract.registry import KIND_NAMES
from engine.declarative.apply import MAX_CONCURRENT_JOBS
from engine.records import Endpoint, Job, JobNotifier, JobOptions

if TYPE_CHECKING:
    from engine.workspace import Workspace

HEADER = """\
# The configuration of Strongroom, as `strongroom apply` reads it.
# It holds no secret.
"""
WIDTH = 100
"""Characters of a line beyond which a table or a list is written over several."""


def export(workspace: Workspace) -> str:
    """The text of a configuration file in TOML."""
    store = workspace.store
    endpoints = {kind: store.endpoints.list(kind) for kind in KIND_NAMES}
    variables = secret_variables([its for kind in KIND_NAMES for its in endpoints[kind]])
    hosts = {its.id: its.name for its in endpoints["host"]}
    parts = [_header(variables.values())]
    concurrent = store.settings.get(MAX_CONCURRENT_JOBS)
    if concurrent is not None:
        parts.append(f"[settings]\nmax_concurrent_jobs = {concurrent}\n")
    tables: list[tuple[str, Mapping[str, Any]]] = [
        *(("key", {"name": key.name, "recipient": key.recipient}) for key in store.keys.list()),
        *((kind, _endpoint(its, variables, hosts)) for kind in KIND_NAMES for its in endpoints[kind]),
        *(("policy", {"name": its.name, "retention": dict(its.retention)}) for its in store.policies.list()),
        *(("job", _job(job)) for job in store.jobs.list()),
    ]
    return "\n".join([*parts, *(_table(kind, values) for kind, values in tables)])


def _header(variables: Iterable[str]) -> str:
    names = "".join(f"#   {name}\n" for name in sorted(variables))
    if not names:
        return HEADER
    return f"{HEADER}# Before it is applied, these environment variables must hold the secrets:\n{names}"


def _table(kind: str, values: Mapping[str, Any]) -> str:
    """One `[[kind]]`: a table within stands in one line where it fits, else under a heading of its own."""
    lines, below = [f"[[{kind}]]"], []
    for key, value in values.items():
        line = f"{_key(key)} = {_inline(value)}"
        if isinstance(value, Mapping) and len(line) > WIDTH:
            below += [f"\n[{kind}.{_key(key)}]", *(f"{_key(its)} = {_inline(value[its])}" for its in value)]
        elif isinstance(value, list) and len(line) > WIDTH:
            lines += [f"{_key(key)} = [", *(f"    {_inline(its)}," for its in value), "]"]
        else:
            lines.append(line)
    return "\n".join([*lines, *below]) + "\n"


def _inline(value: Any) -> str:
    """A value in one line."""
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(key)} = {_inline(its)}" for key, its in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_inline, value))}]"
    import tomli_w

    return tomli_w.dumps({"v": value}).removeprefix("v = ").rstrip("\n")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _inline(name)


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


def _candidates(endpoint: Endpoint, field: str) -> Iterator[str]:
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


def _endpoint(
    endpoint: Endpoint, variables: Mapping[tuple[str, str, str], str], hosts: Mapping[str, str]
) -> dict[str, Any]:
    config = {key: value for key, value in endpoint.config.items() if value is not None}
    for field in endpoint.secret_names:
        config[field] = {"env": variables[endpoint.kind, endpoint.name, field]}
    where = {} if endpoint.host == LOCAL else {"host": hosts.get(endpoint.host, endpoint.host)}
    return {"name": endpoint.name, "adapter": endpoint.adapter, **where, "config": config}


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
