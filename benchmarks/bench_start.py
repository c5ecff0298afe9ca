"""What a short command costs: `strongroom --version`, and a whole job of a 100 KB SQLite file.

The command's time is that of a new process each. The job runs inside
this process: from its start to its stored status, encrypted, to a local folder that is read back.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from engine.home import Home
from engine.records import Job, JobDestination
from engine.secrets import VaultSecrets
from engine.workspace import Workspace


def timed(work: Callable[[], object], times: int) -> list[float]:
    """Seconds of each of several runs; the first also pays for imports and cold caches."""
    taken = []
    for _ in range(times + 1):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return taken


def report(what: str, taken: list[float], wanted: float = 0.0) -> None:
    """Print one line."""
    first, *rest = taken
    line = f"{what:<32} first {first:.3f} s   then {min(rest):.3f} to {max(rest):.3f} s"
    aim = f"   (wanted: at most {wanted} s)" if wanted else ""
    print(f"{line}, median {statistics.median(rest):.3f} s{aim}", flush=True)


def make_database(path: Path, size: int) -> None:
    """An SQLite file of at least `size` bytes."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
        while path.stat().st_size < size:
            with database:
                database.executemany("INSERT INTO notes (text) VALUES (?)", [("a note " * 10,)] * 50)


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--times", type=int, default=15)
    times = arguments.parse_args().times

    command = shutil.which("strongroom", path=str(Path(sys.executable).parent))
    argv = [command] if command else [sys.executable, "-m", "engine.cli.main"]
    taken = timed(lambda: subprocess.run([*argv, "--version"], check=True, stdout=subprocess.DEVNULL), times)
    report("strongroom --version", taken, 0.25)
    bare = timed(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True), times)
    report("  of which the bare interpreter", bare)

    with tempfile.TemporaryDirectory(prefix="strongroom-bench-") as name:
        folder = Path(name)
        make_database(folder / "notes.sqlite", 100_000)
        home = Home(folder / "home").make()
        with Workspace.open(home, secrets=VaultSecrets(home.vault, "a benchmark's")) as workspace:
            workspace.keys.new("default")
            source = workspace.endpoints.save(
                "source", "notes", "sqlite", {"path": str(folder / "notes.sqlite")}
            )
            place = workspace.endpoints.save("destination", "vault", "local", {"path": str(folder / "vault")})
            job = workspace.jobs.save(
                Job(
                    id="",
                    name="notes",
                    source_id=source.id,
                    source_name=source.name,
                    destinations=(JobDestination(place.id, place.name, 0, {"mode": "simple", "keep": 3}),),
                )
            )

            def run() -> None:
                ended = workspace.wait(workspace.run_job(job.id))
                if ended.status != "Success":
                    raise SystemExit(f"The job ended as {ended.status}: {ended.error}")

            report("a job of a 100 KB SQLite file", timed(run, times), 0.5)
    print(f"processors: {os.cpu_count()}, load at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
