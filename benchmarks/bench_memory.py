"""Peak memory of the engine for a dump of 1 GB and one of 10 GB: flat, and at most 120 MiB.

Each size is backed up by a process of its own: a whole job with zstd, age, a spool and a local folder
that is read back, and then decoded to its end (`verify --level decode`). The dump comes from a tool
through Host, as pg_dump's does. For 10 GB it takes
8 GB of disk (the spool and the copy) and some minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar

import strongroom
from engine.home import Home
from engine.records import Job, JobDestination
from engine.registry import Origin, Registry
from engine.secrets import VaultSecrets
from engine.workspace import Workspace

LIMIT = 120.0  # MiB

# Written by a tool of its own, so that making the dump costs the engine no memory.
TOOL = """
import os, random
chance, left = random.Random(1), {megabytes}
rows = ((n, chance.randrange(10**9), n % 977) for n in range(300_000))
pool = b"".join(b"%d\\t%d\\tZo\\xc3\\xab %d\\n" % row for row in rows)
while left:
    start = chance.randrange(len(pool) - 1_000_000)
    for place in range(start, start + 1_000_000, 16_000):
        os.write(1, pool[place : min(place + 16_000, start + 1_000_000)])
    left -= 1
"""


class Synthetic(strongroom.Source):
    """A dump of a given size, out of a tool."""

    name, title, extension, engine = "synthetic", "Synthetic", "txt", "synthetic"

    class Config(strongroom.AdapterConfig):
        megabytes: int = strongroom.field(1, title="Size")

    config: Config
    nothing: ClassVar = strongroom.Fingerprint({}, consistent=False)

    def check(self) -> strongroom.SourceReport:
        return strongroom.SourceReport(engine=self.engine, version="1")

    def databases(self) -> list[str]:
        return ["synthetic"]

    def dump(self, database: str, *, fingerprint: bool = True) -> strongroom.Dump:
        def chunks() -> Iterable[bytes]:
            script = TOOL.replace("{megabytes}", str(self.config.megabytes))
            with self.context.host.run([sys.executable, "-c", script]) as tool:
                yield from tool
                if status := tool.wait():
                    raise strongroom.ToolFailed(tool.stderr(), exit_status=status)

        return strongroom.Dump(chunks())

    def fingerprint(self, database: str) -> strongroom.Fingerprint:
        return self.nothing

    def target_state(self, database: str) -> strongroom.TargetState:
        return strongroom.TargetState.MISSING

    def restore(self, database: str, chunks: Iterable[bytes]) -> None:
        raise strongroom.SourceError("This source is dumped alone.")

    def drop(self, database: str) -> None:
        """There is nothing to drop."""


class Plugin:
    @strongroom.hookimpl
    def strongroom_sources(self) -> list[type[strongroom.Source]]:
        return [Synthetic]


def peak() -> float:
    """This process's peak resident memory so far, in MiB."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def child(folder: Path, megabytes: int, compression: str) -> None:
    """Back one dump up, decode it, and print the peaks."""
    home = Home(folder / "home").make()
    registry = Registry.load()
    registry.add(Plugin(), Origin("synthetic", "benchmarks", "0"))
    found: dict[str, float] = {}
    with Workspace.open(
        home, secrets=VaultSecrets(home.vault, "a benchmark's"), registry=lambda: registry
    ) as workspace:
        workspace.keys.new("default")
        source = workspace.endpoints.save("source", "synthetic", "synthetic", {"megabytes": megabytes})
        place = workspace.endpoints.save("destination", "vault", "local", {"path": str(folder / "vault")})
        job = workspace.jobs.save(
            Job(
                id="",
                name="synthetic",
                source_id=source.id,
                source_name=source.name,
                destinations=(JobDestination(place.id, place.name, 0, {"mode": "none"}),),
                compression=compression,
            )
        )
        found["before"] = peak()
        works: dict[str, Callable[[], str]] = {
            "backup": lambda: workspace.run_job(job.id),
            "decode": lambda: workspace.verify(None, "decode"),
        }
        for name, start in works.items():
            begun = time.perf_counter()
            ended = workspace.wait(start())
            if ended.status != "Success":
                raise SystemExit(f"The {name} ended as {ended.status}: {ended.error}")
            found[name] = peak()
            found[f"{name} seconds"] = time.perf_counter() - begun
        found["artifact MB"] = sum(path.stat().st_size for path in (folder / "vault").rglob("*.age")) / 1e6
    found["threads left"] = threading.active_count() - 1
    print(json.dumps(found))


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--gb", type=float, nargs="+", default=[1, 10], help="sizes of the dump")
    arguments.add_argument("--compression", default="zstd")
    arguments.add_argument("--folder", type=Path, help="a folder on a real disk (default: the system's)")
    arguments.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.child:
        child(Path(chosen.child[0]), int(chosen.child[1]), chosen.compression)
        return
    peaks = []
    for size in chosen.gb:
        with tempfile.TemporaryDirectory(prefix="strongroom-bench-", dir=chosen.folder) as folder:
            own = [sys.executable, __file__, "--compression", chosen.compression]
            ended = subprocess.run(
                [*own, "--child", folder, str(round(size * 1000))],
                stdout=subprocess.PIPE,
                check=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
        found = json.loads(ended.stdout)
        peaks.append(max(found["backup"], found["decode"]))
        print(
            f"{size:5g} GB ({found['artifact MB']:.0f} MB stored):  before {found['before']:.0f} MiB"
            f"   backup {found['backup']:.0f} MiB in {found['backup seconds']:.0f} s"
            f"   decode {found['decode']:.0f} MiB in {found['decode seconds']:.0f} s",
            flush=True,
        )
    print(
        f"\npeak {max(peaks):.0f} MiB (wanted: at most {LIMIT:.0f}), grown by {peaks[-1] - peaks[0]:.0f} MiB"
    )


if __name__ == "__main__":
    main()
