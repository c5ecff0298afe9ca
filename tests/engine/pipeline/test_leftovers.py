"""Leftovers are removed by their record alone, once nobody can be at work on them any more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from engine.contract.values import Leftover
from engine.pipeline import leftovers
from engine.pipeline.leftovers import Ledger
from tests.conftest import Bench
from tests.parts.faulty import Gate

TEMPORARY = "shop-nightly/.shop.sqlite.0123456789abcdef.partial"


@pytest.fixture
def destination(bench: Bench) -> str:
    """The ID of a destination that holds one backup."""
    job = bench.job()
    bench.run(job)
    return job.destinations[0].destination_id


def swept(bench: Bench) -> list[str]:
    workspace = bench.workspace
    return leftovers.sweep(workspace.store, workspace.endpoints, workspace.is_dead)


def test_an_artifact_that_has_its_sidecar_is_never_removed_by_a_record(
    bench: Bench, destination: str
) -> None:
    [artifact] = [name for name in bench.stored() if name.endswith(".age")]
    [execution] = bench.workspace.store.executions.list()
    Ledger(bench.workspace.store, execution.id, destination).record(Leftover(TEMPORARY), artifact)

    assert swept(bench) == []

    assert artifact in bench.stored()
    assert bench.workspace.store.leftovers.list() == []


def test_a_record_stays_until_its_destination_answers(bench: Bench, destination: str) -> None:
    [execution] = bench.workspace.store.executions.list()
    Ledger(bench.workspace.store, execution.id, destination).record(Leftover(TEMPORARY), "gone.age")
    vault, unplugged = bench.folder / "vault", bench.folder / "unplugged"
    vault.rename(unplugged)

    [problem] = swept(bench)
    assert "wait for removal" in problem
    assert len(bench.workspace.store.leftovers.list()) == 1

    unplugged.rename(vault)
    assert swept(bench) == []
    assert bench.workspace.store.leftovers.list() == []


def test_a_small_file_under_way_is_left_to_its_writer_for_a_while(
    bench: Bench, destination: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Ledger(bench.workspace.store, "beside-k3f9abcdef", destination).record(Leftover(TEMPORARY))

    assert swept(bench) == []
    assert len(bench.workspace.store.leftovers.list()) == 1

    monkeypatch.setattr(leftovers, "_SMALL_FILE_PATIENCE", timedelta(0))
    assert swept(bench) == []
    assert bench.workspace.store.leftovers.list() == []


def test_a_destination_that_hangs_keeps_no_other_from_being_swept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, gate: Callable[..., Gate]
) -> None:
    monkeypatch.setattr(leftovers, "PATIENCE", 0.3)
    monkeypatch.setattr("engine.pipeline.attempt.GRACE", 0.3)
    gate("discard")
    places = {
        "bad": {"path": str(bench.folder / "bad"), "hang": ["discard"]},
        "good": {"path": str(bench.folder)},
    }
    job = bench.job(destinations={name: ("faulty-folder", values) for name, values in places.items()})
    [bad, good] = [its.destination_id for its in job.destinations]
    for place in (bad, good):
        bench.workspace.store.executions.add(f"dead-{place}")
        Ledger(bench.workspace.store, f"dead-{place}", place).record(Leftover(TEMPORARY))
    for folder in ("bad", "."):
        (bench.folder / folder / TEMPORARY).parent.mkdir(parents=True)
        (bench.folder / folder / TEMPORARY).touch()

    [problem] = swept(bench)

    assert "not done in 0.3 s" in problem
    assert not (bench.folder / TEMPORARY).exists()
    assert [its.destination_id for its in bench.workspace.store.leftovers.list()] == [bad]
