"""`strongroom doctor`: what this machine lacks, and how to mend it."""

from __future__ import annotations

import click

from engine.cli.output import ExitCode, Output, with_output
from engine.units import counted

_SIGNS = {"ok": "✓", "note": "·", "warning": "!", "error": "✕"}
_COLORS = {"ok": None, "note": None, "warning": "yellow", "error": "red"}


@click.command()
@with_output
def command(out: Output) -> int:
    """Look at this machine and this installation, and say how to mend what is wrong.

    Nothing is changed. The exit code is 1 when something is broken; notes and warnings leave it 0.
    """
    from engine.doctor import State, examine, worst

    findings = examine()
    out.document(
        {
            "state": str(worst(findings)),
            "findings": [
                {"area": its.area, "state": str(its.state), "detail": its.detail, "remedy": its.remedy}
                for its in findings
            ],
        }
    )
    width = max(len(its.area) for its in findings)
    for its in findings:
        out.line(f"{_SIGNS[its.state]} {its.area:<{width}}  {its.detail}", color=_COLORS[its.state])
        if its.remedy:
            out.line(f"  {'':<{width}}  → {its.remedy}")
    errors = sum(its.state is State.ERROR for its in findings)
    warnings = sum(its.state is State.WARNING for its in findings)
    if errors or warnings:
        out.line(f"\n{counted(errors, 'error')}, {counted(warnings, 'warning')}.", bold=True)
    else:
        out.line("\nAll is well.", bold=True)
    return ExitCode.FAILED if errors else ExitCode.SUCCESS
