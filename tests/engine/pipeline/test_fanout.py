"""Handing artifacts to destinations: each in order, none waiting for another, by priority if asked."""

from __future__ import annotations

import threading

import pytest

from engine.events import Status
from engine.pipeline.context import Artifact, DestinationContext, UploadResult
from engine.pipeline.fanout import Fanout
from engine.records import Endpoint
from engine.rules.retention import Retention


def place(name: str, priority: int = 0) -> DestinationContext:
    return DestinationContext(Endpoint("destination", name, name, "local", {}), priority, Retention())


def test_a_slow_destination_holds_up_no_other_and_gets_its_artifacts_in_order() -> None:
    slow, quick = place("slow", 0), place("quick", 1)
    release, quick_done = threading.Event(), threading.Event()

    def upload(destination: DestinationContext, artifact: Artifact) -> UploadResult:
        if destination is slow:
            assert release.wait(20)
        elif artifact.database == "c":
            quick_done.set()
        return UploadResult(artifact, Status.SUCCESS)

    done: list[str] = []
    fanout = Fanout(
        [slow, quick], upload, parallel=None, done=lambda artifact: done.append(artifact.database)
    )
    for name in "abc":
        fanout.add(Artifact(name, name))
    assert quick_done.wait(20), "the quick one went on while the slow one stood"
    assert done == []
    release.set()
    fanout.finish()

    assert [result.artifact.database for result in slow.results] == ["a", "b", "c"]
    assert done == ["a", "b", "c"]


@pytest.mark.parametrize("parallel", [1, 2, 99])
def test_no_more_go_at_once_than_were_asked_for(parallel: int) -> None:
    places = [place(name, number) for number, name in enumerate("wxyz")]
    busy, most, lock = 0, 0, threading.Lock()

    def upload(destination: DestinationContext, artifact: Artifact) -> UploadResult:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        threading.Event().wait(0.01)
        with lock:
            busy -= 1
        return UploadResult(artifact, Status.SUCCESS)

    fanout = Fanout(places, upload, parallel=parallel, done=lambda artifact: None)
    for name in "abc":
        fanout.add(Artifact(name, name))
    fanout.finish()

    assert most <= min(parallel, len(places))
    assert all(len(each.results) == 3 for each in places)


def test_one_at_a_time_goes_artifact_by_artifact_in_the_order_of_priority() -> None:
    places = [place("second", 5), place("first", 1)]
    order: list[tuple[str, str]] = []

    def upload(destination: DestinationContext, artifact: Artifact) -> UploadResult:
        order.append((artifact.database, destination.name))
        return UploadResult(artifact, Status.SUCCESS)

    fanout = Fanout(places, upload, parallel=1, done=lambda artifact: None)
    for name in "ab":
        fanout.add(Artifact(name, name))
    fanout.finish()

    assert order == [("a", "first"), ("a", "second"), ("b", "first"), ("b", "second")]
