"""The registry: the built-ins and anybody's plugins, found the same way, and told about when broken."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

import strongroom
from engine.contract.registry import Origin, Registry
from engine.errors import PluginError
from plugins.storage.local import LocalFolder


class Shelf(LocalFolder):
    name = "shelf"
    title = "A shelf"


class Plugin:
    """A plugin as a third party writes one; `classes` is what its hook returns."""

    def __init__(self, *classes: object) -> None:
        self.classes = classes

    @strongroom.hookimpl
    def strongroom_storages(self) -> list[object]:
        return list(self.classes)


ORIGIN = Origin("shelf", "strongroom-shelf", "1.2")


def test_the_built_ins_come_through_the_same_entry_points() -> None:
    registry = Registry.load()

    names = {(found.kind, found.adapter.name): found.origin.distribution for found in registry.all()}
    assert names == dict.fromkeys(
        [
            ("host", "docker"),
            ("host", "kubectl"),
            ("host", "podman"),
            ("host", "ssh"),
            ("source", "sqlite"),
            ("source", "command"),
            ("source", "duckdb"),
            ("source", "files"),
            ("source", "firebird"),
            ("source", "mariadb"),
            ("source", "mongodb"),
            ("source", "mysql"),
            ("source", "postgresql"),
            ("source", "postgresql-physical"),
            ("source", "redis"),
            ("source", "valkey"),
            ("destination", "local"),
            ("destination", "s3"),
            ("destination", "sftp"),
            ("notifier", "apprise"),
        ],
        "strongroom",
    )
    assert registry.broken == []


def test_a_third_partys_adapter_is_found_by_its_name() -> None:
    registry = Registry.load()
    registry.add(Plugin(Shelf), ORIGIN)

    assert registry.storage("shelf") is Shelf


def test_a_plugin_that_does_not_load_is_told_and_costs_the_others_nothing() -> None:
    missing = EntryPoint("gone", "there.is.no.such.module", "strongroom")
    local = EntryPoint("local", "plugins.storage.local", "strongroom")

    registry = Registry.load([missing, local])

    [broken] = registry.broken
    assert broken.origin.plugin == "gone"
    assert "there" in broken.cause
    assert registry.storage("local") is LocalFolder


def test_two_adapters_of_one_name_are_an_error_that_names_both_distributions() -> None:
    registry = Registry.load()
    registry.add(Plugin(Shelf), ORIGIN)

    with pytest.raises(PluginError, match=r"strongroom-shelf 1\.2.*another-shelf 3"):
        registry.add(Plugin(Shelf), Origin("shelf", "another-shelf", "3"))


def test_an_adapter_that_is_missing_is_named_with_those_that_there_are() -> None:
    registry = Registry.load([EntryPoint("gone", "there.is.no.such.module", "strongroom")])
    registry.add(Plugin(Shelf), ORIGIN)

    with pytest.raises(PluginError) as caught:
        registry.storage("s3")

    assert "'s3'" in caught.value.message
    assert "gone" in caught.value.message, "the plugin that did not load may be the one that is missed"
    assert "shelf" in caught.value.remedy


class Nameless(LocalFolder):
    name = "No Proper Name"


class Unfinished(strongroom.Storage):
    name = "unfinished"
    title = "Unfinished"
    Config = strongroom.AdapterConfig


@pytest.mark.parametrize(
    ("returned", "said"),
    [(str, "not a subclass"), (Nameless, "no proper `name`"), (Unfinished, "lacks check, delete")],
)
def test_what_is_no_adapter_is_refused_when_it_is_registered(returned: object, said: str) -> None:
    with pytest.raises(PluginError, match=said):
        Registry().add(Plugin(returned), ORIGIN)


def test_a_plugin_is_registered_whole_or_not_at_all() -> None:
    registry = Registry()

    with pytest.raises(PluginError):
        registry.add(Plugin(Shelf, Nameless), ORIGIN)

    assert registry.all() == []
