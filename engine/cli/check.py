"""`strongroom check`: one connection, tested for real."""

from __future__ import annotations

from typing import Any

import click

from engine.cli.following import cancellable
from engine.cli.output import Output, with_output
from engine.cli.session import workspace
from engine.cli.words import size
from engine.registry import KindName
from engine.values import SourceReport, StorageReport


@click.command()
@click.argument("kind", type=click.Choice(["source", "destination", "notifier"]))
@click.argument("name")
@with_output
def command(out: Output, kind: KindName, name: str) -> None:
    """Test the source, destination or notifier NAME for real.

    A source is connected to and looked at for all that a dump needs; to a destination a small file is
    written, read back and deleted; by a notifier a test message is sent.
    """
    with workspace(out) as opened:
        endpoint = opened.endpoints.get(kind, name)
        report = cancellable(lambda token: opened.endpoints.check(endpoint, cancel=token))
    lines, details = _told(report)
    out.document({"kind": kind, "name": endpoint.name, "adapter": endpoint.adapter, "ok": True, **details})
    out.line(f"✓ The {kind} {endpoint.name} works.", bold=True, color="green")
    for line in lines:
        out.line(f"  {line}")


def _told(report: SourceReport | StorageReport | str) -> tuple[list[str], dict[str, Any]]:
    if isinstance(report, SourceReport):
        lines = [f"{report.engine} {report.version}"]
        if report.databases:
            lines.append(f"databases: {', '.join(report.databases)}")
        lines += [f"{tool.name} {tool.version} ({tool.path})" for tool in report.tools]
        return [*lines, *report.notes], {
            "engine": report.engine,
            "version": report.version,
            "databases": list(report.databases),
            "tools": [{"name": its.name, "version": its.version, "path": its.path} for its in report.tools],
            "notes": list(report.notes),
        }
    if isinstance(report, StorageReport):
        lines = [report.detail] + ([f"{size(report.free)} free"] if report.free is not None else [])
        return [*lines, *report.notes], {
            "detail": report.detail,
            "free": report.free,
            "notes": list(report.notes),
        }
    return [report], {"detail": report}
