"""`strongroom keys`: what encrypts the backups, and whose signatures are trusted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from engine.cli.files import write_text
from engine.cli.output import Output, with_output
from engine.cli.session import workspace
from engine.cli.words import moment
from engine.clock import iso
from engine.errors import SecretMissing, SecretsError, UsageError
from engine.records import Key


@click.group()
def command() -> None:
    """Make, list, export, import and trust keys.

    A key has a public half, which encrypts, and a secret half, which restores. The secret half lies in
    the keyring of this machine alone until it is exported.
    """


@command.command("new")
@click.argument("name", default="default")
@with_output
def new(out: Output, name: str) -> None:
    """Make a key called NAME (by default `default`, which jobs use that name no other)."""
    with workspace(out) as opened:
        key = opened.keys.new(name)
    out.document(_document(key))
    out.line(f"✓ The key {key.name} is made: {key.recipient}", color="green")
    out.line("  Without it nobody can restore. Keep a copy away from this machine:")
    out.line(f"  strongroom keys export {key.name} -o FILE")


@command.command("list")
@with_output
def list_(out: Output) -> None:
    """List the keys, and the installations whose signatures are trusted."""
    with workspace(out) as opened:
        keys = opened.keys.list()
        signers = opened.store.signers.list()
        losses: dict[str, SecretMissing | None] = {}
        try:
            losses = {key.id: opened.keys.loss(key) for key in keys}
        except SecretsError as error:  # the list itself needs no secret
            out.warn(f"whether the secret halves are still there is unknown. {error} {error.remedy}")
    out.document([{**_document(key), "lost": losses[key.id] is not None if losses else None} for key in keys])
    for loss in losses.values():
        if loss is not None:
            out.warn(f"{loss} {loss.remedy}")
    rows = [
        [
            key.name,
            _what_it_can(key, lost=losses.get(key.id) is not None),
            moment(key.created_at),
            "never" if key.exported_at is None else moment(key.exported_at),
            key.recipient,
        ]
        for key in keys
    ]
    empty = "There is no key yet. `strongroom keys new default` makes the usual one."
    out.table(["Key", "Can", "Made", "Exported", "Public half"], rows, empty=empty)
    if signers:
        out.line()
        trusted = [[signer.name, moment(signer.trusted_at), signer.public_key] for signer in signers]
        out.table(["Trusted installation", "Since", "Signing key"], trusted, empty="")


@command.command("export")
@click.argument("name", default="default")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to this new file, mode 0600.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.option("--public", is_flag=True, help="The public half alone, for a machine that only backs up.")
@with_output
def export(out: Output, name: str, output: Path | None, force: bool, public: bool) -> None:
    """Write the key NAME (by default `default`) as an age identity file, which `age -d -i` reads.

    Whoever has that file can read every backup made with the key.
    """
    with workspace(out) as opened:
        key = opened.keys.get(name)
        text = f"{key.recipient}\n" if public else opened.keys.export(name)
    document: dict[str, Any] = {"name": key.name, "recipient": key.recipient, "public": public}
    if output is None:
        out.document({**document, "file": None, "key": text})
        out.line(text.rstrip("\n"))
        return
    write_text(output, text, replace=force)
    out.document({**document, "file": str(output)})
    out.line(f"✓ Written to {output}", color="green")
    if not public:
        out.line("  Keep it where this machine's end does not reach, and where nobody else does.")


@command.command("import")
@click.argument("what", metavar="FILE|age1...|-")
@click.option("--name", help="What to call the key here; by default what its file says.")
@with_output
def import_(out: Output, what: str, name: str | None) -> None:
    """Take over a key: from a file that `keys export` or age-keygen wrote, from standard input (-),
    or its public half as it stands.

    With a secret half, this machine can restore what was encrypted to it. A signing key that the file
    names is trusted, so that the backups of the installation that wrote it count as proven.
    """
    text = _read(what)
    with workspace(out) as opened:
        imported = opened.keys.import_(text, name)
    key = imported.key
    out.document(
        {
            **_document(key),
            "created": imported.created,
            "identity_added": imported.identity_added,
            "trusted": list(imported.trusted),
        }
    )
    if not imported.created and not imported.identity_added:
        out.line(f"The key {key.name} is here already, just so: {key.recipient}")
    else:
        can = "can restore" if key.has_identity else "can encrypt, and cannot restore"
        out.line(f"✓ The key {key.name} is here, and {can}: {key.recipient}", color="green")
    for signer in imported.trusted:
        out.line(f"✓ What {signer} signs is trusted from now on.", color="green")


@command.command("trust")
@click.argument("public_key", metavar="SIGNING-KEY")
@click.option("--name", default="", help="Whose it is.")
@with_output
def trust(out: Output, public_key: str, name: str) -> None:
    """Trust the backups that another installation has signed with SIGNING-KEY (64 hexadecimal digits)."""
    with workspace(out) as opened:
        signer = opened.keys.trust(public_key, name)
    out.document({"trusted": signer.public_key, "name": signer.name})
    out.line(f"✓ Trusted from now on: {signer.name}, {signer.public_key}", color="green")


def _what_it_can(key: Key, *, lost: bool) -> str:
    if lost:
        return "encrypts; its secret half is lost"
    return "restores and encrypts" if key.has_identity else "encrypts only"


def _document(key: Key) -> dict[str, Any]:
    return {
        "name": key.name,
        "recipient": key.recipient,
        "has_identity": key.has_identity,
        "created_at": iso(key.created_at),
        "exported_at": None if key.exported_at is None else iso(key.exported_at),
    }


def _read(what: str) -> str:
    if what.strip().startswith("age1"):
        return what
    if what == "-":
        return sys.stdin.read()
    try:
        return Path(what).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"The file {what} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError:
        raise UsageError(f"The file {what} is no key file.", remedy="`keys export` writes one.") from None
