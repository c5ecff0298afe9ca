"""The small repositories: settings, keys, signers, policies, backups, leftovers, logs, notifications."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from engine.errors import ConfigError, NotFound
from engine.events import LogEntry, LogLevel, LogType, Stage
from engine.records import CachedBackup, Endpoint, NotificationAttempt
from engine.store.database import Store

AT = datetime(2026, 11, 24, 3, tzinfo=UTC)


def test_settings_keep_what_json_can_hold(store: Store) -> None:
    for value in (3, "text", None, False, [1, 2], {"line": "@daily"}):
        store.settings.set("key", value)
        assert store.settings.get("key", "default") == value
    assert store.settings.get("another", "default") == "default"
    assert store.settings.set_default("key", 1) == {"line": "@daily"}
    assert store.settings.set_default("new", 1) == 1
    store.settings.delete("key")
    store.settings.delete("key")
    assert set(store.settings.all()) == {"new", "installationId"}


def test_keys_are_found_by_name_and_id_and_marked_as_exported(store: Store) -> None:
    key = store.keys.add("default", "age1abc", has_identity=True)
    assert store.keys.get("default") == store.keys.get(key.id) == key
    assert store.keys.list() == [key]
    exported = store.keys.mark_exported("default")
    assert exported.exported_at is not None
    renamed = store.keys.save(replace(exported, name="main", has_identity=False))
    assert renamed.id == key.id
    with pytest.raises(ConfigError, match="already"):
        store.keys.add("main", "age1def", has_identity=False)
    with pytest.raises(NotFound, match="no key 'default'"):
        store.keys.mark_exported("default")
    assert store.keys.delete("main") == renamed
    assert store.keys.find("main") is None


def test_signers_are_trusted_once_and_may_be_named_anew(store: Store) -> None:
    first = store.signers.add("ab" * 32, "laptop")
    again = store.signers.add("ab" * 32, "old laptop")
    assert again == replace(first, name="old laptop")
    assert store.signers.list() == [again]
    store.signers.delete("ab" * 32)
    store.signers.delete("ab" * 32)
    assert store.signers.list() == []


def test_policies_are_kept_by_name(store: Store) -> None:
    first = store.policies.save("usual", {"mode": "simple", "keep": 3})
    second = store.policies.save("usual", {"mode": "simple", "keep": 5})
    assert second.id == first.id
    assert store.policies.get("usual") == second
    assert store.policies.list() == [second]
    store.policies.delete("usual")
    with pytest.raises(NotFound):
        store.policies.get("usual")
    with pytest.raises(NotFound):
        store.policies.delete("usual")


def test_leftovers_are_recorded_and_forgotten_by_their_record(store: Store) -> None:
    first = store.leftovers.add(execution_id="run", destination_id="d1", temporary_name=".a.part")
    second = store.leftovers.add(
        execution_id="run", destination_id="d2", temporary_name="b", upload_id="u1", final_name="b"
    )
    assert [its.id for its in store.leftovers.list()] == [first, second]
    (found,) = store.leftovers.list("d2")
    assert (found.temporary_name, found.upload_id, found.final_name) == ("b", "u1", "b")
    assert [its.id for its in store.leftovers.list(execution_id="another")] == []
    store.leftovers.remove(second)
    store.leftovers.remove(second)
    assert store.leftovers.add(execution_id="x", destination_id="d", temporary_name="c") > second


def test_log_lines_come_back_in_order_and_can_be_followed(store: Store) -> None:
    store.executions.add("run")
    entries = [
        LogEntry(AT, LogLevel.INFO, LogType.COMMAND, Stage.DUMP, f"line {number}", "details")
        for number in range(3)
    ]
    for entry in entries:
        store.logs.add("run", entry)
    lines = store.logs.list("run")
    assert [line.entry for line in lines] == entries
    assert [line.entry for line in store.logs.list("run", lines[0].id)] == entries[1:]
    assert [line.entry for line in store.logs.list("run", limit=1)] == entries[:1]
    assert store.logs.list("another") == []


def test_attempts_to_tell_people_are_listed_newest_first(store: Store) -> None:
    first = NotificationAttempt(AT, "n1", "ops", "success", {"title": "Backed up"}, "run")
    second = NotificationAttempt(AT, "n1", "ops", "error", {"title": "Failed"}, None, "refused")
    store.notifications.add(first)
    store.notifications.add(second)
    assert store.notifications.list() == [second, first]
    assert store.notifications.list("run") == [first]


class TestBackups:
    @pytest.fixture(autouse=True)
    def destinations(self, store: Store) -> None:
        for name in ("near", "far"):
            store.endpoints.save(Endpoint("destination", name, name, "local", {}))

    def backup(self, number: int, destination: str = "near", **values: object) -> CachedBackup:
        made = CachedBackup(
            id=f"{destination}{number}",
            destination_id=destination,
            artifact=f"shop/{number}.zst",
            size=number,
            sidecar="{}",
            seen_at=AT,
            job_id="job",
            created_at=AT + timedelta(days=number),
        )
        return replace(made, **values)  # type: ignore[arg-type]

    def test_a_destination_is_replaced_as_a_whole(self, store: Store) -> None:
        store.backups.upsert([self.backup(1), self.backup(2), self.backup(1, "far")])
        store.backups.replace_destination("near", [self.backup(2, locked=True), self.backup(3)])
        assert store.backups.list("near") == [self.backup(3), self.backup(2, locked=True)]
        assert store.backups.list("far") == [self.backup(1, "far")]
        store.backups.replace_destination("near", [])
        assert store.backups.list("near") == []
        with pytest.raises(ValueError, match="another destination"):
            store.backups.replace_destination("near", [self.backup(1, "far")])

    def test_one_can_be_changed_and_forgotten(self, store: Store) -> None:
        store.backups.upsert(self.backup(1))
        store.backups.upsert(self.backup(1, size=99, problem="unreadable", created_at=None))
        assert store.backups.get("near1") == self.backup(1, size=99, problem="unreadable", created_at=None)
        store.backups.set_locked("near1", True)
        store.backups.set_proof("near1", {"level": "decode", "outcome": "passed"})
        found = store.backups.get("near1")
        assert found.locked and found.proof == {"level": "decode", "outcome": "passed"}
        store.backups.delete("near1")
        assert store.backups.find("near1") is None
        with pytest.raises(NotFound, match="no backup 'near1'"):
            store.backups.get("near1")

    def test_the_list_can_be_narrowed(self, store: Store) -> None:
        store.backups.upsert([self.backup(1, job_id="a", set_id="s"), self.backup(2, job_id="b")])
        assert [its.id for its in store.backups.list(job_id="b")] == ["near2"]
        assert [its.id for its in store.backups.list(set_id="s")] == ["near1"]

    def test_a_deleted_destination_takes_its_cache_along(self, store: Store) -> None:
        store.backups.upsert(self.backup(1))
        store.endpoints.delete("destination", "near")
        assert store.backups.list() == []
