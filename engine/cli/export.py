"""`strongroom export`: the configuration as a file for `apply`."""

from __future__ import annotations

from pathlib import Path

import click

from engine.cli.files import write_text
from engine.cli.output import Output, with_output
from engine.cli.session import workspace


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to this file instead.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@with_output
def command(out: Output, output: Path | None, force: bool) -> None:
    """Write the configuration as TOML that `strongroom apply` reads.

    It holds no secret: each is a reference to an environment variable, named at the top.
    """
    from engine.declarative.export import export

    with workspace(out) as opened:
        text = export(opened)
    if output is not None:
        write_text(output, text, replace=force)
        out.document({"file": str(output)})
        out.line(f"✓ Written to {output}", color="green")
    else:
        out.document({"toml": text})
        out.line(text.rstrip("\n"))
