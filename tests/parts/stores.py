"""Ways to fill a store, for the tests of what stands on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engine.records import Endpoint, Job, JobDestination, JobNotifier
from engine.store.database import Store


def add_job(store: Store, name: str = "shop-nightly", **values: Any) -> Job:
    """A job with a source, two destinations and a notifier of its own; `values` are other fields of it."""
    source = store.endpoints.save(Endpoint("source", "", f"{name} source", "sqlite", {"path": "/shop.db"}))
    near = store.endpoints.save(Endpoint("destination", "", f"{name} near", "local", {"path": "/near"}))
    far = store.endpoints.save(Endpoint("destination", "", f"{name} far", "local", {"path": "/far"}))
    ops = store.endpoints.save(Endpoint("notifier", "", f"{name} ops", "apprise", {}, ("url",)))
    job = Job(
        id="",
        name=name,
        source_id=source.id,
        source_name=source.name,
        destinations=(
            JobDestination(far.id, far.name, 2, {"mode": "simple", "keep": 3}),
            JobDestination(near.id, near.name, 1),
        ),
        notifiers=(JobNotifier(ops.id, ops.name),),
    )
    return store.jobs.save(replace(job, **values))
