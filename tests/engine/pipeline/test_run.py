"""One run of a job, end to end on real files: dumped once, stored everywhere, sidecar last, honestly told."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.cli import documents
from engine.configuration.keys import Keys
from engine.events import Event, ExecutionFinished, LogLevel, Stage, Status
from engine.pipeline import dump
from engine.records import JobDestination, JobOptions
from engine.workspace import Workspace
from tests.conftest import Bench, make_shop, rows_of


def two_folders(folder: Path) -> dict[str, tuple[str, dict[str, object]]]:
    return {
        "near": ("local", {"path": str(folder / "near")}),
        "far": ("local", {"path": str(folder / "far")}),
    }


def test_a_run_stores_one_artifact_and_its_sidecar_at_every_destination(bench: Bench) -> None:
    execution = bench.run(bench.job(destinations=two_folders(bench.folder)))

    assert execution.status is Status.SUCCESS, bench.log_of(execution)
    [artifact] = execution.artifacts
    assert artifact.name.startswith("shop-nightly/shop_")
    assert artifact.name.endswith(".sqlite.zst.age")
    for folder in ("near", "far"):
        assert bench.stored(folder) == [artifact.name, f"{artifact.name}.meta.json"]
        data = (bench.folder / folder / artifact.name).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (artifact.sha256, artifact.size)
    assert [(its.name, its.status, its.path) for its in execution.destinations] == [
        ("near", Status.SUCCESS, artifact.name),
        ("far", Status.SUCCESS, artifact.name),
    ]


def test_the_end_is_told_with_the_ids_that_the_catalogue_lists(bench: Bench) -> None:
    told: list[Event] = []
    bench.workspace.events.subscribe(told.append)
    bench.run(bench.job(destinations=two_folders(bench.folder)))

    [end] = [event for event in told if isinstance(event, ExecutionFinished)]
    assert end.status is Status.SUCCESS
    assert sorted(end.backups) == sorted(backup.id for backup in bench.workspace.catalogue.list())


def test_the_standard_tools_alone_restore_the_artifact(bench: Bench, tmp_path: Path) -> None:
    execution = bench.run(bench.job())
    key = tmp_path / "key.txt"
    key.write_text(bench.workspace.keys.export("default"))
    artifact = bench.folder / "vault" / execution.artifacts[0].name

    restored = tmp_path / "restored.sqlite"
    opened = subprocess.run(["age", "-d", "-i", key, artifact], check=True, capture_output=True)
    plain = subprocess.run(["zstd", "-dc"], input=opened.stdout, check=True, capture_output=True)
    restored.write_bytes(plain.stdout)

    assert rows_of(restored) == rows_of(bench.folder / "shop.sqlite")


def test_no_plaintext_lies_in_the_artifact_or_the_sidecar(bench: Bench) -> None:
    bench.run(bench.job(compression="none"))

    for path in (bench.folder / "vault").rglob("*"):
        if path.is_file():
            assert "Zoë 17".encode() not in path.read_bytes()
            assert b"customers" not in path.read_bytes(), "table names are nobody's business"


@pytest.mark.parametrize(
    ("compression", "suffix"), [("zstd:9", ".zst"), ("gzip", ".gz"), ("brotli:4", ".br")]
)
def test_each_compression_without_encryption_names_and_makes_its_format(
    bench: Bench, compression: str, suffix: str
) -> None:
    execution = bench.run(bench.job(compression=compression, encryption="none"))

    assert execution.status is Status.SUCCESS, bench.log_of(execution)
    assert execution.artifacts[0].name.endswith(f".sqlite{suffix}")
    verified = bench.workspace.verify(None, "decode")
    assert bench.workspace.wait(verified, 60).status is Status.SUCCESS


def test_nothing_is_compressed_or_encrypted_when_neither_is_wanted(bench: Bench) -> None:
    execution = bench.run(bench.job(compression="none", encryption="none"))

    stored = bench.folder / "vault" / execution.artifacts[0].name
    assert stored.name.endswith(".sqlite")
    assert rows_of(stored) == rows_of(bench.folder / "shop.sqlite")


def test_the_sidecar_tells_what_the_artifact_is_and_is_signed(bench: Bench) -> None:
    execution = bench.run(bench.job())
    artifact = execution.artifacts[0]
    sidecar = json.loads((bench.folder / "vault" / f"{artifact.name}.meta.json").read_text())

    assert sidecar["job"] == "shop-nightly"
    assert sidecar["job_id"] == execution.job_id
    assert sidecar["set_id"] == execution.id
    assert (sidecar["size"], sidecar["checksum"]) == (artifact.size, artifact.sha256)
    assert sidecar["encryption"]["recipients"] == [bench.workspace.keys.recipient("default")]
    assert sidecar["signature"]["public_key"] == bench.workspace.keys.signer().public_key


def test_a_failed_source_test_ends_the_run_with_its_message(bench: Bench) -> None:
    shop = make_shop(bench.folder / "shop.sqlite")
    job = bench.job(source="faulty-source", source_values={"path": str(shop), "fault": "check"})

    execution = bench.run(job)

    assert execution.status is Status.FAILED
    assert execution.error == "The server shop.example refused the login."
    assert execution.remedy == "Mend it."
    assert not (bench.folder / "vault").exists()


def test_a_dump_that_fails_after_its_last_byte_fails_the_run_and_leaves_nothing(bench: Bench) -> None:
    shop = make_shop(bench.folder / "shop.sqlite")
    job = bench.job(source="faulty-source", source_values={"path": str(shop), "fault": "late"})

    execution = bench.run(job)

    assert execution.status is Status.FAILED
    assert "exit status 1" in (execution.error or "")
    assert bench.stored() == []
    assert list(bench.workspace.home.spool.iterdir()) == []
    assert bench.workspace.store.leftovers.list() == []


def test_a_failed_dump_is_not_told_as_a_failed_upload(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    said = dump._failed

    def later(*values: Any) -> None:
        time.sleep(0.5)  # the uploads know of it by then
        said(*values)

    monkeypatch.setattr(dump, "_failed", later)
    shop = make_shop(bench.folder / "shop.sqlite")
    job = bench.job(source="faulty-source", source_values={"path": str(shop), "fault": "late"})

    log = bench.log_of(bench.run(job))

    assert not any("Upload failed" in line for line in log)
    assert any("There is no dump of shop to be stored" in line for line in log)


def test_an_adapters_own_bug_is_a_failed_run_that_says_so(bench: Bench) -> None:
    shop = make_shop(bench.folder / "shop.sqlite")
    job = bench.job(source="faulty-source", source_values={"path": str(shop), "fault": "surprise"})

    execution = bench.run(job)

    assert (execution.status, execution.error_kind) == (Status.FAILED, "RuntimeError")
    assert "an adapter's own bug" in (execution.error or "")


def test_some_destinations_failing_makes_the_run_partial(bench: Bench) -> None:
    destinations = {
        "good": ("local", {"path": str(bench.folder / "good")}),
        "bad": ("faulty-folder", {"path": str(bench.folder / "bad"), "fault": "put"}),
    }
    job = bench.job(destinations=destinations, options=JobOptions(upload_attempts=1))

    execution = bench.run(job)

    assert execution.status is Status.PARTIAL
    assert {its.name: its.status for its in execution.destinations} == {
        "good": Status.SUCCESS,
        "bad": Status.FAILED,
    }
    assert len(bench.stored("good")) == 2
    assert "bad: The connection was reset" in (execution.error or "")


def test_all_destinations_failing_makes_the_run_failed(bench: Bench) -> None:
    destinations = {"bad": ("faulty-folder", {"path": str(bench.folder / "bad"), "fault": "put"})}
    execution = bench.run(bench.job(destinations=destinations, options=JobOptions(upload_attempts=1)))

    assert execution.status is Status.FAILED
    assert execution.destinations[0].error == "The connection was reset"


def test_a_transient_failure_is_tried_again_from_the_spool(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.pipeline.upload.FIRST_WAIT", 0.01)
    monkeypatch.setattr("engine.pipeline.upload.LONGEST_WAIT", 0.02)
    destinations = {
        "shaky": ("faulty-folder", {"path": str(bench.folder / "shaky"), "fault": "put", "times": 2})
    }

    execution = bench.run(bench.job(destinations=destinations))

    log = bench.log_of(execution)
    assert execution.status is Status.SUCCESS, log
    assert sum("trying again" in line for line in log) == 2
    assert sum(line.startswith("Dumping") for line in log) == 1, "a retry never dumps again"


def test_an_artifact_whose_sidecar_cannot_be_put_is_taken_away_again(bench: Bench) -> None:
    destinations = {"bad": ("faulty-folder", {"path": str(bench.folder / "bad"), "fault": "sidecar"})}
    execution = bench.run(bench.job(destinations=destinations, options=JobOptions(upload_attempts=1)))

    assert execution.status is Status.FAILED
    assert bench.stored("bad") == []
    assert bench.workspace.store.leftovers.list() == []


def test_uploads_one_at_a_time_go_strictly_by_priority(bench: Bench) -> None:
    destinations = {
        name: ("local", {"path": str(bench.folder / name)}) for name in ("first", "second", "third")
    }
    job = bench.job(destinations=destinations, options=JobOptions(parallel_uploads=1))

    execution = bench.run(job)

    order = [line.split("]")[0][1:] for line in bench.log_of(execution) if "is stored whole" in line]
    assert order == ["first", "second", "third"]


def test_several_databases_make_a_set_and_one_that_is_gone_makes_it_partial(bench: Bench) -> None:
    shop = make_shop(bench.folder / "shop.sqlite")
    values = {"path": str(shop), "names": ["a", "b", "c"], "broken": ["b"]}
    job = bench.job(source="faulty-source", source_values=values)

    execution = bench.run(job)

    assert execution.status is Status.PARTIAL
    assert {its.database: its.status for its in execution.artifacts} == {
        "a": Status.SUCCESS,
        "b": Status.FAILED,
        "c": Status.SUCCESS,
    }
    assert "The database b is gone" in (execution.error or "")
    sidecars = [json.loads(path.read_text()) for path in (bench.folder / "vault").rglob("*.meta.json")]
    assert {its["set_id"] for its in sidecars} == {execution.id}
    assert all(its["databases"] == ["a", "b", "c"] for its in sidecars)
    assert len({its["artifact"] for its in sidecars}) == 2


def test_a_destination_that_stores_one_database_and_fails_another_keeps_the_good_copy(bench: Bench) -> None:
    shop = make_shop(bench.folder / "shop.sqlite")
    bad: dict[str, object] = {"path": str(bench.folder / "bad"), "fault": "put", "only": "/b_"}
    job = bench.job(
        source="faulty-source",
        source_values={"path": str(shop), "names": ["a", "b"]},
        destinations={"good": ("local", {"path": str(bench.folder / "good")}), "bad": ("faulty-folder", bad)},
        options=JobOptions(upload_attempts=1),
    )

    execution = bench.run(job)

    assert execution.status is Status.PARTIAL
    assert [its.status for its in execution.destinations] == [Status.SUCCESS, Status.FAILED]
    good, bad_id = (its.destination_id for its in job.destinations)
    assert [(its.destination_id, its.database, its.status, its.error) for its in execution.copies] == [
        (good, "a", Status.SUCCESS, None),
        (good, "b", Status.SUCCESS, None),
        (bad_id, "a", Status.SUCCESS, None),
        (bad_id, "b", Status.FAILED, "The connection was reset"),
    ]
    document = documents.execution(execution)
    named = {copy["id"] for backup in document["backups"] for copy in backup["copies"]}
    assert named == {backup.id for backup in bench.workspace.catalogue.list()}, "what is listed, and no more"
    assert len(named) == 3


def test_each_cause_of_a_partial_run_is_told(bench: Bench) -> None:
    shop = make_shop(bench.folder / "shop.sqlite")
    job = bench.job(
        source="faulty-source",
        source_values={"path": str(shop), "names": ["a", "b"], "broken": ["b"]},
        destinations={
            "good": ("local", {"path": str(bench.folder / "good")}),
            "bad": ("faulty-folder", {"path": str(bench.folder / "bad"), "fault": "put"}),
        },
        options=JobOptions(upload_attempts=1),
    )

    execution = bench.run(job)

    assert execution.status is Status.PARTIAL
    assert execution.error == "The database b is gone; bad: The connection was reset"
    assert execution.remedy == "Look where it went. Try again."
    assert not any("[good] Upload failed" in line for line in bench.log_of(execution)), "it has not failed"
    assert {its.database for its in execution.copies} == {"a"}, "what was never dumped is no copy that failed"


def test_two_runs_of_one_second_do_not_collide(bench: Bench) -> None:
    job = bench.job()
    names = [bench.run(job).artifacts[0].name for _ in range(3)]

    assert len(set(names)) == 3
    assert len(bench.stored()) == 6


@pytest.mark.parametrize(
    "name", ["a/b", "../../etc", "Immich yyyy-MM-dd", "münchen 'ü\" $HOME", "x" * 150, "."]
)
def test_odd_job_names_stay_within_the_destination(bench: Bench, name: str) -> None:
    execution = bench.run(bench.job(name))

    assert execution.status is Status.SUCCESS, bench.log_of(execution)
    assert len(bench.stored()) == 2
    assert sorted(path.name for path in bench.folder.iterdir()) == ["home", "shop.sqlite", "vault"]


def test_log_entries_carry_time_level_type_stage_and_are_stored(bench: Bench) -> None:
    execution = bench.run(bench.job())

    entries = [line.entry for line in bench.workspace.store.logs.list(execution.id)]
    assert {entry.stage for entry in entries} >= {
        Stage.INITIALIZE,
        Stage.DUMP,
        Stage.UPLOAD,
        Stage.COMPLETION,
    }
    assert any(entry.level is LogLevel.SUCCESS for entry in entries)
    assert all(entry.at.tzinfo is not None for entry in entries)
    assert entries == sorted(entries, key=lambda entry: entry.at)


def test_a_missing_key_is_refused_before_anything_is_dumped(bench: Bench, workspace: Workspace) -> None:
    job = bench.job()
    keys: Keys = workspace.keys
    stored = workspace.store.keys.get("default")
    workspace.store.keys.delete(stored.id)

    execution = bench.run(job)

    assert execution.status is Status.FAILED
    assert "strongroom keys new default" in (execution.remedy or "")
    assert keys.list() == []


def test_a_destination_whose_secret_is_gone_fails_alone(bench: Bench) -> None:
    destinations = {
        "good": ("local", {"path": str(bench.folder / "good")}),
        "gone": ("faulty-folder", {"path": str(bench.folder / "gone"), "token": "s3cr3t-token"}),
    }
    job = bench.job(destinations=destinations)
    bench.workspace.secrets.delete(f"destination/{job.destinations[1].destination_id}/token")

    execution = bench.run(job)

    assert execution.status is Status.PARTIAL
    assert "token" in (execution.destinations[1].error or "")


def test_a_spool_without_room_for_what_the_last_backup_took_is_said_before_the_dump(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = bench.job()
    bench.run(job)
    monkeypatch.setattr("engine.pipeline.initialize.free_bytes", lambda folder: 1000)

    execution = bench.run(job)

    assert (execution.status, execution.error_kind) == (Status.FAILED, "SpoolError")
    assert "1.0 kB free" in (execution.error or "")
    assert not any(line.startswith("Dumping") for line in bench.log_of(execution))


# ------------------------------------------------------------------------------ what should be there


def warned(bench: Bench, execution: object) -> list[str]:
    return [line for line in bench.log_of(execution) if "not there" in line]  # type: ignore[arg-type]


def test_a_folder_that_is_gone_fails_and_is_not_made_anew(bench: Bench, tmp_path: Path) -> None:
    """An unmounted disk looks like that: a new folder would lie on another disk."""
    places = {name: ("local", {"path": str(tmp_path / name)}) for name in ("one", "two")}
    job = bench.job(destinations=places)
    assert bench.run(job).status is Status.SUCCESS
    (tmp_path / "one").rename(tmp_path / "away")
    execution = bench.run(job)
    assert execution.status is Status.PARTIAL
    errors = {place.name: place.error for place in execution.destinations}
    assert "is not there, and 1 backup should be in it" in (errors["one"] or "")
    assert not errors["two"]
    assert not (tmp_path / "one").exists()
    # Making it by hand is how a person says that this is right.
    (tmp_path / "one").mkdir()
    execution = bench.run(job)
    assert execution.status is Status.SUCCESS
    assert len(warned(bench, execution)) == 1
    assert warned(bench, bench.run(job)) == []


def test_the_folder_of_another_jobs_backups_is_missed_too(bench: Bench, tmp_path: Path) -> None:
    bench.run(bench.job())
    (tmp_path / "vault").rename(tmp_path / "away")
    other = bench.job("another", destinations={"vault2": ("local", {"path": str(tmp_path / "second")})})
    vault = bench.workspace.endpoints.get("destination", "vault")
    target = JobDestination(vault.id, vault.name, 0, {"mode": "none"})
    execution = bench.run(bench.workspace.jobs.save(replace(other, destinations=(target,))))
    assert execution.status is Status.FAILED
    assert not (tmp_path / "vault").exists()
