"""The hooks of the plugin API. Hooks are for registration alone; the work is in the classes they return."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from engine.contract.adapters import HostAdapter, Notifier, Source, Storage

PROJECT = "strongroom"
ENTRY_POINTS = "strongroom"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def strongroom_sources() -> Iterable[type[Source]]:  # type: ignore[empty-body]
    """Return the source adapters of this plugin."""


@hookspec
def strongroom_storages() -> Iterable[type[Storage]]:  # type: ignore[empty-body]
    """Return the storage adapters of this plugin."""


@hookspec
def strongroom_notifiers() -> Iterable[type[Notifier]]:  # type: ignore[empty-body]
    """Return the notifier adapters of this plugin."""


@hookspec
def strongroom_hosts() -> Iterable[type[HostAdapter]]:  # type: ignore[empty-body]
    """Return the host adapters of this plugin."""
