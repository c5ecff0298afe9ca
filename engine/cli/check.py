"""`strongroom check`: one connection, tested for real."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from engine.cli.following import cancellable
from engine.cli.output import Output, with_output
from engine.cli.session import workspace
from engine.cli.words import size
from engine.contract.registry import KIND_NAMES, KindName
from engine.contract.values import SourceReport, StorageReport
from engine.errors import NeedsTrust
from engine.records import Endpoint

if TYPE_CHECKING:
    from engine.workspace import Workspace


@click.command()
@click.argument("kind", type=click.Choice(KIND_NAMES))
@click.argument("name")
@click.option(
    "--trust",
    metavar="VALUE",
    help="Confirm the server's identity, if it shows exactly this one: e.g. 'ssh-ed25519 SHA256:...'.",
)
@with_output
def command(out: Output, kind: KindName, name: str, trust: str | None) -> None:
    """Test the host, source, destination or notifier NAME for real.

    On a host something is run. A source is connected to and looked at for all that a dump needs. To a
    destination a small file is written, read back and deleted. By a notifier a test message is sent.

    A server that nobody has confirmed yet is not talked to: its identity is shown. Compare it with what
    whoever runs the server says, and give it by --trust; it is then kept in the configuration.
    """
    with workspace(out) as opened:
        endpoint = opened.endpoints.get(kind, name)
        trusted: str | None = None
        try:
            report = _check(opened, endpoint)
        except NeedsTrust as question:
            endpoint = _confirmed(opened, endpoint, question, trust)
            trusted = question.value
            report = _check(opened, endpoint)
    lines, details = _told(report)
    out.document(
        {
            "kind": kind,
            "name": endpoint.name,
            "adapter": endpoint.adapter,
            "ok": True,
            "trusted": trusted,
            **details,
        }
    )
    if trusted is not None:
        out.line(f"{trusted} is trusted from now on.")
    elif trust is not None:
        out.line("There was nothing to confirm: the server is known already.")
    out.line(f"✓ The {kind} {endpoint.name} works.", bold=True, color="green")
    for line in lines:
        out.line(f"  {line}")


def _check(opened: Workspace, endpoint: Endpoint) -> SourceReport | StorageReport | str:
    return cancellable(lambda token: opened.endpoints.check(endpoint, cancel=token))


def _confirmed(opened: Workspace, endpoint: Endpoint, question: NeedsTrust, trust: str | None) -> Endpoint:
    """The endpoint with the server's identity kept, when it is the one that was given by --trust.

    Raises `NeedsTrust` with the command that would confirm it, or with both when they differ.
    """
    if trust is None:
        confirm = ["strongroom", "check", endpoint.kind, endpoint.name, "--trust", question.value]
        raise NeedsTrust(
            question.message,
            field=question.field,
            value=question.value,
            remedy=f"{question.remedy} To confirm it: {shlex.join(confirm)}".strip(),
        ) from question
    if " ".join(trust.split()).rstrip("=") != question.value:
        raise NeedsTrust(
            f"REFUSED: the server shows {question.value}, and not {trust}, which you were told. "
            "Nothing was stored.",
            field=question.field,
            value=question.value,
            remedy="Do not go on before whoever runs the server has explained that: somebody else may be "
            "answering in its place.",
        ) from question
    values = {**endpoint.config, question.field: question.value}
    return opened.endpoints.save(
        endpoint.kind, endpoint.name, endpoint.adapter, values, id=endpoint.id, host=endpoint.host
    )


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
