"""The queue: runs start in their order over all processes of a store, each in the process that queued it.

`manager` is what others use; `dispatcher` starts what is next, `watcher` hears the cancels of other
processes and keeps the time limits, `orphans` settles what a dead process left.
"""

from __future__ import annotations

from engine.errors import SlotTaken
from engine.queue.dispatcher import Executor, Perform
from engine.queue.manager import QueueManager

__all__ = ["Executor", "Perform", "QueueManager", "SlotTaken"]
