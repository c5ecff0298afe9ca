"""Hosts, sources, destinations and notifiers as they are saved: rows without secrets, their secrets apart.

The two are split and joined here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from engine.cancellation import CancelToken
from engine.configuration.hosts import LOCAL, way_to
from engine.contract.adapters import Adapter
from engine.contract.config import AdapterConfig, build, secret_fields, split_secrets
from engine.contract.registry import KindName, Registry
from engine.errors import ConfigError, SecretMissing
from engine.records import Endpoint
from engine.secrets.base import SecretStore

if TYPE_CHECKING:
    from engine.store.database import Store


class SavedEndpoints:
    """The configured hosts, sources, destinations and notifiers of one installation."""

    def __init__(self, store: Store, secrets: SecretStore, registry: Callable[[], Registry]) -> None:
        self._store = store
        self._secrets = secrets
        self._registry = registry

    def all(self, kind: KindName) -> list[Endpoint]:
        """All of a kind, by name."""
        return self._store.endpoints.list(kind)

    def get(self, kind: KindName, name_or_id: str) -> Endpoint:
        """One of them; raises `NotFound`."""
        return self._store.endpoints.get(kind, name_or_id)

    def save(
        self,
        kind: KindName,
        name: str,
        adapter: str,
        values: Mapping[str, Any],
        *,
        id: str | None = None,
        host: str = LOCAL,
    ) -> Endpoint:
        """Create an endpoint, or change the one with that `id`. Raises `ConfigError`.

        A secret field that `values` leaves out keeps what is stored; one given as None is removed.
        """
        check_label(kind, name)
        self._check_host(kind, name, id, host)
        config = build(self.class_of(kind, adapter).Config, self.complete(kind, adapter, values, id))
        public, secrets = split_secrets(config)
        before = self._store.endpoints.get(kind, id) if id else None
        saved = self._store.endpoints.save(
            Endpoint(
                kind=kind,
                id=id or "",
                name=name,
                adapter=adapter,
                config=public,
                secret_names=tuple(sorted(secrets)),
                host=host,
            )
        )
        try:
            for field, value in secrets.items():
                self._secrets.set(_secret_key(saved, field), value)
        except Exception:
            # Without its secrets the new row would look configured and never work.
            if before is None:
                self._store.endpoints.delete(kind, saved.id)
            else:
                self._store.endpoints.save(before)
            raise
        for field in set(before.secret_names if before else ()) - set(secrets):
            self._secrets.delete(_secret_key(saved, field))
        return saved

    def delete(self, kind: KindName, name_or_id: str) -> Endpoint:
        """Remove an endpoint and its secrets; refused while a job uses it. Backups stay where they are."""
        endpoint = self.get(kind, name_or_id)
        self._store.endpoints.delete(kind, endpoint.id)
        for field in endpoint.secret_names:
            self._secrets.delete(_secret_key(endpoint, field))
        return endpoint

    def config(self, endpoint: Endpoint, cancel: CancelToken | None = None) -> AdapterConfig:
        """The configuration with its secrets joined. Raises `SecretsError` and `ConfigError`."""
        secrets = {}
        for field in endpoint.secret_names:
            try:
                secrets[field] = self._secret(endpoint, field, cancel)
            except SecretMissing as error:
                raise SecretMissing(
                    f"The {field.replace('_', ' ')} of the {endpoint.kind} {endpoint.name!r} is not in "
                    f"{self._secrets.title} (any more).",
                    remedy=f"Enter it again: edit the {endpoint.kind}, or apply its configuration file. "
                    f"{self._secrets.elsewhere()}".strip(),
                ) from error
        try:
            return build(self.class_of(endpoint.kind, endpoint.adapter).Config, endpoint.config, secrets)
        except ConfigError as error:
            error.file = f"{endpoint.kind} {endpoint.name}"
            raise

    def secrets(self, endpoint: Endpoint) -> list[str]:
        """The values of its secrets and of its hosts', for the log to blot out."""
        its = [endpoint, *self.way(endpoint.host)]
        return [self._secret(each, field) for each in its for field in each.secret_names]

    def missing_secrets(self, endpoint: Endpoint) -> list[str]:
        """The names of its fields whose secrets were kept and are gone. Raises `SecretsError`."""
        return [
            field
            for field in endpoint.secret_names
            if self._secrets.find(_secret_key(endpoint, field)) is None
        ]

    def _secret(self, endpoint: Endpoint, field: str, cancel: CancelToken | None = None) -> str:
        """One of its secrets; a cancel ends the wait for a keyring that asks its person."""
        secrets = self._secrets if cancel is None else self._secrets.until(cancel)
        return secrets.get(_secret_key(endpoint, field))

    def way(self, host: str) -> list[Endpoint]:
        """The hosts by which one is reached, itself last; none for this machine."""
        return way_to(host, partial(self._store.endpoints.get, "host"))

    def class_of(self, kind: KindName, adapter: str) -> type[Adapter]:
        """An adapter's class. Raises `PluginError`."""
        return self._registry().adapter(kind, adapter)

    def complete(
        self,
        kind: KindName,
        adapter: str,
        values: Mapping[str, Any],
        id: str | None,
        cancel: CancelToken | None = None,
    ) -> dict[str, Any]:
        """Fill in the secrets that a form or a file left out with those that are stored."""
        complete = {key: value for key, value in values.items() if value is not None}
        if id is None:
            return complete
        stored = self._store.endpoints.get(kind, id)
        if stored.adapter != adapter:
            return complete
        for field in secret_fields(self.class_of(kind, adapter).Config):
            if field not in values and field in stored.secret_names:
                complete[field] = self._secret(stored, field, cancel)
        return complete

    def _check_host(self, kind: KindName, name: str, id: str | None, host: str) -> None:
        if kind == "host" and name == LOCAL:
            raise ConfigError(f"{LOCAL!r} is this machine.", field="name", remedy="Choose another name.")
        if host != LOCAL and kind not in ("host", "source"):
            raise ConfigError(f"A {kind} is reached from this machine.", field="host")
        if any(its.id == id for its in self.way(host)) and kind == "host":
            raise ConfigError(
                f"The host {name!r} would be reached by way of itself.",
                field="host",
                remedy="Choose another host, or this machine.",
            )


def _secret_key(endpoint: Endpoint, field: str) -> str:
    return f"{endpoint.kind}/{endpoint.id}/{field}"


def check_label(kind: str, name: str) -> None:
    """Raise `ConfigError` for a name that no list could show."""
    if not name.strip() or name != name.strip() or any(ord(char) < 32 for char in name) or len(name) > 200:
        raise ConfigError(
            f"A {kind} needs a name of 1 to 200 characters, without spaces at its ends.", field="name"
        )
