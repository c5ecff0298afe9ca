"""`strongroom restore`: a backup, a whole set of them, or a loose file, back into a database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli import documents, summary
from engine.cli.finding import BACKUP_HELP, find_backup, find_set
from engine.cli.following import follow
from engine.cli.output import Output, exit_code_of, with_output
from engine.cli.session import workspace
from engine.errors import UsageError
from engine.events import Status

if TYPE_CHECKING:
    from engine.recovery.requests import RestoreRequest
    from engine.workspace import Workspace


@click.command(epilog=BACKUP_HELP)
@click.argument("backup", required=False)
@click.option("--to", "source", metavar="SOURCE", required=True, help="The source to restore into.")
@click.option("--as", "name", metavar="NAME", help="The database's name there; by default its own.")
@click.option("--overwrite", is_flag=True, help="Replace what exists and is not empty.")
@click.option("--unproven", is_flag=True, help="Although it is not proven who wrote the backup.")
@click.option("--whole-set", is_flag=True, help="Every database of the run that the backup is of.")
@click.option("--database", "only", metavar="NAME", multiple=True, help="Of that run, this one; repeatable.")
@click.option("--rename", metavar="OLD=NEW", multiple=True, help="With a set: another name for one of it.")
@click.option("--file", "path", metavar="PATH", help="Instead of BACKUP: an artifact as a file.")
@click.option("--set", "choices", metavar="KEY=VALUE", multiple=True, help="A choice of this restore alone.")
@click.option("-v", "--verbose", is_flag=True, help="Show every line of the log on a terminal, too.")
@with_output
def command(
    out: Output,
    backup: str | None,
    source: str,
    name: str | None,
    overwrite: bool,
    unproven: bool,
    whole_set: bool,
    only: tuple[str, ...],
    rename: tuple[str, ...],
    path: str | None,
    choices: tuple[str, ...],
    verbose: bool,
) -> int:
    """Restore BACKUP into SOURCE, whose database is made if it is missing.

    The signature and the checksum have matched before the target is touched. With --overwrite the new
    database is built beside the old one and takes its place only when it has been compared.

    A file that is given by --file is proven by its sidecar, if that lies beside it. Without one its name
    says what it is, --as which database, and --unproven that you know where it comes from.

    What --set can choose are the source's keys that begin with restore_ (docs/sources.md); a key that is
    given several times is a list.
    """
    from engine.recovery.requests import RestoreRequest

    several = whole_set or bool(only) or bool(rename)
    _check(backup, path, name, several)
    with workspace(out, working=True) as opened:
        target = opened.endpoints.get("source", source)
        wanted = RestoreRequest(
            "",
            target.id,
            as_name=name,
            overwrite=overwrite,
            unproven=unproven,
            choices=_choices(choices),
            file=str(Path(path).expanduser().absolute()) if path is not None else "",
        )
        requests = _requests(opened, wanted, backup, several, only, _names(rename))
        execution = follow(opened, lambda: opened.restore(*requests), out, verbose=verbose)
    restored = execution.labels.get("restored", [])
    database = execution.labels.get("database") or name
    out.document(
        {
            "execution": execution.id,
            "number": execution.seq,
            "status": str(execution.status),
            "backup": requests[0].backup_id or requests[0].file,
            "target": target.name,
            "database": database,
            "kept": execution.labels.get("kept"),
            "databases": restored,
            "duration_s": documents.execution(execution)["duration_s"],
            "error": documents.error(execution),
        }
    )
    summary.tell(out, execution)
    for its in restored:
        if its["status"] == str(Status.SUCCESS):
            out.line(f"  {its['database']} is restored at {target.name}")
            if its["kept"]:
                out.line(f"  The old database is kept as {its['kept']}")
    return exit_code_of(execution.status)


def _check(backup: str | None, path: str | None, name: str | None, several: bool) -> None:
    if name is not None and not name.strip():
        raise UsageError("--as needs a name.", remedy="Leave it out to restore under the database's own.")
    if (backup is None) == (path is None):
        raise UsageError("A restore needs BACKUP or --file.", remedy="Give one of the two.")
    if several and path is not None:
        raise UsageError("A file is one database.", remedy="Restore each file of a set by itself.")
    if several and name is not None:
        raise UsageError(
            "--as is for one database.", remedy="Of a set, give each its name by --rename OLD=NEW."
        )


def _requests(
    opened: Workspace,
    wanted: RestoreRequest,
    backup: str | None,
    several: bool,
    only: Sequence[str],
    names: dict[str, str],
) -> list[RestoreRequest]:
    from dataclasses import replace

    if backup is None:
        return [wanted]
    if not several:
        return [replace(wanted, backup_id=find_backup(opened, backup).id)]
    from engine.recovery.sets import of_set

    chosen = find_set(opened, backup)
    return of_set(chosen, opened.catalogue.list(), wanted, only=only, names=names)


def _names(given: Sequence[str]) -> dict[str, str]:
    """The other names, by the names in the backup."""
    names: dict[str, str] = {}
    for old, new in _pairs("--rename", given):
        if old in names:
            raise UsageError(f"--rename gives {old} two names.")
        if not new:
            raise UsageError(f"--rename gives {old} no name.")
        names[old] = new
    return names


def _choices(given: Sequence[str]) -> dict[str, str | list[str]]:
    """The choices by their keys; one that is given several times is a list."""
    found: dict[str, list[str]] = {}
    for key, value in _pairs("--set", given):
        found.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def _pairs(option: str, given: Sequence[str]) -> Iterator[tuple[str, str]]:
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{option} {text!r} is not of the form NAME=VALUE.")
        yield key.strip(), value
