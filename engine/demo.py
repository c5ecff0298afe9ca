"""The demo: a fresh profile in which a sample shop is backed up, encrypted, verified, drilled and restored.

Everything lies in one folder of its own, so a real profile is never touched and removing the folder
removes the demo. What is done is done by the same workspace that does it for real.
"""

from __future__ import annotations

import os
import secrets
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from engine import sample
from engine.errors import IntegrityError, SecretsError, StrongroomError
from engine.events import Status
from engine.home import Home
from engine.records import Execution, Job, JobDestination
from engine.units import size_text

if TYPE_CHECKING:
    from engine.workspace import Workspace

JOB, SOURCE, DESTINATION, KEY = "shop-nightly", "shop", "this-computer", "default"
RETENTION = {"mode": "smart", "keep_last": 3, "daily": 7, "weekly": 4, "monthly": 12}


@dataclass(frozen=True, slots=True)
class Profile:
    """The demo's folders, and the environment variables that make any command work on them."""

    home: Home
    environment: Mapping[str, str]

    @property
    def folder(self) -> Path:
        """Where the sample, its backups and what is restored lie."""
        return self.home.root / "demo"

    @property
    def sample(self) -> Path:
        return self.folder / "shop.sqlite"

    @property
    def backups(self) -> Path:
        return self.folder / "backups"

    @property
    def restored(self) -> Path:
        return self.folder / "shop-restored.sqlite"


@dataclass(frozen=True, slots=True)
class Step:
    """Something that the demo did; `seconds` is how long it took."""

    title: str
    detail: str
    seconds: float


@dataclass(slots=True)
class Result:
    """What there is when the demo has ended: `artifact` is the backup's file on this disk."""

    run: Execution | None = None
    backup_id: str = ""
    artifact: Path = field(default_factory=Path)
    tables: dict[str, int] = field(default_factory=dict)


def fresh_profile(environ: Mapping[str, str]) -> Profile:
    """Choose and make the folder: STRONGROOM_HOME if it is set and empty, else a new one of the user's.

    Secrets go to the OS keyring, or, where there is none, to a vault file whose passphrase lies beside
    it (mode 0600): fit for a demo, and for nothing else. Raises `StrongroomError`.
    """
    home = Home(_empty_folder(environ)).make()
    environment = {"STRONGROOM_HOME": str(home.root)}
    if not environ.get("STRONGROOM_VAULT"):
        from engine.secrets import open_secrets

        try:
            open_secrets(home, {}).check()
        except SecretsError:
            passphrase = home.root / "vault.passphrase"
            with os.fdopen(os.open(passphrase, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(24))
            environment |= {
                "STRONGROOM_VAULT": "file",
                "STRONGROOM_VAULT_PASSPHRASE_FILE": str(passphrase),
            }
    return Profile(home, environment)


def _empty_folder(environ: Mapping[str, str]) -> Path:
    chosen = environ.get("STRONGROOM_HOME")
    if chosen:
        root = Path(chosen).expanduser().absolute()
        if not root.exists() or (root.is_dir() and not any(root.iterdir())):
            return root
    import platformdirs

    base = Path(platformdirs.user_data_dir("strongroom-demo", appauthor=False))
    number = 1
    while True:
        root = base if number == 1 else base.with_name(f"{base.name}-{number}")
        try:
            root.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            number += 1
            continue
        except OSError as error:
            raise StrongroomError(
                f"The folder {root} for the demo cannot be made: {error.strerror}.",
                remedy="Set STRONGROOM_HOME to an empty folder that you may write to.",
            ) from error
        return root


Run = Callable[[Callable[[], str]], Execution]
"""Starts an execution and waits for its end; the command line shows its progress meanwhile."""


def play(workspace: Workspace, profile: Profile, tell: Callable[[Step], None], run: Run) -> Result:
    """Do all of the demo's steps on a fresh workspace. Raises `StrongroomError` for one that fails."""
    from engine.recovery.requests import RestoreRequest

    result = Result()
    with _step(tell, "Sample database") as said:
        profile.folder.mkdir(mode=0o700)
        profile.backups.mkdir(mode=0o700)
        result.tables = sample.make(profile.sample)
        rows = sum(result.tables.values())
        said.append(f"{profile.sample}: {len(result.tables)} tables, {rows:,} rows")
    with _step(tell, "Encryption key") as said:
        key = workspace.keys.new(KEY)
        said.append(f"{key.name}: {key.recipient}")
    with _step(tell, "Job") as said:
        job = _configure(workspace, profile)
        said.append(f"{job.name}: {SOURCE} to {DESTINATION} ({profile.backups}), both tested")
    with _step(tell, "Backup") as said:
        result.run = _succeeded(run(lambda: workspace.run_job(job.id)))
        artifact = result.run.artifacts[0]
        result.artifact = profile.backups / artifact.name
        result.backup_id = _backup_id(workspace, artifact.name)
        said.append(f"{result.backup_id}: {size_text(artifact.size or 0)}, {artifact.name}")
    with _step(tell, "Verification") as said:
        _succeeded(run(lambda: workspace.verify([result.backup_id], "decode")))
        said.append("signature, checksum, decryption, decompression: all of the file was read, and is whole")
    with _step(tell, "Drill") as said:
        _succeeded(run(lambda: workspace.drill([result.backup_id])))
        said.append("restored into a scratch database; its tables have the rows that the dump saw")
    with _step(tell, "Restore") as said:
        request = RestoreRequest(backup_id=result.backup_id, to_source=SOURCE, as_name=profile.restored.stem)
        _succeeded(run(lambda: workspace.restore(request)))
        if found := sample.differences(profile.sample, profile.restored):
            raise IntegrityError(f"The restored database differs from the sample: {'; '.join(found)}.")
        said.append(f"{profile.restored}: all {rows:,} rows and the schema are equal")
    return result


def commands(profile: Profile, result: Result, strongroom: str) -> list[str]:
    """The lines of one shell that restore the backup with standard tools; Strongroom only gives the key."""
    quote = shlex.quote
    key, target = profile.folder / "key.txt", profile.folder / "by-hand.sqlite"
    table = max(result.tables, key=lambda name: result.tables[name])
    return [
        *(f"export {name}={quote(value)}" for name, value in profile.environment.items()),
        f"{quote(strongroom)} keys export {KEY} -o {quote(str(key))}",
        f"age -d -i {quote(str(key))} {quote(str(result.artifact))} | zstd -d > {quote(str(target))}",
        f"sqlite3 {quote(str(target))} 'PRAGMA integrity_check; SELECT count(*) FROM {table}'",  # noqa: S608
    ]


@contextmanager
def _step(tell: Callable[[Step], None], title: str) -> Iterator[list[str]]:
    begun = time.monotonic()
    said: list[str] = []
    yield said
    tell(Step(title, "; ".join(said), time.monotonic() - begun))


def _configure(workspace: Workspace, profile: Profile) -> Job:
    endpoints = workspace.endpoints
    source = endpoints.save("source", SOURCE, "sqlite", {"path": str(profile.sample)})
    destination = endpoints.save("destination", DESTINATION, "local", {"path": str(profile.backups)})
    endpoints.check(source)
    endpoints.check(destination)
    return workspace.jobs.save(
        Job(
            id="",
            name=JOB,
            source_id=source.id,
            source_name=source.name,
            destinations=(JobDestination(destination.id, destination.name, retention=RETENTION),),
            encryption=KEY,
        )
    )


def _backup_id(workspace: Workspace, artifact: str) -> str:
    found = workspace.catalogue.list(destination=DESTINATION, refresh=True)
    return next(backup.id for backup in found if backup.artifact == artifact)


def _succeeded(execution: Execution) -> Execution:
    if execution.status is not Status.SUCCESS:
        raise StrongroomError(
            f"The {execution.kind} ended as {execution.status}: {execution.error or 'no reason was given'}",
            remedy=execution.remedy or f"`strongroom show {execution.id}` shows its log.",
        )
    return execution
