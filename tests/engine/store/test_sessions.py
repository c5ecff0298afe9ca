"""Transactions: nothing is lost between threads and processes, nothing half-written stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from engine.errors import StoreError
from engine.records import Endpoint
from engine.store.database import Store
from engine.store.models import SettingRow
from tests.parts.queues import OtherProcess


def test_two_processes_of_four_threads_lose_no_update(tmp_path: Path) -> None:
    with Store(tmp_path / "strongroom.db") as store:
        store.settings.set("count", 0)
        with OtherProcess(tmp_path) as first, OtherProcess(tmp_path) as second:
            first.tell("count", "count", 4, 50)
            second.tell("count", "count", 4, 50)
            first.hear()
            second.hear()
        assert store.settings.get("count") == 400


def test_reading_cannot_write(store: Store) -> None:
    with pytest.raises(StoreError, match="readonly"), store.read() as session:
        session.execute(text("DELETE FROM settings"))


def test_reading_sees_one_moment(store: Store, path: Path) -> None:
    store.settings.set("a", 1)
    with store.read() as session, Store(path) as other:
        before = session.get_one(SettingRow, "a").value
        other.settings.set("a", 2)
        session.expire_all()
        assert session.get_one(SettingRow, "a").value == before == 1
    assert store.settings.get("a") == 2


def test_a_write_inside_a_write_is_a_mistake_that_is_said(store: Store) -> None:
    with pytest.raises(RuntimeError, match="inside another"), store.write():
        store.settings.set("a", 1)
    store.settings.set("a", 1)


def test_a_block_that_raises_writes_nothing(store: Store) -> None:
    with pytest.raises(KeyError), store.write() as session:
        session.add(SettingRow(key="half", value=1))
        session.flush()
        raise KeyError
    assert store.settings.get("half") is None


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)])
def test_a_durable_write_waits_for_the_disk_and_a_log_line_does_not(
    store: Store, durable: bool, level: int
) -> None:
    with store.write(durable=durable) as session:
        assert session.execute(text("PRAGMA synchronous")).scalar() == level


def test_references_are_kept_whole(store: Store) -> None:
    with pytest.raises(StoreError, match="FOREIGN KEY"), store.write() as session:
        session.execute(text("INSERT INTO job_destinations VALUES ('no job', 'no destination', 0, '{}')"))


def test_the_data_version_tells_that_somebody_wrote(store: Store, path: Path) -> None:
    before = store.data_version()
    assert store.data_version() == before
    store.endpoints.save(Endpoint("source", "", "shop", "sqlite", {}))
    after_own = store.data_version()
    assert after_own != before
    with Store(path) as other:
        other.settings.set("a", 1)
    assert store.data_version() != after_own
