"""What `verify` and `drill` share: which backups, staying with the execution, and telling what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from engine.cli.finding import find_id
from engine.cli.following import follow
from engine.cli.output import Column, ExitCode, Output
from engine.cli.session import workspace
from engine.cli.words import duration
from engine.errors import CouldNotVerify, StorageError, UsageError
from engine.events import Status
from engine.records import Execution

if TYPE_CHECKING:
    from engine.workspace import Workspace

_SIGNS = {"passed": "✓", "failed": "✕", "could-not-verify": "?"}


def prove(
    out: Output,
    backups: Sequence[str],
    every: bool,
    start: Callable[[Workspace, list[str] | None], str],
    *,
    verbose: bool,
) -> ExitCode:
    """Start a verification or drill of these backups (or of all), follow it, and tell the outcomes."""
    if every == bool(backups):
        raise UsageError("Say which backups, or --all.", remedy="`strongroom backups` lists them.")
    with workspace(out, working=True) as opened:
        ids = None if every else [_found(opened, text) for text in backups]
        execution = follow(opened, lambda: start(opened, ids), out, verbose=verbose)
        names = {its.id: its for its in opened.catalogue.list(refresh=False)}
    found = outcomes(execution)
    out.document(found)
    rows = [
        [
            f"{_SIGNS[its['outcome']]} {its['outcome']}",
            its["backup"],
            its["level"],
            duration(its["duration_s"]),
            names[its["backup"]].destination if its["backup"] in names else "",
            names[its["backup"]].artifact if its["backup"] in names else "",
            its["reason"] or "",
        ]
        for its in found
    ]
    columns: list[Column | str] = ["Outcome", "Backup", "Level", Column("Took", right=True)]
    columns += ["Destination", "Artifact", "Why"]
    out.table(columns, rows, empty="There was no backup to look at.")
    if execution.error and execution.status is not Status.SUCCESS:
        out.log(execution.error, color="red")
    return _exit_code(execution, found)


def _found(opened: Workspace, text: str) -> str:
    try:
        return find_id(opened, text)
    except StorageError as error:
        # A destination that does not answer says nothing about what lies there.
        raise CouldNotVerify(error.message, remedy=error.remedy) from error


def outcomes(execution: Execution) -> list[dict[str, Any]]:
    """What a verification or drill found, a document for each backup."""
    return [
        {
            "backup": its["backup"],
            "level": its["level"],
            "outcome": its["outcome"],
            "reason": its.get("reason") or None,
            "duration_s": round(float(its["duration_s"]), 3),
        }
        for its in execution.labels.get("outcomes", [])
    ]


def _exit_code(execution: Execution, found: Sequence[dict[str, Any]]) -> ExitCode:
    if execution.status is Status.CANCELLED:
        return ExitCode.CANCELLED
    results = {its["outcome"] for its in found}
    if "failed" in results:
        return ExitCode.FAILED
    if "could-not-verify" in results:
        return ExitCode.COULD_NOT_VERIFY
    # One that broke down as a whole looked at less than it was asked to.
    return ExitCode.SUCCESS if execution.status is Status.SUCCESS else ExitCode.COULD_NOT_VERIFY
