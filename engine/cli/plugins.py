"""`strongroom plugins`: the adapters that are installed, and the plugins that do not load."""

from __future__ import annotations

import click

from engine.cli.output import ExitCode, Output, with_output


@click.command()
@with_output
def command(out: Output) -> int:
    """List the adapters with where they come from. A plugin that does not load makes the exit code 1."""
    from engine.contract.registry import Registry

    registry = Registry.load()
    found = [
        {
            "name": its.adapter.name,
            "title": its.adapter.title,
            "kind": its.kind,
            "plugin": its.origin.plugin,
            "distribution": its.origin.distribution,
            "version": its.origin.version,
            "state": "ready",
            "error": None,
        }
        for its in registry.all()
    ]
    found += [
        {
            "name": broken.origin.plugin,
            "title": None,
            "kind": None,
            "plugin": broken.origin.plugin,
            "distribution": broken.origin.distribution,
            "version": broken.origin.version,
            "state": "broken",
            "error": broken.cause,
        }
        for broken in registry.broken
    ]
    out.document(found)
    keys = ("name", "kind", "title", "distribution", "version", "state")
    rows = [[its[key] or "-" for key in keys] for its in found]
    out.table(
        [key.capitalize() for key in keys], rows, empty="No plugin is installed, not even the built-in ones."
    )
    for broken in registry.broken:
        out.line(f"\n✕ {broken.origin} does not load: {broken.cause}", color="red")
    return ExitCode.FAILED if registry.broken else ExitCode.SUCCESS
