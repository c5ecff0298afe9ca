"""An upload in its attempts: a connection each, tried again for what passes, stopped when it stalls, and left
alone when it hangs. What is listed afterwards is whole, and nothing good is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from engine.events import DestinationProgress, DestinationState, Event, Status
from engine.records import Execution, Job, JobOptions
from tests.conftest import Bench, make_shop
from tests.parts.faulty import FaultyFolder, Gate

pytestmark = pytest.mark.usefixtures("quick")
MakeGate = Callable[..., Gate]


def bad_job(bench: Bench, values: dict[str, object], **options: object) -> Job:
    """A job to a good destination and to a bad one; an upload stalls after a second."""
    return bench.job(
        destinations={
            "good": ("local", {"path": str(bench.folder / "good")}),
            "bad": ("faulty-folder", {"path": str(bench.folder / "bad"), **values}),
        },
        options=JobOptions(**{"stall_after": 1, **options}),  # type: ignore[arg-type]
    )


def calls(point: str) -> list[str]:
    """The names with which all adapters of the bad destination came to that point, in order."""
    return [name for folder, its, name in FaultyFolder.calls if folder == "bad" and its == point]


def listed(bench: Bench) -> list[str]:
    """At which destinations the catalogue lists a backup."""
    return sorted(backup.destination for backup in bench.workspace.catalogue.list())


def outcome(execution: Execution) -> dict[str, Status]:
    return {its.name: its.status for its in execution.destinations}


HALF = {"good": Status.SUCCESS, "bad": Status.FAILED}


# -- attempts ----------------------------------------------------------------------------------------


def test_each_attempt_has_a_connection_of_its_own_that_is_closed(bench: Bench, gate: MakeGate) -> None:
    execution = bench.run(bad_job(bench, {"fault": "put", "times": 2}))

    assert execution.status is Status.SUCCESS, bench.log_of(execution)
    assert len(calls("open")) == len(calls("close")) == 3


def test_where_the_sidecar_failed_a_retry_puts_only_that(bench: Bench, gate: MakeGate) -> None:
    execution = bench.run(bad_job(bench, {"fault": "sidecar", "times": 2}))

    assert execution.status is Status.SUCCESS, bench.log_of(execution)
    assert (len(calls("upload")), len(calls("sidecar"))) == (1, 3)
    assert bench.stored("bad") == bench.stored("good")


@pytest.mark.parametrize("fault", ["lost", "lost-sidecar"])
def test_an_answer_that_got_lost_is_made_up_for(bench: Bench, gate: MakeGate, fault: str) -> None:
    execution = bench.run(bad_job(bench, {"fault": fault, "times": 1}))

    assert execution.status is Status.SUCCESS, bench.log_of(execution)
    assert bench.stored("bad") == bench.stored("good")
    assert calls("delete") == [], "what it had stored was not taken away in between"
    assert bench.workspace.store.leftovers.list() == []


def test_the_last_answer_that_got_lost_for_good_leaves_a_backup_and_says_so(
    bench: Bench, gate: MakeGate
) -> None:
    execution = bench.run(bad_job(bench, {"fault": "lost-sidecar"}, upload_attempts=1))

    assert execution.status is Status.SUCCESS, bench.log_of(execution)
    assert listed(bench) == ["bad", "good"]
    assert any("last answer got lost" in line for line in bench.log_of(execution))


def test_a_sidecar_that_may_still_arrive_finds_its_artifact(bench: Bench, gate: MakeGate) -> None:
    """Its request may be on its way long after we gave up, and a sidecar alone looks like a loss."""
    job = bad_job(bench, {"fault": "torn-sidecar", "times": 1}, upload_attempts=1)
    execution = bench.run(job)

    assert outcome(execution) == HALF
    [artifact] = bench.stored("bad")
    assert listed(bench) == ["good"], "an artifact without a sidecar is no backup"

    assert bench.run(job).status is Status.SUCCESS
    assert artifact not in bench.stored("bad"), "removed by its record, at the next run"
    assert bench.workspace.store.leftovers.list() == []


@pytest.mark.parametrize(
    ("fault", "words"), [("refused", "The key was refused"), ("full", "No space is left")]
)
def test_what_does_not_pass_by_itself_is_not_tried_again(
    bench: Bench, gate: MakeGate, fault: str, words: str
) -> None:
    execution = bench.run(bad_job(bench, {"fault": fault, "times": 1}))

    assert outcome(execution) == HALF
    assert len(calls("upload")) == 1
    assert not any("trying again" in line for line in bench.log_of(execution))
    assert execution.error == f"bad: {words}"
    assert execution.remedy in ("Enter it again.", "Free some.")


def test_retries_are_told_with_their_number_and_when_they_come(bench: Bench, gate: MakeGate) -> None:
    told: list[DestinationProgress] = []

    def watch(event: Event) -> None:
        if isinstance(event, DestinationProgress) and event.destination == "bad":
            told.append(event)

    bench.workspace.events.subscribe(watch)
    execution = bench.run(bad_job(bench, {"fault": "put", "times": 2}, upload_attempts=3))

    assert execution.status is Status.SUCCESS
    seen = [(its.state.value, its.attempt) for its in told]
    assert list(dict.fromkeys(seen)) == [
        ("waiting", 1),
        ("uploading", 1),
        ("retrying", 2),
        ("uploading", 2),
        ("retrying", 3),
        ("uploading", 3),
        ("verifying", 3),
        ("success", 3),
    ]
    assert {(its.attempts, its.database) for its in told[1:]} == {(3, "shop")}
    assert told[-1].message == "read back from the disk"
    retrying = [its for its in told if its.state is DestinationState.RETRYING]
    assert all(its.retry_in is not None and its.retry_in > 0 for its in retrying)
    assert all(its.message == "The connection was reset" for its in retrying)
    log = [line for line in bench.log_of(execution) if "trying again" in line]
    assert [line.rpartition("(")[2] for line in log] == ["attempt 2 of 3).", "attempt 3 of 3)."]


# -- stalls ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["open", "upload", "middle", "late", "sidecar", "late-sidecar"])
def test_a_stalled_upload_is_stopped_and_tried_again(bench: Bench, gate: MakeGate, point: str) -> None:
    gate(point, 1)

    execution = bench.run(bad_job(bench, {"gate": point}))

    assert execution.status is Status.SUCCESS, bench.log_of(execution)
    assert any("no progress for 1.0 s; trying again" in line for line in bench.log_of(execution))
    assert len(calls("open")) == 2
    assert bench.stored("bad") == bench.stored("good")
    assert bench.workspace.store.leftovers.list() == []


def test_a_dump_that_takes_its_time_is_no_stall(bench: Bench, gate: MakeGate) -> None:
    shop = make_shop(bench.folder / "shop.sqlite")
    waits = gate("dump", 1)
    job = bench.job(
        source="faulty-source",
        source_values={"path": str(shop), "gate": "dump"},
        options=JobOptions(stall_after=1),
    )
    execution_id = bench.workspace.run_job(job.id)
    assert waits.reached.wait(20)
    threading.Timer(1.8, waits.opened.set).start()  # time is what this is about

    execution = bench.workspace.wait(execution_id, 60)

    assert execution.status is Status.SUCCESS
    assert not any("trying again" in line for line in bench.log_of(execution))


# -- what hangs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["open", "upload", "middle", "late", "sidecar", "late-sidecar"])
def test_an_adapter_that_hangs_costs_its_destination_alone(bench: Bench, gate: MakeGate, point: str) -> None:
    hangs = gate(point)

    execution = bench.run(bad_job(bench, {"hang": [point]}))

    assert hangs.reached.is_set()
    assert outcome(execution) == HALF, bench.log_of(execution)
    assert "could not be stopped" in (execution.error or "")
    assert len(calls("open")) == 1, "it is not tried again beside what may still be at work"
    assert [its.status for its in execution.copies] == [Status.SUCCESS, Status.FAILED]


@pytest.mark.parametrize("point", ["open", "upload", "middle", "late", "sidecar", "late-sidecar"])
def test_what_an_abandoned_attempt_does_later_is_neither_a_torn_backup_nor_a_loss(
    bench: Bench, gate: MakeGate, point: str
) -> None:
    hangs = gate(point, 1)
    job = bad_job(bench, {"hang": [point]})
    first = bench.run(job)
    assert outcome(first) == HALF

    hangs.opened.set()  # it wakes up when the run is long over
    _until_closed("bad")

    late = [name for name in bench.stored("bad") if name.endswith(".age")]
    if point == "late-sidecar":
        assert listed(bench) == ["bad", "good"], "artifact and sidecar are whole: that is a backup"
    else:
        assert listed(bench) == ["good"]
        assert late == ([first.artifacts[0].name] if point in ("late", "sidecar") else [])
    verified = bench.workspace.wait(bench.workspace.verify(None), 60)
    assert verified.status is Status.SUCCESS, "all that is listed is whole"

    second = bench.run(job)

    assert second.status is Status.SUCCESS, bench.log_of(second)
    kept = {backup.artifact for backup in bench.workspace.catalogue.list() if backup.destination == "bad"}
    assert {name for name in bench.stored("bad") if name.endswith(".age")} == kept
    assert bench.workspace.store.leftovers.list() == []


def test_a_destination_that_hung_is_given_up_for_the_databases_that_follow(
    bench: Bench, gate: MakeGate
) -> None:
    gate("upload")
    shop = make_shop(bench.folder / "shop.sqlite")
    job = bench.job(
        source="faulty-source",
        source_values={"path": str(shop), "names": ["a", "b", "c"]},
        destinations={
            "good": ("local", {"path": str(bench.folder / "good")}),
            "bad": ("faulty-folder", {"path": str(bench.folder / "bad"), "hang": ["upload"]}),
        },
        options=JobOptions(stall_after=1),
    )

    execution = bench.run(job)

    assert outcome(execution) == HALF
    assert len(calls("upload")) == 1
    assert [its.status for its in execution.copies] == [Status.SUCCESS] * 3 + [Status.FAILED] * 3


def test_a_close_that_hangs_takes_nothing_back(bench: Bench, gate: MakeGate) -> None:
    gate("close")

    assert bench.run(bad_job(bench, {"hang": ["close"]})).status is Status.SUCCESS


def test_a_first_look_that_hangs_holds_up_neither_the_dump_nor_the_others(
    bench: Bench, gate: MakeGate
) -> None:
    job = bad_job(bench, {})
    bench.run(job)
    looks = gate("look")
    values = {"path": str(bench.folder / "bad"), "hang": ["look"]}
    bad = job.destinations[1].destination_id
    bench.workspace.endpoints.save("destination", "bad", "faulty-folder", values, id=bad)
    stored = threading.Event()

    def watch(event: Event) -> None:
        if isinstance(event, DestinationProgress) and event.state is DestinationState.SUCCESS:
            stored.set()

    bench.workspace.events.subscribe(watch)
    execution_id = bench.workspace.run_job(job.id)
    assert looks.reached.wait(20)
    assert stored.wait(20), "the other one has its backup while this one is looked at"
    looks.opened.set()

    assert bench.workspace.wait(execution_id, 60).status is Status.SUCCESS


# -- a cancel ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hang", "gated"),
    [
        (["open"], ""),
        (["upload"], ""),
        (["middle"], ""),
        (["sidecar"], ""),
        (["late-sidecar"], ""),
        (["discard"], "middle"),
        (["delete"], "late"),
        (["close"], "middle"),
        (["discard", "close"], "middle"),
    ],
    ids=str,
)
def test_a_cancel_ends_the_run_in_time_whatever_hangs(
    bench: Bench, gate: MakeGate, monkeypatch: pytest.MonkeyPatch, hang: list[str], gated: str
) -> None:
    monkeypatch.setattr("engine.pipeline.attempt.GRACE", 2.5)  # as it is in earnest
    gates = {name: gate(name) for name in [*hang, gated] if name}
    if gated == "late":
        # In between the artifact and its sidecar: what has its name already is to be taken away.
        gates["sidecar"], gated = gate("sidecar"), "sidecar"
    job = bad_job(bench, {"hang": hang, "gate": gated}, stall_after=300)
    execution_id = bench.workspace.run_job(job.id)
    assert gates[gated or hang[0]].reached.wait(20)

    begun = time.monotonic()
    bench.workspace.cancel(execution_id)
    execution = bench.workspace.wait(execution_id, 20)

    assert time.monotonic() - begun < 5, "DESIGN, section 2: within 5 s"
    assert execution.status is Status.CANCELLED
    assert outcome(execution)["bad"] is Status.CANCELLED
    if hang == ["close"]:
        assert bench.stored("bad") == []
    elif hang != ["open"] and hang != ["upload"]:
        assert len(bench.workspace.store.leftovers.list()) > 0, "what could not be removed is on record"


def test_a_cancel_between_two_attempts_ends_the_wait(
    bench: Bench, gate: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.pipeline.upload.FIRST_WAIT", 60)
    monkeypatch.setattr("engine.pipeline.upload.LONGEST_WAIT", 60)
    retrying = threading.Event()

    def watch(event: Event) -> None:
        if isinstance(event, DestinationProgress) and event.state is DestinationState.RETRYING:
            retrying.set()

    bench.workspace.events.subscribe(watch)
    execution_id = bench.workspace.run_job(bad_job(bench, {"fault": "put"}).id)
    assert retrying.wait(20)

    bench.workspace.cancel(execution_id)

    assert bench.workspace.wait(execution_id, 5).status is Status.CANCELLED


# -- retention ---------------------------------------------------------------------------------------


def test_a_retention_that_hangs_is_left_alone_and_told_and_the_others_go_on(
    bench: Bench, gate: MakeGate
) -> None:
    gate("list")
    job = bad_job(bench, {"hang": ["list"]})
    keep_one = {"mode": "simple", "keep": 1}
    destinations = tuple(replace(its, retention=keep_one) for its in job.destinations)
    job = bench.workspace.jobs.save(replace(job, destinations=destinations))
    bench.run(job)

    execution = bench.run(job)

    assert execution.status is Status.SUCCESS, "it changes no status"
    assert len([name for name in bench.stored("good") if name.endswith(".age")]) == 1
    log = bench.log_of(execution)
    assert any("[bad] Retention failed: There was no progress for 1.0 s" in line for line in log)


def test_a_cancel_in_the_middle_of_retention_stops_it_and_changes_no_status(
    bench: Bench, gate: MakeGate
) -> None:
    lists = gate("list")
    job = bad_job(bench, {"gate": "list"}, stall_after=300)
    keep_one = {"mode": "simple", "keep": 1}
    destinations = tuple(replace(its, retention=keep_one) for its in job.destinations)
    job = bench.workspace.jobs.save(replace(job, destinations=destinations))
    execution_id = bench.workspace.run_job(job.id)
    assert lists.reached.wait(20)

    bench.workspace.cancel(execution_id)
    execution = bench.workspace.wait(execution_id, 5)

    assert execution.status is Status.SUCCESS
    assert any("[bad] Retention was stopped: cancelled" in line for line in bench.log_of(execution))


def _until_closed(folder: str) -> None:
    """Wait for the end of all adapters of that folder: each is closed last."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        verbs = [verb for its, verb, _ in list(FaultyFolder.calls) if its == folder]
        if verbs.count("close") == verbs.count("open"):
            return
        threading.Event().wait(0.01)
    raise AssertionError("an adapter was never closed")
