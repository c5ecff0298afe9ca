"""The one place that finds plugins: the built-in ones and anybody's, through the same entry points."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Literal, get_args

import pluggy

from engine.contract import hookspecs
from engine.contract.adapters import Adapter, HostAdapter, Notifier, Source, Storage
from engine.contract.config import AdapterConfig
from engine.errors import PluginError

KindName = Literal["host", "source", "destination", "notifier"]
KIND_NAMES: tuple[KindName, ...] = get_args(KindName)
"""In the order in which one needs the other: a source names its host."""

_HOOKS: dict[KindName, tuple[str, type[Adapter]]] = {
    "host": ("strongroom_hosts", HostAdapter),
    "source": ("strongroom_sources", Source),
    "destination": ("strongroom_storages", Storage),
    "notifier": ("strongroom_notifiers", Notifier),
}
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an adapter comes from, for `strongroom plugins` and for errors."""

    plugin: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} (plugin {self.plugin})"


@dataclass(frozen=True, slots=True)
class Registered:
    """One adapter that is ready to use."""

    kind: KindName
    adapter: type[Adapter]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that did not load, and why. The application starts without it."""

    origin: Origin
    cause: str


class Registry:
    """The adapters by kind and name. Made once a process, by `Registry.load`."""

    def __init__(self) -> None:
        self._found: dict[tuple[KindName, str], Registered] = {}
        self.broken: list[Broken] = []

    @classmethod
    def load(cls, points: Iterable[EntryPoint] | None = None) -> Registry:
        """Load every plugin of the entry-point group; one that fails costs the others nothing."""
        registry = cls()
        for point in points if points is not None else entry_points(group=hookspecs.ENTRY_POINTS):
            dist = point.dist
            origin = Origin(point.name, dist.name if dist else "unknown", dist.version if dist else "")
            try:
                registry.add(point.load(), origin)
            except Exception as error:  # a stranger's import may raise anything at all
                registry.broken.append(Broken(origin, f"{type(error).__name__}: {error}"))
        return registry

    def add(self, plugin: object, origin: Origin) -> None:
        """Register all adapters of one plugin (a module or an object with hooks), or none of them.

        Raises `PluginError` for a class that is not an adapter, and for a name that is taken.
        """
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        manager.register(plugin, name=origin.plugin)
        manager.check_pending()
        found: dict[tuple[KindName, str], Registered] = {}
        for kind, (hook, base) in _HOOKS.items():
            for classes in getattr(manager.hook, hook)():
                for adapter in classes:
                    _check_adapter(adapter, base, hook)
                    key = (kind, adapter.name)
                    taken = self._found.get(key) or found.get(key)
                    if taken is not None:
                        raise PluginError(
                            f"The {kind} adapter {adapter.name!r} is there twice: "
                            f"in {taken.origin} and in {origin}.",
                            remedy="Uninstall one of the two.",
                        )
                    found[key] = Registered(kind, adapter, origin)
        self._found.update(found)

    def all(self, kind: KindName | None = None) -> list[Registered]:
        """The adapters, sorted by kind and name."""
        return [found for (its, _), found in sorted(self._found.items()) if kind in (None, its)]

    def source(self, name: str) -> type[Source]:
        """The source adapter of that name; raises `PluginError` with the names that there are."""
        return self._get("source", name)  # type: ignore[return-value]

    def storage(self, name: str) -> type[Storage]:
        """The storage adapter of that name; raises `PluginError`."""
        return self._get("destination", name)  # type: ignore[return-value]

    def notifier(self, name: str) -> type[Notifier]:
        """The notifier adapter of that name; raises `PluginError`."""
        return self._get("notifier", name)  # type: ignore[return-value]

    def host(self, name: str) -> type[HostAdapter]:
        """The host adapter of that name; raises `PluginError`."""
        return self._get("host", name)  # type: ignore[return-value]

    def adapter(self, kind: KindName, name: str) -> type[Adapter]:
        """The adapter of that kind and name; raises `PluginError`."""
        return self._get(kind, name)

    def _get(self, kind: KindName, name: str) -> type[Adapter]:
        found = self._found.get((kind, name))
        if found is not None:
            return found.adapter
        causes = [f"{broken.origin.plugin}: {broken.cause}" for broken in self.broken]
        names = ", ".join(its for k, its in sorted(self._found) if k == kind) or "none"
        raise PluginError(
            f"There is no {kind} adapter {name!r}."
            + (f" These plugins did not load: {'; '.join(causes)}." if causes else ""),
            remedy=f"The {kind} adapters here are: {names}. `strongroom plugins` shows more.",
        )


def _check_adapter(adapter: object, base: type[Adapter], hook: str) -> None:
    if not (isinstance(adapter, type) and issubclass(adapter, base)):
        raise PluginError(f"{hook} returned {adapter!r}, which is not a subclass of {base.__name__}.")
    missing = sorted(getattr(adapter, "__abstractmethods__", ()))
    if missing:
        raise PluginError(f"The adapter {adapter.__name__} lacks {', '.join(missing)}.")
    if not _NAME.fullmatch(getattr(adapter, "name", "")):
        raise PluginError(
            f"The adapter {adapter.__name__} has no proper `name`: lower-case letters, digits and hyphens."
        )
    config = getattr(adapter, "Config", None)
    if not (isinstance(config, type) and issubclass(config, AdapterConfig)):
        raise PluginError(f"The adapter {adapter.__name__} has no nested `Config(strongroom.AdapterConfig)`.")
