"""How an execution that ended is told to people: one line for the whole, one for each part."""

from __future__ import annotations

from collections.abc import Sequence

from engine.cancellation import cancel_words
from engine.cli import documents
from engine.cli.output import Output
from engine.cli.words import duration, size
from engine.events import Status
from engine.records import CopyResult, DestinationResult, Execution

_COLORS = {
    Status.SUCCESS: "green",
    Status.PARTIAL: "yellow",
    Status.FAILED: "red",
    Status.CANCELLED: "yellow",
}
_SIGNS = {Status.SUCCESS: "✓", Status.PARTIAL: "!", Status.FAILED: "✕", Status.CANCELLED: "–"}


def sign(status: Status) -> str:
    """The sign beside a status; colour never stands alone."""
    return _SIGNS.get(status, "●")


def tell(out: Output, execution: Execution) -> None:
    """Say how an execution ended, with its backups and its destinations."""
    name = execution.job_name or execution.kind
    took = f" in {duration(execution.duration)}" if execution.duration is not None else ""
    out.line(
        f"{sign(execution.status)} {name}: {execution.status}{took}  (#{execution.seq}, {execution.id})",
        bold=True,
        color=_COLORS.get(execution.status),
    )
    for backup in documents.execution(execution)["backups"]:
        before = f" from {size(backup['dump_size'])}" if backup["dump_size"] else ""
        out.line(f"  {backup['database']}: {size(backup['size'])}{before}, backup {backup['id']}")
        out.line(f"    {backup['artifact']}")
    for artifact in execution.artifacts:
        if artifact.status is not Status.SUCCESS:
            out.line(f"  {artifact.database}: {artifact.status}. {artifact.error or ''}".rstrip())
    for destination in execution.destinations:
        _destination(
            out,
            destination,
            [its for its in execution.copies if its.destination_id == destination.destination_id],
        )
    error = execution.error
    if error and execution.status is Status.CANCELLED:
        error = cancel_words(error)
    if error and execution.status is not Status.SUCCESS:
        out.line(f"  {error}", color=_COLORS.get(execution.status))
        if execution.remedy:
            out.line(f"  {execution.remedy}")


def _destination(out: Output, found: DestinationResult, copies: Sequence[CopyResult]) -> None:
    """One line, and one for each database where not all went the same way."""
    out.line(f"  → {found.name}: {_ended(found.status, found.proof, found.error)}")
    if len({its.status for its in copies}) > 1:
        for copy in copies:
            out.line(f"      {copy.database}: {_ended(copy.status, copy.proof, copy.error)}")


def _ended(status: Status, proof: str | None, error: str | None) -> str:
    if status is Status.SUCCESS:
        return f"{status}, verified: {proof}" if proof else str(status)
    return f"{status}. {error}" if error else str(status)
