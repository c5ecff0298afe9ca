"""The uploads of a run: threads of its own, so that a full pool cannot deadlock an execution.

Each destination takes one artifact at a time, in the order of the dumps; `parallel_uploads` says how
many destinations work at once. One means: strictly one by one, by priority.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from engine.errors import StrongroomError
from engine.pipeline.context import Artifact, DestinationContext, UploadResult


class Abandoned(StrongroomError):
    """Every destination has failed before the dump was done: nobody is left to take it."""


Upload = Callable[[DestinationContext, Artifact], UploadResult]


class Fanout:
    """Hands artifacts to destinations. Made, given artifacts as their dumps begin, and finished once."""

    def __init__(
        self,
        destinations: list[DestinationContext],
        upload: Upload,
        *,
        parallel: int | None,
        done: Callable[[Artifact], None],
    ) -> None:
        """`parallel` destinations at once (None: all). `done` is called when all have had an artifact."""
        self._destinations = sorted(destinations, key=lambda destination: destination.priority)
        self._upload = upload
        self._done = done
        self._changed = threading.Condition()
        self._waiting: list[tuple[DestinationContext, Artifact]] = []
        self._busy: set[int] = set()
        self._owed: dict[int, int] = {}
        self._closed = False
        width = min(parallel or len(destinations), len(destinations))
        self._threads = [
            threading.Thread(target=self._work, name=f"strongroom-upload-{number}", daemon=True)
            for number in range(width)
        ]
        for thread in self._threads:
            thread.start()

    def add(self, artifact: Artifact) -> None:
        """Let every destination follow this artifact's spool."""
        with self._changed:
            self._owed[id(artifact)] = len(self._destinations)
            self._waiting.extend((destination, artifact) for destination in self._destinations)
            self._changed.notify_all()

    def finish(self) -> None:
        """Wait until every upload has ended, one way or another."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while task := self._next():
            destination, artifact = task
            try:
                destination.results.append(self._upload(destination, artifact))
            finally:
                self._ended(destination, artifact)

    def _next(self) -> tuple[DestinationContext, Artifact] | None:
        with self._changed:
            while True:
                for number, (destination, artifact) in enumerate(self._waiting):
                    if id(destination) not in self._busy:
                        self._busy.add(id(destination))
                        del self._waiting[number]
                        return destination, artifact
                if self._closed and not self._waiting:
                    return None
                self._changed.wait()

    def _ended(self, destination: DestinationContext, artifact: Artifact) -> None:
        with self._changed:
            self._busy.discard(id(destination))
            self._owed[id(artifact)] -= 1
            last = not self._owed[id(artifact)]
            self._changed.notify_all()
        if last:
            self._done(artifact)
