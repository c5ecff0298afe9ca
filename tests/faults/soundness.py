"""What must hold after any fault, whatever it was: nothing lost, nothing torn, nothing left, and a next run.

`assert_sound` looks in the test's own process, or in one on the machine whose mounts the installation uses.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from engine.archive.sidefiles import SUFFIXES
from engine.events import Status
from engine.records import Execution
from engine.workspace import Workspace
from tests.faults.places import Older, Place, Places, from_json, lying, older, place_of, to_json
from tests.parts.commands import PATIENCE, Installation

__all__ = ["assert_honest", "assert_sound", "older", "problems_of"]

ROOT = Path(__file__).parents[2]


def assert_honest(execution: Execution, places: Places) -> None:
    """The run's status is what its destinations' say, and each of these is what lies there.

    Where it succeeded, the artifact lies with the bytes that were dumped, and its sidecar beside it. Where
    it did not, there is no sidecar, so that nobody takes what may be left for a backup; or it is one.
    """
    succeeded = 0
    for destination in execution.destinations:
        there = places[destination.name].files()
        for artifact in execution.artifacts:
            digest, sidecar = there.get(artifact.name), f"{artifact.name}.meta.json" in there
            whole = digest is not None and digest == artifact.sha256 and sidecar
            if destination.status is Status.SUCCESS:
                assert whole, f"{destination.name} is told to have {artifact.name}, and there lies {there}"
            else:
                assert whole or not sidecar, f"{destination.name} has half of {artifact.name}: {there}"
        if destination.status is Status.SUCCESS:
            succeeded += 1
            assert destination.error is None
        else:
            assert destination.status in (Status.FAILED, Status.CANCELLED)
            assert destination.error or execution.status is Status.CANCELLED, "a failure says why"
    wanted = {0: Status.FAILED, len(execution.destinations): Status.SUCCESS}.get(succeeded, Status.PARTIAL)
    if execution.status is not Status.CANCELLED:
        assert execution.status is wanted, f"{execution.status}, with {succeeded} that succeeded"
    if execution.status in (Status.FAILED, Status.PARTIAL):
        assert execution.error and execution.remedy, "every error says what to do"


def assert_sound(
    installation: Installation,
    job: str,
    before: Older | None = None,
    *,
    again: Status = Status.SUCCESS,
    verified: bool = False,
    places: Places | None = None,
) -> None:
    """Settle as the next start does, run the job once more, and look at all that there is.

    `again` is how that next run is expected to end. `verified` says that what was there `before` has been
    verified already: its bytes are compared all the same. `places` has the destinations that are no
    folder of this machine, by name.
    """
    known = [name for was in (before or {}).values() for name in was] if verified else []
    if installation.prefix:
        argv = [*installation.prefix, sys.executable, "-m", "tests.faults.soundness"]
        asked = json.dumps(
            [str(installation.folder), installation.environ, job, str(again), known, to_json(places or {})]
        )
        environ = {**installation.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            argv, input=asked, capture_output=True, text=True, timeout=PATIENCE, env=environ
        )
        assert done.returncode == 0, done.stderr
        problems = json.loads(done.stdout)
    else:
        with installation.workspace() as workspace:
            problems = list(problems_of(workspace, job, again, known, places))
    assert not problems, "\n".join(problems)
    for place, was in (before or {}).items():
        now = lying(place)
        assert {name: now.get(name) for name in was} == was, "an older backup was touched"


def problems_of(
    workspace: Workspace,
    job: str,
    again: Status,
    known: Collection[str] = (),
    places: Places | None = None,
) -> Iterator[str]:
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
    yield from _torn(workspace, known, places or {})


def _left_on_this_machine(workspace: Workspace) -> Iterator[str]:
    home = workspace.home
    for folder in (home.spool, home.scratch, home.locks):
        yield from (f"left behind: {path}" for path in folder.iterdir())


def _torn(workspace: Workspace, known: Collection[str], places: Places) -> Iterator[str]:
    """Files that belong to no backup, backups without their bytes, and those that do not decode to an end.

    Copies whose bytes are those that the sidecar tells decode alike, so that one of them is enough.
    """
    problems = workspace.catalogue.refresh()
    yield from (f"cannot be listed: {its}" for its in problems if its.artifact or not its.unreachable)
    backups = workspace.catalogue.list(refresh=False)
    copies: dict[str, str] = {}
    for destination in workspace.endpoints.all("destination"):
        place = places.get(destination.name) or place_of(destination)
        mine, there = [its for its in backups if its.destination_id == destination.id], place.files()
        yield from _strays(place, there, {its.artifact for its in mine})
        for backup in mine:
            if there.get(backup.artifact) != backup.sidecar.checksum:
                yield f"not the bytes that were dumped: {backup.artifact} in {place}"
            if backup.artifact not in known:
                copies.setdefault(backup.sidecar.checksum, backup.id)
    if not copies:
        return
    verified = workspace.wait(workspace.verify(list(copies.values()), "decode"), PATIENCE)
    for outcome in verified.labels["outcomes"]:
        if outcome["outcome"] != "passed":
            yield f"a backup that is listed does not verify: {outcome}"


def _strays(place: Place, there: Collection[str], named: Collection[str]) -> Iterator[str]:
    for name in there:
        artifact = next((name.removesuffix(end) for end in SUFFIXES if name.endswith(end)), name)
        if artifact not in named:
            yield f"no backup's file in {place}: {name}"
    yield from (f"an unfinished upload in {place}: {its}" for its in place.unfinished())


def main() -> None:
    folder, environ, job, again, known, places = json.load(sys.stdin)
    with Installation(Path(folder), environ=environ).workspace() as workspace:
        found = problems_of(workspace, job, Status(again), known, from_json(places))
        print(json.dumps(list(found)))


if __name__ == "__main__":
    main()
