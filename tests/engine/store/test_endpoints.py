"""Sources, destinations and notifiers: kept by ID, found by name, refused to go while a job uses them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.errors import ConfigError, NotFound, UsageError
from engine.records import Endpoint
from engine.store.database import Store
from tests.parts.stores import add_job


def test_what_was_saved_is_found_by_name_and_by_id(store: Store) -> None:
    given = Endpoint(
        "source", "", "shop", "postgresql", {"host": "db", "port": 5432}, ("password",), "office"
    )
    saved = store.endpoints.save(given)
    assert saved == replace(given, id=saved.id)
    assert store.endpoints.get("source", "shop") == store.endpoints.get("source", saved.id) == saved
    assert store.endpoints.find("destination", "shop") is None
    assert store.endpoints.list("source") == [saved]


def test_a_name_comes_before_an_id(store: Store) -> None:
    first = store.endpoints.save(Endpoint("source", "", "first", "sqlite", {}))
    second = store.endpoints.save(Endpoint("source", "", first.id, "sqlite", {}))
    assert store.endpoints.get("source", first.id) == second


def test_a_rename_keeps_the_id(store: Store) -> None:
    saved = store.endpoints.save(Endpoint("source", "", "shop", "sqlite", {"path": "/a"}))
    renamed = store.endpoints.save(replace(saved, name="store", config={"path": "/b"}))
    assert renamed.id == saved.id
    assert [its.name for its in store.endpoints.list("source")] == ["store"]


def test_two_of_a_kind_have_two_names(store: Store) -> None:
    store.endpoints.save(Endpoint("source", "", "shop", "sqlite", {}))
    store.endpoints.save(Endpoint("destination", "", "shop", "local", {}))
    with pytest.raises(ConfigError, match="'shop' already"):
        store.endpoints.save(Endpoint("source", "", "shop", "sqlite", {}))


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("shp", "Did you mean shop?"), ("entirely else", "There are: bank, shop.")],
)
def test_a_name_that_is_not_there_brings_those_that_are(store: Store, name: str, remedy: str) -> None:
    for its in ("shop", "bank"):
        store.endpoints.save(Endpoint("source", "", its, "sqlite", {}))
    with pytest.raises(NotFound, match=f"no source '{name}'") as caught:
        store.endpoints.get("source", name)
    assert caught.value.remedy == remedy


@pytest.mark.parametrize("kind", ["source", "destination", "notifier"])
def test_what_a_job_uses_is_not_deleted(store: Store, kind: str) -> None:
    job = add_job(store)
    name = {"source": "source", "destination": "near", "notifier": "ops"}[kind]
    with pytest.raises(UsageError, match="used by shop-nightly"):
        store.endpoints.delete(kind, f"shop-nightly {name}")  # type: ignore[arg-type]
    assert store.endpoints.users(kind, f"shop-nightly {name}") == (job.name,)  # type: ignore[arg-type]
    store.jobs.delete(job.id)
    gone = store.endpoints.delete(kind, f"shop-nightly {name}")  # type: ignore[arg-type]
    assert store.endpoints.find(kind, gone.id) is None  # type: ignore[arg-type]
