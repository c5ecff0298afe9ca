"""What `OtherProcess` runs: a queue on a home, driven by JSON lines on standard input."""

from __future__ import annotations

import json
import os
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.cancellation import CancelToken
from engine.errors import SlotTaken
from engine.events import Status
from engine.scheduler import Scheduler
from engine.store.models import SettingRow
from tests.parts.queues import Line


class Process:
    """The verbs that a test may ask for."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.line = Line(home)

    def enqueue(self, job: str, values: dict[str, Any]) -> str:
        return self.line.queue.enqueue_run(self.line.store.jobs.get(job), **values)

    def verify(self) -> str:
        return self.line.queue.enqueue_other("verify")

    def go(self) -> None:
        self.line.work.gate.set()

    def cancel(self, execution_id: str) -> bool:
        return self.line.queue.cancel(execution_id)

    def take(self, execution_id: str) -> bool:
        self.lock = self.line.ownership.take(execution_id)
        return self.lock is not None

    def run_alone(self, job: str, times: int) -> list[str]:
        """Queue so many runs of a job, each of which fails if it meets another one; return how they ended."""
        line = Line(self.home, perform=self._alone)
        ids = [line.queue.enqueue_run(line.store.jobs.get(job)) for _ in range(times)]
        ended = [str(line.queue.wait(its, 60).status) for its in ids]
        line.close()
        return ended

    def _alone(self, execution_id: str, cancel: CancelToken) -> None:
        mark = self.home / "somebody-runs"
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))  # raises when a run is under way anywhere
        rows = [its for its in self.line.store.executions.active() if its.status is Status.RUNNING]
        mark.unlink()
        assert len(rows) == 1
        self.line.store.executions.finish(execution_id, status=Status.SUCCESS)

    def count(self, key: str, threads: int, times: int) -> None:
        """Add one to a setting so many times from each thread, reading it first."""

        def add() -> None:
            for _ in range(times):
                with self.line.store.write(durable=False) as session:
                    row = session.get_one(SettingRow, key)
                    row.value = row.value + 1

        workers = [threading.Thread(target=add) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def tick(self, moments: list[str]) -> int:
        """Look at the schedules at these moments; return how many executions that queued."""
        queue = self.line.queue

        def verify(slot: datetime, reason: str) -> str:
            return queue.enqueue_other("verify", planned_at=slot, trigger="system", reason=reason)

        scheduler = Scheduler(self.line.store, queue, self.line.store.clock, verify_all=verify)
        return sum(len(scheduler.tick(datetime.fromisoformat(moment))) for moment in moments)

    def add_planned(self, execution_id: str, job_id: str | None, kind: str, planned: str) -> bool:
        try:
            self.line.store.executions.add(
                execution_id,
                kind=kind,  # type: ignore[arg-type]
                job_id=job_id,
                planned_at=datetime.fromisoformat(planned),
            )
        except SlotTaken:
            return False
        return True


def main() -> None:
    process = Process(Path(sys.argv[1]))
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        print(json.dumps(getattr(process, verb)(*arguments)), flush=True)


if __name__ == "__main__":
    main()
