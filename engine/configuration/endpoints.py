"""Hosts, sources, destinations and notifiers as a person configures them: opened, and tested for real."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from engine.cancellation import CancelToken
from engine.configuration.blotting import Blotter
from engine.configuration.choosing import chosen
from engine.configuration.hosts import LOCAL, not_trusted
from engine.configuration.opening import Alive, StorageOpener
from engine.configuration.saved import SavedEndpoints
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
from engine.contract.config import AdapterConfig, build
from engine.contract.hosts import Host
from engine.contract.registry import KindName, Registry
from engine.contract.values import SourceReport, StorageReport
from engine.errors import NeedsTrust, UsageError
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


class Endpoints(SavedEndpoints):
    """Those that are saved, and how they are opened and tested."""

    def __init__(
        self, home: Home, store: Store, secrets: SecretStore, registry: Callable[[], Registry]
    ) -> None:
        super().__init__(store, secrets, registry)
        self._home = home

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
            for endpoint in self.way(host):
                adapter, config = self._registry().host(endpoint.adapter), self.config(endpoint, cancel)
                opener = stack.enter_context(_opened(adapter, config, self._context(found, cancel)))
                try:
                    found = opener.open()
                except NeedsTrust as question:
                    raise not_trusted(endpoint, question) from question
                stack.callback(found.close)
            yield found

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
        config = build(self.class_of(kind, adapter).Config, self.complete(kind, adapter, values, id, cancel))
        return self._check(kind, adapter, config, host, cancel)

    def _check(
        self, kind: KindName, adapter: str, config: AdapterConfig, host: str, cancel: CancelToken | None
    ) -> Report:
        with (
            self.open_host(host, cancel or CancelToken()) as before,
            _opened(self.class_of(kind, adapter), config, self._context(before, cancel)) as opened,
        ):
            if not isinstance(opened, (Source, Storage, Notifier, HostAdapter)):
                raise UsageError(f"{kind} {adapter!r} cannot be tested.")
            report = opened.check()
            if isinstance(report, SourceReport):
                report.raise_failing()
            return report

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
