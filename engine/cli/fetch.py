"""`strongroom fetch`: a backup's file, as it is stored or as the dump that it holds."""

from __future__ import annotations

from pathlib import Path

import click

from engine.cli.finding import BACKUP_HELP, find_backup
from engine.cli.following import cancellable
from engine.cli.output import Output, with_output
from engine.cli.progress import TransferView
from engine.cli.session import workspace
from engine.cli.words import size


@click.command(epilog=BACKUP_HELP)
@click.argument("backup")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The file to write.")
@click.option("--decrypt", is_flag=True, help="Decrypt and decompress: write the dump itself.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.option("--unproven", is_flag=True, help="With --decrypt: although it is not proven who wrote it.")
@with_output
def command(out: Output, backup: str, output: Path, decrypt: bool, force: bool, unproven: bool) -> None:
    """Write the file of BACKUP, mode 0600. It appears when it is whole and its checksum has matched."""
    from engine.archive.sidecar import restore_hint
    from engine.recovery.retrieve import Retriever

    target = output.expanduser().absolute()
    with workspace(out) as opened:
        found = find_backup(opened, backup)
        retriever = Retriever(opened.home, opened.catalogue, opened.endpoints, opened.keys)
        with TransferView(out, found.artifact) as view:
            verdict = cancellable(
                lambda token: retriever.save(
                    found,
                    target,
                    decrypt=decrypt,
                    cancel=token,
                    unproven=unproven,
                    overwrite=force,
                    on_bytes=view.on_bytes,
                )
            )
    if not verdict.proves:
        out.warn(f"who wrote {found.artifact} is not proven: its sidecar {verdict.words}")
    written = target.stat().st_size
    out.document(
        {
            "backup": found.id,
            "artifact": found.artifact,
            "file": str(target),
            "decrypted": decrypt,
            "size": written,
            "signature": str(verdict),
        }
    )
    out.line(f"✓ {size(written)} in {target}", color="green")
    if not decrypt:
        sidecar = found.sidecar
        encrypted, command = sidecar.encryption is not None, sidecar.restore_command
        out.line("  It is whole: its SHA-256 is the recorded one. Standard tools restore it:")
        out.line(f"  {restore_hint(str(target), sidecar.compression_algorithm, encrypted, command)}")
