"""Restoring a set: which backups, from where, under which names; one that fails leaves the others."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from engine.archive.backups import Backup
from engine.errors import NotFound, UsageError
from engine.events import Status
from engine.recovery.requests import RestoreRequest, labels_of, requests_in
from engine.recovery.sets import of_set
from tests.conftest import Bench

WANTED = RestoreRequest("", "source-1", overwrite=True)


@pytest.fixture
def one(bench: Bench) -> Backup:
    bench.run(bench.job())
    return bench.workspace.catalogue.list()[0]


def copies(one: Backup, databases: tuple[str, ...], places: tuple[str, ...]) -> list[Backup]:
    """A set's backups, each database at each place."""
    found = []
    for place in places:
        for name in databases:
            sidecar = replace(one.sidecar, database=name, databases=databases)
            found.append(replace(one, id=f"{name}@{place}", destination_id=place, sidecar=sidecar))
    return found


def ids(requests: list[RestoreRequest]) -> list[tuple[str, str | None]]:
    return [(its.backup_id, its.as_name) for its in requests]


def test_the_whole_set_is_taken_from_the_place_that_was_meant(one: Backup) -> None:
    known = copies(one, ("app", "shop"), ("near", "far"))
    assert ids(of_set(known[2], known, WANTED)) == [("app@far", None), ("shop@far", None)]
    assert all(its.overwrite and its.to_source == "source-1" for its in of_set(known[2], known, WANTED))


def test_what_belongs_to_the_server_comes_first(one: Backup) -> None:
    known = copies(one, ("app", "shop", "(globals)"), ("near",))
    assert [its for its, _ in ids(of_set(known[0], known, WANTED))] == [
        "(globals)@near",
        "app@near",
        "shop@near",
    ]


def test_some_of_it_under_other_names(one: Backup) -> None:
    known = copies(one, ("app", "shop", "blog"), ("near",))
    found = of_set(known[0], known, WANTED, only=["app", "blog"], names={"blog": "blog_copy"})
    assert ids(found) == [("app@near", None), ("blog@near", "blog_copy")]


def test_a_copy_elsewhere_stands_in_for_one_that_is_gone(one: Backup) -> None:
    known = copies(one, ("app", "shop"), ("near", "far"))
    known = [its for its in known if its.id != "shop@near"]
    assert ids(of_set(known[0], known, WANTED)) == [("app@near", None), ("shop@far", None)]


def test_a_backup_that_is_nowhere_is_said_before_anything_begins(one: Backup) -> None:
    known = copies(one, ("app", "shop"), ("near",))[:1]
    with pytest.raises(NotFound, match="the backup of shop is at no destination") as caught:
        of_set(known[0], known, WANTED)
    assert "--database" in caught.value.remedy
    assert ids(of_set(known[0], known, WANTED, only=["app"])) == [("app@near", None)]


def test_another_runs_backup_is_not_of_the_set(one: Backup) -> None:
    known = copies(one, ("app",), ("near",))
    newer = replace(known[0], id="newer", sidecar=replace(known[0].sidecar, set_id="other"))
    assert ids(of_set(known[0], [newer, *known], WANTED)) == [("app@near", None)]


@pytest.mark.parametrize(
    ("only", "names", "message"),
    [(["gone"], {}, "'gone' is not in this set"), ([], {"gone": "x"}, "'gone' is not in this set")],
)
def test_names_that_are_not_in_the_set_are_refused(
    one: Backup, only: list[str], names: dict[str, str], message: str
) -> None:
    known = copies(one, ("app", "shop"), ("near",))
    with pytest.raises(UsageError, match=message) as caught:
        of_set(known[0], known, WANTED, only=only, names=names)
    assert "app, shop" in caught.value.remedy


def test_two_databases_under_one_name_are_refused(one: Backup) -> None:
    known = copies(one, ("app", "shop"), ("near",))
    with pytest.raises(UsageError, match="restored as shop"):
        of_set(known[0], known, WANTED, names={"app": "shop"})


def test_another_name_for_what_is_not_chosen_is_refused(one: Backup) -> None:
    known = copies(one, ("app", "shop"), ("near",))
    with pytest.raises(UsageError, match="shop is to have another name"):
        of_set(known[0], known, WANTED, only=["app"], names={"shop": "store"})


def test_requests_go_through_labels(one: Backup) -> None:
    several = [RestoreRequest("a", "s", as_name="x", choices={"restore_jobs": "4"}), RestoreRequest("b", "s")]
    assert requests_in({**labels_of(several), "title": "t"}) == several
    assert requests_in(labels_of(several[:1])) == several[:1]


def test_one_that_fails_leaves_the_others_their_turn(bench: Bench, one: Backup, tmp_path: Path) -> None:
    source = bench.workspace.store.endpoints.list("source")[0]
    taken = tmp_path / "taken.sqlite"
    with closing(sqlite3.connect(taken)) as database, database:
        database.execute("CREATE TABLE precious (x)")
        database.execute("INSERT INTO precious VALUES (1)")
    requests = [RestoreRequest(one.id, source.id, as_name=name) for name in ("first", "taken", "third")]
    execution = bench.workspace.wait(bench.workspace.restore(*requests), 60)
    assert execution.status is Status.PARTIAL
    assert "taken" in str(execution.error)
    assert "these are restored: first" in str(execution.error)
    assert [(its["database"], its["status"]) for its in execution.labels["restored"]] == [
        ("first", "Success"),
        ("third", "Success"),
        ("taken", "Failed"),
    ]
    assert (tmp_path / "first.sqlite").exists()
    assert (tmp_path / "third.sqlite").exists()


def test_a_name_that_cannot_be_is_refused_before_anything_is_restored(
    bench: Bench, one: Backup, tmp_path: Path
) -> None:
    source = bench.workspace.store.endpoints.list("source")[0]
    requests = [RestoreRequest(one.id, source.id, as_name=name) for name in ("first", "a\0b")]
    execution = bench.workspace.wait(bench.workspace.restore(*requests), 60)
    assert execution.status is Status.FAILED
    assert execution.error_kind in ("ConfigError", "UsageError")
    assert "Nothing of the set was restored." in str(execution.error)
    assert not (tmp_path / "first.sqlite").exists()
