"""The one place where the command line speaks: documents for `--json`, lines and tables for people.

It also turns errors into their words and exit codes (DESIGN, section 6):
0 success, 1 failed, 2 wrong usage or configuration, 3 partial, 4 cancelled, 5 could not verify.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TextIO

import click

from engine.cancellation import cancel_words
from engine.cli.words import safe
from engine.errors import Cancelled, ConfigError, NeedsTrust, StrongroomError
from engine.events import Status

P = ParamSpec("P")


class ExitCode(IntEnum):
    """What the process ends with; a contract with scripts."""

    SUCCESS = 0
    FAILED = 1
    USAGE = 2
    PARTIAL = 3
    CANCELLED = 4
    COULD_NOT_VERIFY = 5


def exit_code_of(status: Status) -> ExitCode:
    """The exit code of an execution that ended with this status."""
    codes = {
        Status.SUCCESS: ExitCode.SUCCESS,
        Status.PARTIAL: ExitCode.PARTIAL,
        Status.CANCELLED: ExitCode.CANCELLED,
    }
    return codes.get(status, ExitCode.FAILED)


def say(text: str, *, err: bool = False) -> None:
    """Write a line to standard output or error.

    A reader that has gone has seen enough (`strongroom run JOB | head`): the work goes on without it, and
    the exit code tells of the work.
    """
    stream = sys.stderr if err else sys.stdout
    try:
        click.echo(text, file=stream)
    except BrokenPipeError:
        turn_away(stream)


def turn_away(stream: TextIO) -> None:
    """Let what is written to a stream from now on go nowhere, what it still holds included."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; `right` for numbers."""

    title: str
    right: bool = False


class Output:
    """Where one command writes to. Under `json` standard output carries one document and nothing else."""

    def __init__(self, *, json: bool = False) -> None:
        self.json = json
        self._said_document = False

    def document(self, value: object) -> None:
        """Print the document of `--json`; nothing for people. At most once a command."""
        if not self.json:
            return
        if self._said_document:
            raise RuntimeError("a command prints one JSON document")
        self._said_document = True
        # A terminal that cannot show the characters gets them as escapes, which are JSON too.
        plain = "utf" not in (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
        say(json.dumps(value, indent=2, ensure_ascii=plain, default=str))

    def line(self, text: str = "", *, bold: bool = False, color: str | None = None) -> None:
        """A line of the answer, for people alone."""
        if not self.json:
            say(_styled(text, bold=bold, color=color))

    def log(self, text: str, *, color: str | None = None) -> None:
        """A line on the way to the answer; under `--json` it goes to standard error."""
        say(_styled(text, color=color), err=self.json)

    def warn(self, text: str) -> None:
        """A line that must be seen whoever reads standard output: on standard error in both modes."""
        say(click.style(f"strongroom: {safe(text)}", fg="yellow"), err=True)

    def table(self, columns: Sequence[Column | str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
        """Rows in aligned columns, for people alone; `empty` is said instead when there are none."""
        if self.json:
            return
        if not rows:
            say(safe(empty))
            return
        say(_aligned([c if isinstance(c, Column) else Column(c) for c in columns], rows))

    def error(self, error: BaseException) -> int:
        """Say what failed and what to do; return the exit code. A traceback only with STRONGROOM_DEBUG."""
        told = describe_error(error)
        if os.environ.get("STRONGROOM_DEBUG") and told["kind"] not in ("Cancelled", "UsageError"):
            traceback.print_exception(error, file=sys.stderr)
        if self.json and not self._said_document:
            self.document({"error": told})
        else:
            _say_error(told["message"], told["remedy"], plainly=told["kind"] == "Cancelled")
        return exit_code_of_error(error)


def describe_error(error: BaseException) -> dict[str, Any]:
    """The value of `error` in a document: kind, message and remedy; file, line and field where known."""
    if isinstance(error, StrongroomError):
        told: dict[str, Any] = {"kind": error.kind, "message": str(error), "remedy": error.remedy}
        if isinstance(error, ConfigError):
            told |= {"file": error.file, "line": error.line, "field": error.field}
        if isinstance(error, NeedsTrust):
            told |= {"field": error.field, "value": error.value}
        return told
    if isinstance(error, Cancelled | KeyboardInterrupt | click.Abort):
        return {"kind": "Cancelled", "message": cancel_words(str(error)), "remedy": ""}
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "strongroom"
        return {
            "kind": "UsageError",
            "message": error.format_message(),
            "remedy": f"`{path} --help` shows how it is used.",
        }
    if isinstance(error, click.ClickException):
        return {"kind": type(error).__name__, "message": error.format_message(), "remedy": ""}
    return {
        "kind": type(error).__name__,
        "message": f"Something unexpected went wrong: {error or type(error).__name__}",
        "remedy": "STRONGROOM_DEBUG=1 shows where. Please report it, with the output of `strongroom doctor`.",
    }


def exit_code_of_error(error: BaseException) -> int:
    """The exit code that an error ends the command with."""
    if isinstance(error, StrongroomError):
        return error.exit_code
    if isinstance(error, Cancelled | KeyboardInterrupt | click.Abort):
        return ExitCode.CANCELLED
    if isinstance(error, click.UsageError):
        return ExitCode.USAGE
    return ExitCode.FAILED


def _styled(text: str, *, bold: bool = False, color: str | None = None) -> str:
    return click.style(safe(text), bold=True if bold else None, fg=color) if bold or color else safe(text)


def _say_error(message: str, remedy: str, *, plainly: bool = False) -> None:
    """`plainly`: without a mark, for what is no error but somebody's wish."""
    mark = "" if plainly else click.style("strongroom: ", fg="red", bold=True)
    say(mark + safe(message), err=True)
    if remedy:
        say(f"  {safe(remedy)}", err=True)


def with_output(
    command: Callable[Concatenate[Output, P], int | None],
) -> Callable[P, int]:
    """Give a command its `--json`, its `Output`, and the words and exit code of any error."""

    @click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document; logs go to standard error."
    )
    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> int:
        out = Output(json=bool(kwargs.pop("as_json", False)))
        try:
            return command(out, *args, **kwargs) or ExitCode.SUCCESS
        except (click.exceptions.Exit, BrokenPipeError):
            raise
        except (Exception, KeyboardInterrupt) as error:
            return out.error(error)

    return wrapped


def _aligned(columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    on_terminal = sys.stdout.isatty()
    # One row is one line, however narrow the terminal is: it can be found, counted and copied.
    console = Console(file=sys.stdout, width=100_000, highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold" if on_terminal else "")
    for column in columns:
        table.add_column(Text(column.title), justify="right" if column.right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(" ".join(safe(cell).split("\n"))) for cell in row))
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())
