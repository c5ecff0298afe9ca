"""What a short command costs: `strongroom --version`, and a whole job of a 100 KB SQLite file.

The command's time is that of a new process each. The job runs inside
this process: from its start to its stored status, encrypted, to a local folder that is read back.
"""

from __future__ import annotations

import argparse
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
from typing import Any

import jobs
import measuring

WANTED = {"version": 0.25, "job": 0.5}  # seconds


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


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    times = chosen.times
    command = shutil.which("strongroom", path=str(Path(sys.executable).parent))
    argv = [command] if command else [sys.executable, "-m", "engine.cli.main"]
    taken = timed(lambda: subprocess.run([*argv, "--version"], check=True, stdout=subprocess.DEVNULL), times)
    report("strongroom --version", taken, WANTED["version"])
    bare = timed(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True), times)
    report("  of which the bare interpreter", bare)

    with tempfile.TemporaryDirectory(prefix="sr-bench-", dir=chosen.folder) as name:
        folder = Path(name)
        make_database(folder / "notes.sqlite", round(chosen.size * 1000))
        with jobs.installation(folder) as workspace:
            path = {"path": str(folder / "notes.sqlite")}
            source = workspace.endpoints.save("source", "notes", "sqlite", path)
            place = jobs.destination(workspace, "vault", "local", {"path": str(folder / "vault")})
            keeping = {"mode": "simple", "keep": 3}
            job = jobs.job(workspace, "notes", source, [place], retention=keeping)
            ran = timed(lambda: jobs.run(workspace, job), times)
            report(f"a job of a {chosen.size:g} KB SQLite file", ran, WANTED["job"])
    return {
        "seconds": {"version": taken, "bare interpreter": bare, "job": ran},
        "wanted": {"at most": WANTED},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=15)
    parser.add_argument("--size", type=float, default=100, help="KB of the file (default: %(default)g)")
    measuring.common(parser)
    measuring.main(measure, parser)
