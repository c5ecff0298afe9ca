"""A queue in the test's own process, and others in processes of their own that can be killed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from engine.cancellation import CancelToken
from engine.clock import Clock, utc_now
from engine.errors import Cancelled
from engine.events import Event, Status
from engine.queue import Executor, QueueManager
from engine.queue.ownership import Ownership
from engine.store.database import Store

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
"""Seconds until a test says that something does not happen."""


def eventually(condition: Callable[[], object], what: str = "") -> None:
    """Return once `condition` holds; fail when it does not within `PATIENCE`."""
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"it did not happen: {what or condition}")
        time.sleep(0.01)


class Work:
    """A `perform` that can be held: it ends when its gate opens, or as Cancelled when it is cancelled."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.order: list[str] = []
        self.tokens: dict[str, CancelToken] = {}
        self.gate = threading.Event()
        self.gates: dict[str, threading.Event] = defaultdict(threading.Event)
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def __call__(self, execution_id: str, cancel: CancelToken) -> None:
        with self._lock:
            self.order.append(execution_id)
            self.tokens[execution_id] = cancel
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            while not (self.gate.is_set() or self.gates[execution_id].is_set()):
                if cancel.wait(0.01):
                    raise Cancelled(cancel.reason)
        finally:
            with self._lock:
                self.at_once -= 1
        self.store.executions.finish(execution_id, status=Status.SUCCESS)

    def open(self, execution_id: str) -> None:
        """Let one execution end."""
        self.gates[execution_id].set()


class Line:
    """A store, a queue on it and the threads that work for it: what a process has."""

    def __init__(
        self,
        home: Path,
        *,
        executor: Executor | None = None,
        perform: Callable[[str, CancelToken], None] | None = None,
        clock: Clock = utc_now,
    ) -> None:
        (home / "locks").mkdir(parents=True, exist_ok=True)
        self.store = Store(home / "strongroom.db", clock=clock)
        self.ownership = Ownership(home / "locks")
        self.events: list[Event] = []
        self.work = Work(self.store)
        self._pool = ThreadPoolExecutor(8)
        self.queue = QueueManager(
            self.store,
            self.ownership,
            executor or self._pool,
            perform or self.work,
            emit=self.events.append,
            clock=clock,
        )

    def status(self, execution_id: str) -> Status:
        return self.store.executions.get(execution_id).status

    def runs(self, execution_id: str) -> Callable[[], bool]:
        """A condition for `eventually`."""
        return lambda: self.status(execution_id) is Status.RUNNING

    def close(self) -> None:
        self.queue.shutdown(cancel=True)
        self._pool.shutdown()
        self.store.close()


class OtherProcess:
    """A process with a queue of its own on the same home. What it starts is held until `go`."""

    def __init__(self, home: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.parts.queue_process", str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin: IO[str] = self._process.stdin
        self._stdout: IO[str] = self._process.stdout
        assert self._answer() == "ready"

    def ask(self, verb: str, *arguments: Any) -> Any:
        """Let it do something, and return its answer."""
        self.tell(verb, *arguments)
        return self._answer()

    def tell(self, verb: str, *arguments: Any) -> None:
        """Let it do something; the answer is to be read by `hear`."""
        self._stdin.write(json.dumps([verb, *arguments]) + "\n")
        self._stdin.flush()

    def hear(self) -> Any:
        return self._answer()

    def enqueue(self, job: str, **values: Any) -> str:
        return str(self.ask("enqueue", job, values))

    def go(self) -> None:
        """Let all that it holds end."""
        self.ask("go")

    def kill(self) -> None:
        """End it as a crash or a power cut would."""
        self._process.kill()
        self._process.wait()

    def _answer(self) -> Any:
        line = self._stdout.readline()
        assert line, f"the other process ended with {self._process.wait()}"
        return json.loads(line)

    def __enter__(self) -> OtherProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._stdin.close()
        self._stdout.close()
