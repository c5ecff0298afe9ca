"""An execution's events on a terminal: bars while it runs, log lines above them; plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from engine.cli.output import Output, say
from engine.cli.words import safe
from engine.events import (
    DestinationProgress,
    DestinationState,
    Event,
    LogAdded,
    LogLevel,
    Progress,
    StageStarted,
)
from engine.units import size_text, span_text, speed_text

if TYPE_CHECKING:
    from rich.progress import TaskID

_COLORS = {LogLevel.SUCCESS: "green", LogLevel.WARNING: "yellow", LogLevel.ERROR: "red"}
_QUIET = (LogLevel.WARNING, LogLevel.ERROR)


class ProgressView:
    """Shows the events of one execution after another. `handle` is called from the engine's threads.

    On a terminal the bars say what goes on, and only warnings and errors are written as lines (all of
    them with `verbose`); into a pipe, a file or a journal every log line is written as it comes,
    unless it is `quiet`.
    """

    def __init__(self, out: Output, *, verbose: bool = False, quiet: bool = False) -> None:
        self._stream = sys.stderr if out.json else sys.stdout
        self._out = out
        self._bars: Any = None
        self._verbose = not quiet and (verbose or not self._stream.isatty())
        self._lock = threading.RLock()
        self._execution_id: str | None = None
        self._early: list[Event] = []
        self._main: TaskID | None = None
        self._destinations: dict[str, TaskID] = {}
        self._stage = ""

    def __enter__(self) -> ProgressView:
        if self._stream.isatty():
            self._bars = _bars(self._stream)
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if self._bars is not None:
                self._bars.stop()
                self._bars = None

    def watch(self, execution_id: str) -> None:
        """Show this execution from now on, with what it said before anybody knew its ID."""
        with self._lock:
            self._execution_id = execution_id
            early, self._early = self._early, []
            for event in early:
                self._show(event)

    def handle(self, event: Event) -> None:
        """Take an event; those of other executions are left alone."""
        with self._lock:
            if self._execution_id is None:
                self._early.append(event)
            else:
                self._show(event)

    def _show(self, event: Event) -> None:
        if event.execution_id != self._execution_id:
            return
        if isinstance(event, LogAdded):
            self._log(event)
        elif self._bars is None:
            return
        elif isinstance(event, StageStarted):
            self._stage = event.stage.value
            self._update(total=None, completed=None, text="")
        elif isinstance(event, Progress):
            self._progress(event)
        elif isinstance(event, DestinationProgress):
            self._destination(event)

    def _log(self, event: LogAdded) -> None:
        entry = event.entry
        if not self._verbose and entry.level not in _QUIET:
            return
        clock = entry.at.astimezone().strftime("%H:%M:%S")
        text = f"{clock}  {entry.stage.value:<10}  {safe(entry.message)}"
        if entry.details and entry.level in _QUIET:
            text += "\n" + "\n".join(f"{'':22}{safe(line)}" for line in entry.details.strip().splitlines())
        text = click.style(text, fg=_COLORS.get(entry.level))
        if self._bars is None:
            say(text, err=self._stream is sys.stderr)
        else:
            from rich.text import Text

            self._bars.console.print(Text.from_ansi(text), soft_wrap=True)

    def _progress(self, event: Progress) -> None:
        self._stage = event.stage.value
        parts = [size_text(event.bytes_out)]
        if event.speed:
            parts.append(speed_text(event.speed))
        if event.seconds_left is not None:
            parts.append(f"{'about ' if event.estimated else ''}{span_text(event.seconds_left)} left")
        completed = None if event.percent is None else event.percent
        self._update(total=None if completed is None else 100.0, completed=completed, text=", ".join(parts))

    def _update(self, *, total: float | None, completed: float | None, text: str) -> None:
        if self._main is None:
            self._main = self._bars.add_task(self._stage, total=None, text="")
        self._bars.update(self._main, description=self._stage, completed=completed or 0, text=text)
        # Rich takes a total of None for "as before"; here it means that nothing is known.
        next(task for task in self._bars.tasks if task.id == self._main).total = total

    def _destination(self, event: DestinationProgress) -> None:
        name = safe(event.destination)
        if name not in self._destinations:
            self._destinations[name] = self._bars.add_task(f"→ {name}", total=None, text="")
        text = event.state.value
        if event.state is DestinationState.UPLOADING:
            text = size_text(event.bytes_sent)
        elif event.state is DestinationState.RETRYING and event.retry_in is not None:
            text = f"attempt {event.attempt} of {event.attempts} in {span_text(event.retry_in)}"
        done = event.state is DestinationState.SUCCESS
        self._bars.update(
            self._destinations[name],
            total=1 if done else event.total,
            completed=1 if done else event.bytes_sent,
            text=text,
        )


def _bars(stream: Any) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bars

    return Bars(
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TaskProgressColumn(text_format="{task.percentage:>3.0f} %", text_format_no_percentage="     "),
        TextColumn("{task.fields[text]}", markup=False),
        console=Console(file=stream, highlight=False),
        transient=True,
    )


class TransferView:
    """The bar of one file that comes or goes; nothing where nobody looks at a terminal."""

    def __init__(self, out: Output, name: str) -> None:
        self._stream = sys.stderr if out.json else sys.stdout
        self._name = name
        self._bars: Any = None
        self._task: TaskID | None = None

    def __enter__(self) -> TransferView:
        if self._stream.isatty():
            self._bars = _bars(self._stream)
            self._bars.start()
            self._task = self._bars.add_task(safe(self._name), total=None, text="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def on_bytes(self, done: int, total: int) -> None:
        """Show how many bytes there are, and of how many."""
        if self._bars is not None:
            self._bars.update(self._task, completed=done, total=total, text=size_text(done))
