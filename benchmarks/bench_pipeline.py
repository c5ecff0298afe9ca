"""PostgreSQL to one local folder, zstd + age + SHA-256: against the shell pipeline that does the same.

The shell's: pg_dump -Fc -Z0 | zstd -3 -T0 | age -r ... | tee >(sha256sum) > file
Ours: a whole job, from its start to its stored status, in this process; without fingerprint and
read-back (which the shell's has not), and with them. Rounds alternate the order; ratios are of a round.
Processor time counts the server's, too: on a busy machine it says more than the wall's clock.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from postgres import USER, Postgres

from engine.home import Home
from engine.records import Job, JobDestination, JobOptions
from engine.secrets import VaultSecrets
from engine.workspace import Workspace

TARGET = 0.95


def shell(server: Postgres, recipient: str, folder: Path) -> None:
    """The same by standard tools."""
    dump = " ".join([str(server.binaries / "pg_dump"), *server.address, "-Fc", "-Z0", "bench"])
    sums, file = folder / "sum", folder / "artifact"
    line = f"{dump} | zstd -q -3 -T0 | age -r {recipient} | tee >(sha256sum > {sums}) > {file}"
    subprocess.run(["bash", "-c", f"set -o pipefail; {line}; wait"], check=True)


def make_job(workspace: Workspace, server: Postgres, folder: Path, *, proven: bool) -> Job:
    """A job with or without what the shell pipeline does not do: counting rows, reading back."""
    name = "proven" if proven else "bare"
    config = {
        "host": "127.0.0.1",
        "port": server.port,
        "user": USER,
        "databases": ["bench"],
        "tools": str(server.binaries),
    }
    source = workspace.endpoints.save("source", name, "postgresql", config)
    place = workspace.endpoints.save(
        "destination", name, "local", {"path": str(folder / name), "read_back": proven}
    )
    return workspace.jobs.save(
        Job(
            id="",
            name=name,
            source_id=source.id,
            source_name=source.name,
            destinations=(JobDestination(place.id, place.name, 0, {"mode": "none"}),),
            options=JobOptions(fingerprint=proven),
        )
    )


def run(workspace: Workspace, job: Job) -> int:
    """Run a job to its end; return the artifact's size in bytes."""
    ended = workspace.wait(workspace.run_job(job.id))
    if ended.status != "Success":
        raise SystemExit(f"The job ended as {ended.status}: {ended.error}")
    return sum(artifact.size or 0 for artifact in ended.artifacts)


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--scale", type=float, default=1.25, help="1 makes a dump of 0.9 GB")
    arguments.add_argument("--folder", type=Path, help="a folder on a real disk (default: the system's)")
    chosen = arguments.parse_args()
    for tool in ("bash", "zstd", "age", "sha256sum"):
        if shutil.which(tool) is None:
            raise SystemExit(f"The tool {tool} is missing.")

    with (
        tempfile.TemporaryDirectory(prefix="strongroom-bench-", dir=chosen.folder) as name,
        Postgres() as server,
    ):
        folder = Path(name)
        print("filling the database ...", flush=True)
        server.fill("bench", chosen.scale)
        home = Home(folder / "home").make()
        with Workspace.open(home, secrets=VaultSecrets(home.vault, "a benchmark's")) as workspace:
            recipient = workspace.keys.new("default").recipient
            bare = make_job(workspace, server, folder, proven=False)
            proven = make_job(workspace, server, folder, proven=True)
            works = {
                "shell": lambda: shell(server, recipient, folder),
                "ours": lambda: run(workspace, bare),
                "ours, proven": lambda: run(workspace, proven),
            }
            walls: dict[str, list[float]] = {label: [] for label in works}
            processors: dict[str, list[float]] = {label: [] for label in works}
            for number in range(-1, chosen.rounds):  # the first warms the caches and is not counted
                labels = list(works) if number % 2 else list(reversed(works))
                for label in labels:
                    for leftover in (folder / "artifact", folder / "bare", folder / "proven"):
                        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)
                    os.sync()
                    begun, worked = time.perf_counter(), processor_seconds(server)
                    works[label]()
                    taken = time.perf_counter() - begun
                    time.sleep(0.2)  # until the server has counted the ended connection
                    if number >= 0:
                        walls[label].append(taken)
                        processors[label].append(processor_seconds(server) - worked)
                if number >= 0:
                    report(
                        f"round {number + 1}", "wall", {label: taken[-1] for label, taken in walls.items()}
                    )
        for title, taken in (("wall", walls), ("processor", processors)):
            report("median", title, {label: statistics.median(seconds) for label, seconds in taken.items()})
        for title, taken in (("wall", walls), ("processor", processors)):
            ratio = statistics.median(a / b for a, b in zip(taken["ours"], taken["shell"], strict=True))
            print(f"median of the paired ratios, {title}: {ratio:.3f}")
        print(f"wanted for the wall: at most {TARGET}")
        print(f"processors: {os.cpu_count()}, load at the end: {os.getloadavg()[0]:.1f}")


def processor_seconds(server: Postgres) -> float:
    """Processor time of this process, of the tools that have ended, and of the server."""
    ours, tools = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return ours.ru_utime + ours.ru_stime + tools.ru_utime + tools.ru_stime + server.processor_seconds()


def report(title: str, what: str, taken: dict[str, float]) -> None:
    """Print one line of the table."""
    cells = [f"{label} {seconds:6.2f} s ({seconds / taken['shell']:.3f})" for label, seconds in taken.items()]
    print(f"{title:>8} {what:>9}:  {'   '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
