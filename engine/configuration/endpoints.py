"""Hosts, sources, destinations and notifiers as a person configures them: saved, opened, tested.

The secrets of a configuration are split away here and joined here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from engine.cancellation import CancelToken
from engine.configuration.blotting import Blotter
from engine.configuration.choosing import chosen
from engine.configuration.hosts import LOCAL, not_trusted, way_to
from engine.configuration.opening import Alive, StorageOpener
from engine.contract.adapters import (
    Adapter,
    Context,
    HostAdapter,
    Log,
    Notifier,
    Source,
    Storage,
    no_log,
    no_sign,
)
from engine.contract.checked_storage import CheckedStorage
from engine.contract.config import AdapterConfig, build, secret_fields, split_secrets
from engine.contract.hosts import Host
from engine.contract.registry import KindName, Registry
from engine.contract.values import SourceReport, StorageReport
from engine.errors import ConfigError, NeedsTrust, SecretMissing, UsageError
from engine.home import Home
from engine.hosts.local import LocalHost
from engine.records import Endpoint
from engine.scratch import scratch_folder
from engine.secrets.base import SecretStore

if TYPE_CHECKING:
    from engine.store.database import Store

AdapterT = TypeVar("AdapterT", bound=Adapter)
Report = SourceReport | StorageReport | str
"""What a test found: a notifier answers in words."""


class Endpoints:
    """The configured hosts, sources, destinations and notifiers of one installation."""

    def __init__(
        self,
        home: Home,
        store: Store,
        secrets: SecretStore,
        registry: Callable[[], Registry],
    ) -> None:
        self._home = home
        self._store = store
        self._secrets = secrets
        self._registry = registry

    # -- saved ---------------------------------------------------------------------------------------

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
        config = build(self._class(kind, adapter).Config, self._complete(kind, adapter, values, id))
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
            return build(self._class(endpoint.kind, endpoint.adapter).Config, endpoint.config, secrets)
        except ConfigError as error:
            error.file = f"{endpoint.kind} {endpoint.name}"
            raise

    def secrets(self, endpoint: Endpoint) -> list[str]:
        """The values of its secrets and of its hosts', for the log to blot out."""
        its = [endpoint, *self._way(endpoint.host)]
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

    # -- opened --------------------------------------------------------------------------------------

    @contextmanager
    def open_source(
        self,
        endpoint: Endpoint,
        *,
        cancel: CancelToken | None = None,
        log: Log = no_log,
        owner: str = "adhoc",
        choices: Mapping[str, Any] | None = None,
    ) -> Iterator[Source]:
        """The source's adapter, ready to work; closed at the end of the block.

        `choices` go before its own fields of these names; only those of a restore (`restore_...`) can be
        chosen so. Raises `ConfigError`.
        """
        adapter = self._registry().source(endpoint.adapter)
        config = self.config(endpoint, cancel)
        if choices:
            config = chosen(config, choices)
        told = Blotter.of(config).log(log)
        with (
            self.open_host(endpoint.host, cancel or CancelToken()) as host,
            _opened(adapter, config, self._context(host, cancel, told, owner)) as source,
        ):
            yield source

    @contextmanager
    def open_host(self, host: str, cancel: CancelToken) -> Iterator[Host]:
        """The host of that ID, connected; closed at the end of the block."""
        with ExitStack() as stack:
            found: Host = LocalHost(cancel)
            for endpoint in self._way(host):
                adapter, config = self._registry().host(endpoint.adapter), self.config(endpoint, cancel)
                opener = stack.enter_context(_opened(adapter, config, self._context(found, cancel)))
                try:
                    found = opener.open()
                except NeedsTrust as question:
                    raise not_trusted(endpoint, question) from question
                stack.callback(found.close)
            yield found

    def _way(self, host: str) -> list[Endpoint]:
        return way_to(host, partial(self._store.endpoints.get, "host"))

    @contextmanager
    def open_storage(
        self,
        endpoint: Endpoint,
        *,
        cancel: CancelToken | None = None,
        log: Log = no_log,
        alive: Alive = no_sign,
        owner: str = "adhoc",
    ) -> Iterator[CheckedStorage]:
        """The destination's adapter behind the check of names; closed at the end of the block.

        `alive` is called with each sign of life: when the adapter gives one, and when it answers.
        """
        opener = self.storage_opener(endpoint, cancel=cancel, owner=owner)
        with opener.open(cancel=cancel, log=log, alive=alive) as storage:
            yield storage

    def storage_opener(
        self, endpoint: Endpoint, *, cancel: CancelToken | None = None, owner: str = "adhoc"
    ) -> StorageOpener:
        """What opens that destination again and again, without asking for its secrets again.

        Raises what keeps it from being opened: `PluginError`, `SecretsError`, `ConfigError`.
        """
        adapter = self._registry().storage(endpoint.adapter)
        context = partial(self._context, None, owner=owner)
        return StorageOpener(adapter, self.config(endpoint, cancel), context)

    @contextmanager
    def open_notifier(self, endpoint: Endpoint, *, cancel: CancelToken | None = None) -> Iterator[Notifier]:
        """The notifier's adapter; closed at the end of the block."""
        adapter = self._registry().notifier(endpoint.adapter)
        config = self.config(endpoint, cancel)
        with _opened(adapter, config, self._context(None, cancel)) as notifier:
            yield notifier

    # -- tested --------------------------------------------------------------------------------------

    def check(self, endpoint: Endpoint, *, cancel: CancelToken | None = None) -> Report:
        """Test a saved endpoint for real."""
        config = self.config(endpoint, cancel)
        return self._check(endpoint.kind, endpoint.adapter, config, endpoint.host, cancel)

    def check_values(
        self,
        kind: KindName,
        adapter: str,
        values: Mapping[str, Any],
        *,
        id: str | None = None,
        host: str = LOCAL,
        cancel: CancelToken | None = None,
    ) -> Report:
        """Test what stands in a form, before it is saved; `id` names the endpoint whose secrets it keeps."""
        config = build(self._class(kind, adapter).Config, self._complete(kind, adapter, values, id, cancel))
        return self._check(kind, adapter, config, host, cancel)

    def _check(
        self, kind: KindName, adapter: str, config: AdapterConfig, host: str, cancel: CancelToken | None
    ) -> Report:
        with (
            self.open_host(host, cancel or CancelToken()) as before,
            _opened(self._class(kind, adapter), config, self._context(before, cancel)) as opened,
        ):
            if not isinstance(opened, (Source, Storage, Notifier, HostAdapter)):
                raise UsageError(f"{kind} {adapter!r} cannot be tested.")
            report = opened.check()
            if isinstance(report, SourceReport):
                report.raise_failing()
            return report

    # -- within --------------------------------------------------------------------------------------

    def _class(self, kind: KindName, adapter: str) -> type[Adapter]:
        return self._registry().adapter(kind, adapter)

    def _complete(
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
        for field in secret_fields(self._class(kind, adapter).Config):
            if field not in values and field in stored.secret_names:
                complete[field] = self._secret(stored, field, cancel)
        return complete

    def _check_host(self, kind: KindName, name: str, id: str | None, host: str) -> None:
        if kind == "host" and name == LOCAL:
            raise ConfigError(f"{LOCAL!r} is this machine.", field="name", remedy="Choose another name.")
        if host != LOCAL and kind not in ("host", "source"):
            raise ConfigError(f"A {kind} is reached from this machine.", field="host")
        if any(its.id == id for its in self._way(host)) and kind == "host":
            raise ConfigError(
                f"The host {name!r} would be reached by way of itself.",
                field="host",
                remedy="Choose another host, or this machine.",
            )

    def _context(
        self,
        host: Host | None,
        cancel: CancelToken | None,
        log: Log = no_log,
        owner: str = "adhoc",
        alive: Alive = no_sign,
    ) -> Context:
        token = cancel or CancelToken()

        def scratch() -> AbstractContextManager[Path]:
            return scratch_folder(self._home.scratch, owner)

        return Context(host=host or LocalHost(token), cancel=token, scratch=scratch, log=log, alive=alive)


@contextmanager
def _opened(adapter: type[AdapterT], config: AdapterConfig, context: Context) -> Iterator[AdapterT]:
    """An adapter whose errors hold no secret of its configuration; closed at the end of the block."""
    with Blotter.of(config).errors():
        opened = adapter(config, context)
        try:
            yield opened
        finally:
            opened.close()


def _secret_key(endpoint: Endpoint, field: str) -> str:
    return f"{endpoint.kind}/{endpoint.id}/{field}"


def check_label(kind: str, name: str) -> None:
    """Raise `ConfigError` for a name that no list could show."""
    if not name.strip() or name != name.strip() or any(ord(char) < 32 for char in name) or len(name) > 200:
        raise ConfigError(
            f"A {kind} needs a name of 1 to 200 characters, without spaces at its ends.", field="name"
        )
