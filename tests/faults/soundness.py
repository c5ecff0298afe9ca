"""What must hold after any fault, whatever it was: nothing lost, nothing torn, nothing left, and a next run.

`assert_sound` looks in the test's own process, or in one on the machine whose mounts the installation uses.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from engine.backups import Backup
from engine.events import Status
from engine.sidefiles import PROOF_SUFFIX, SUFFIXES
from engine.workspace import Workspace
from tests.parts.commands import PATIENCE, Installation, files

ROOT = Path(__file__).parents[2]

Older = Mapping[Path, Mapping[str, str]]
"""What lay in a destination's folder before the fault, by folder and name, with its SHA-256."""


def older(*folders: Path) -> Older:
    """Remember what lies there: artifacts and sidecars, which a later fault may not touch."""
    return {
        folder: {name: digest for name, digest in files(folder).items() if not name.endswith(PROOF_SUFFIX)}
        for folder in folders
    }


def assert_sound(
    installation: Installation,
    job: str,
    before: Older | None = None,
    *,
    again: Status = Status.SUCCESS,
    verified: bool = False,
) -> None:
    """Settle as the next start does, run the job once more, and look at all that there is.

    `again` is how that next run is expected to end. `verified` says that what was there `before` has been
    verified already: its bytes are compared all the same.
    """
    known = [name for was in (before or {}).values() for name in was] if verified else []
    if installation.prefix:
        argv = [*installation.prefix, sys.executable, "-m", "tests.faults.soundness"]
        asked = json.dumps([str(installation.folder), installation.environ, job, str(again), known])
        environ = {**installation.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            argv, input=asked, capture_output=True, text=True, timeout=PATIENCE, env=environ
        )
        assert done.returncode == 0, done.stderr
        problems = json.loads(done.stdout)
    else:
        with installation.workspace() as workspace:
            problems = list(problems_of(workspace, job, again, known))
    assert not problems, "\n".join(problems)
    for folder, was in (before or {}).items():
        now = files(folder)
        assert {name: now.get(name) for name in was} == was, "an older backup was touched"


def problems_of(workspace: Workspace, job: str, again: Status, known: Collection[str] = ()) -> Iterator[str]:
    """Everything that is not as it must be, in words; nothing when all is well."""
    workspace.settle()
    yield from (
        f"nobody runs #{its.seq}, and it is {its.status}" for its in workspace.store.executions.active()
    )
    yield from _left_on_this_machine(workspace)
    ran = workspace.wait(workspace.run_job(job), PATIENCE)
    if ran.status is not again:
        yield f"the next run ended as {ran.status}: {ran.error}"
    yield from _left_on_this_machine(workspace)
    yield from (f"still on record: {its}" for its in workspace.store.leftovers.list())
    yield from _torn(workspace, known)


def _left_on_this_machine(workspace: Workspace) -> Iterator[str]:
    home = workspace.home
    for folder in (home.spool, home.scratch, home.locks):
        yield from (f"left behind: {path}" for path in folder.iterdir())


def _torn(workspace: Workspace, known: Collection[str]) -> Iterator[str]:
    """Files that belong to no backup, and backups that do not decode to their end."""
    problems = workspace.catalogue.refresh()
    yield from (f"cannot be listed: {its}" for its in problems if its.artifact or not its.unreachable)
    backups = workspace.catalogue.list(refresh=False)
    for place in workspace.endpoints.all("destination"):
        folder = Path(str(place.config["path"]))
        if folder.is_dir():
            yield from _strays(folder, [its for its in backups if its.destination_id == place.id])
    unknown = [its.id for its in backups if its.artifact not in known]
    if not unknown:
        return
    verified = workspace.wait(workspace.verify(unknown, "decode"), PATIENCE)
    for outcome in verified.labels["outcomes"]:
        if outcome["outcome"] != "passed":
            yield f"a backup that is listed does not verify: {outcome}"


def _strays(folder: Path, backups: list[Backup]) -> Iterator[str]:
    named = {backup.artifact for backup in backups}
    for name in files(folder):
        artifact = next((name.removesuffix(end) for end in SUFFIXES if name.endswith(end)), name)
        if artifact not in named:
            yield f"no backup's file: {folder / name}"
    yield from (f"no file for: {name}" for name in named if not (folder / name).is_file())


def main() -> None:
    folder, environ, job, again, known = json.load(sys.stdin)
    with Installation(Path(folder), environ=environ).workspace() as workspace:
        print(json.dumps(list(problems_of(workspace, job, Status(again), known))))


if __name__ == "__main__":
    main()
