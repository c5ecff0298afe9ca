"""Plan one host, source, destination or notifier: its values completed, checked, compared with the stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.configuration.hosts import LOCAL
from engine.contract.config import AdapterConfig, build, describe, secret_fields, split_secrets
from engine.contract.registry import KindName
from engine.declarative.changes import Change, Plan, did_you_mean
from engine.declarative.document import Document, EndpointSection, HostedSection
from engine.declarative.lines import Path as Place
from engine.errors import ConfigError, PluginError, SecretMissing
from engine.records import Endpoint

if TYPE_CHECKING:
    from engine.workspace import Workspace


def plan_endpoint(
    workspace: Workspace,
    document: Document,
    plan: Plan,
    kind: KindName,
    section: EndpointSection,
    place: Place,
) -> None:
    """Add the change that a section calls for. Raises `ConfigError` with its place."""
    try:
        adapter = workspace.registry.adapter(kind, section.adapter)
    except PluginError as error:
        document.fail((*place, "adapter"), error.message, error.remedy)
    config_class = adapter.Config
    known = workspace.store.endpoints.find(kind, section.name)
    if known is not None and known.name != section.name:
        known = None  # found by an ID that happens to be somebody's name
    values = _values(document, config_class, section, place)
    if known is not None and known.adapter == section.adapter:
        values = {**_confirmed(config_class, known.config, values), **values}
    stored = _stored_secrets(workspace, known) if known and known.adapter == section.adapter else {}
    try:
        config = _built(config_class, values, stored)
    except ConfigError as error:
        # A key that is misspelt is often also one that is missing; the misspelling says more.
        for key in section.config:
            if key not in config_class.model_fields:
                known_keys = did_you_mean(key, config_class.model_fields)
                document.fail((*place, "config", key), "there is no such key", known_keys)
        with document.at((*place, "config")):
            raise error
    public, secrets = split_secrets(config)

    fields: list[str] = []
    if known is not None:
        fields = ["adapter"] if known.adapter != section.adapter else []
        fields += _differing(known.config, public) + _differing(stored, secrets)
    its_id = known.id if known else None
    before = _host_name(workspace, known)
    host = section.host if isinstance(section, HostedSection) else LOCAL
    if known is not None and host != before:
        fields.append("host")
    if host != LOCAL:
        _check_host(workspace, document, host, (*place, "host"))
    # Every secret is named, None for one that is gone: `save` keeps what it is not told of.
    complete = {**public, **{field: secrets.get(field) for field in secret_fields(config_class)}}
    plan.add(
        Change.of(kind, section.name, known=known is not None, fields=fields),
        lambda: workspace.endpoints.save(
            kind,
            section.name,
            section.adapter,
            complete,
            id=its_id,
            # By now it is there: hosts come before what needs them.
            host=host if host == LOCAL else workspace.endpoints.get("host", host).id,
        ),
        with_secrets=bool(secrets),
    )


def ordered(document: Document, kind: KindName) -> Iterator[tuple[int, EndpointSection]]:
    """The sections of a kind with their places, a host after the one by whose way it is reached.

    Raises `ConfigError` for hosts that lead to each other in a circle.
    """
    sections: list[EndpointSection] = list(getattr(document.sections, kind))
    waiting = dict(enumerate(sections))
    while waiting:
        names = {its.name for its in waiting.values()}
        free = [
            index
            for index, its in waiting.items()
            if kind != "host" or not isinstance(its, HostedSection) or its.host not in names
        ]
        if not free:
            document.fail((kind, min(waiting), "host"), "these hosts lead to each other in a circle")
        for index in free:
            yield index, waiting.pop(index)


def _host_name(workspace: Workspace, endpoint: Endpoint | None) -> str:
    if endpoint is None or endpoint.host == LOCAL:
        return LOCAL
    host = workspace.store.endpoints.find("host", endpoint.host)
    return host.name if host is not None else endpoint.host


def _check_host(workspace: Workspace, document: Document, name: str, place: Place) -> None:
    names = {its.name for its in workspace.store.endpoints.list("host")}
    names |= {its.name for its in document.sections.host}
    if name not in names:
        document.fail(place, f"there is no host {name!r}", did_you_mean(name, {*names, LOCAL}))


def _values(
    document: Document, config: type[AdapterConfig], section: EndpointSection, place: Place
) -> dict[str, Any]:
    """The section's values, secrets resolved and local paths made absolute from the file's folder."""
    values = dict(section.config)
    for name in sorted(secret_fields(config) & values.keys()):
        values[name] = document.secret(values[name], (*place, "config", name)) or None
    folder = Path(document.places.file).absolute().parent
    for spec in describe(config):
        value = values.get(spec.name)
        if spec.kind in ("file", "folder") and isinstance(value, str) and value:
            values[spec.name] = _absolute(folder, value, is_folder=spec.kind == "folder")
        elif spec.kind == "text" and isinstance(value, dict) and value.keys() <= {"env", "file"}:
            document.fail((*place, "config", spec.name), "only a secret may be a reference")
    return values


def _confirmed(
    config: type[AdapterConfig], before: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, Any]:
    """What a person has confirmed since, about values that are the same now as then."""

    def is_same(name: str) -> bool:
        default = config.model_fields[name].default
        return bool(values.get(name, default) == before.get(name, default))

    return {
        spec.name: before[spec.name]
        for spec in describe(config)
        if spec.belongs_to and spec.name in before and all(map(is_same, spec.belongs_to))
    }


def _absolute(folder: Path, value: str, *, is_folder: bool) -> str:
    """A path made absolute from the configuration file's folder, so that it holds wherever a job runs.

    A single word that names no file there stays: some file fields take words, too (`system`).
    """
    path = Path(value).expanduser()
    is_word = not is_folder and len(path.parts) == 1 and not path.suffix and not (folder / path).exists()
    return value if is_word else str(folder / path)


def _stored_secrets(workspace: Workspace, known: Endpoint) -> dict[str, str]:
    """The secrets that the keyring holds for it; none when it has lost one (the file may bring it)."""
    if not known.secret_names:
        return {}
    try:
        return split_secrets(workspace.endpoints.config(known))[1]
    except (SecretMissing, ConfigError):
        return {}


def _built(
    config: type[AdapterConfig], values: Mapping[str, Any], stored: Mapping[str, str]
) -> AdapterConfig:
    """The configuration that the values make, with the stored secrets that they leave open.

    A field of the file may bring several (a connection URL brings a password), so what is stored is
    asked last.
    """
    hidden = secret_fields(config)
    public = {name: value for name, value in values.items() if name not in hidden}
    given = {name: values[name] for name in hidden if values.get(name) is not None}
    try:
        built = build(config, public, given)
    except ConfigError:
        if not stored:
            raise
        return build(config, public, {**stored, **given})
    kept = {
        name: secret
        for name, secret in stored.items()
        if name not in values and getattr(built, name, None) is None
    }
    return build(config, public, {**kept, **given}) if kept else built


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
