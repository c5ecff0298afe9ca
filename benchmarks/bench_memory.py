"""Peak memory of the engine with three destinations, dumps of 1 GB and of 10 GB: flat, at most 200 MiB.

Each size is backed up by a process of its own: a whole job with zstd, age, a spool, and a folder, an S3 and
an SFTP server at once; then what lies at each is decoded to its end (`verify --level decode`). With `--to
local` it is the folder alone, and at most 120 MiB. What counts is the resident memory of the engine's process
at its highest (VmHWM), its libraries' included; the dump comes from a tool through Host, as pg_dump's does,
and neither that process nor the servers' count. For 10 GB it takes 20 GB of disk and some minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import jobs
import measuring
from servers import s3_server, sftp_server

import strongroom
from engine.contract.registry import Origin, Registry

LIMIT, LIMIT_OF_ONE = 200.0, 120.0  # MiB

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


def child() -> None:
    """Back one dump up, decode it at each destination, and print the peaks; reads what to do."""
    asked = json.load(sys.stdin)
    registry = Registry.load()
    registry.add(Plugin(), Origin("synthetic", "benchmarks", "0"))
    found: dict[str, float] = {}
    with jobs.installation(Path(asked["folder"]), registry=lambda: registry) as workspace:
        values = {"megabytes": asked["megabytes"]}
        source = workspace.endpoints.save("source", "synthetic", "synthetic", values)
        places = [
            jobs.destination(workspace, name, name, values) for name, values in asked["destinations"].items()
        ]
        job = jobs.job(workspace, "synthetic", source, places, compression=asked["compression"])
        found["before"] = measuring.peak()
        works: dict[str, Callable[[], str]] = {
            "backup": lambda: workspace.run_job(job.id),
            "decode": lambda: workspace.verify(None, "decode"),
        }
        for name, start in works.items():
            measuring.begin_anew()
            begun = time.perf_counter()
            ended = workspace.wait(start())
            if ended.status != "Success":
                raise SystemExit(f"The {name} ended as {ended.status}: {ended.error}")
            found[name] = measuring.peak()
            found[f"{name} seconds"] = time.perf_counter() - begun
            if name == "backup":
                found["artifact MB"] = sum(artifact.size or 0 for artifact in ended.artifacts) / 1e6
    found["threads left"] = threading.active_count() - 1
    print(json.dumps(found))


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    limit = LIMIT if len(chosen.to) > 1 else LIMIT_OF_ONE
    all_found = []
    for size in chosen.size:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sr-bench-", dir=chosen.folder))
            destinations: dict[str, dict[str, object]] = {"local": {"path": f"{folder}/vault"}}
            if "s3" in chosen.to:
                destinations["s3"] = stack.enter_context(s3_server(Path(folder))).values()
            if "sftp" in chosen.to:
                remote = Path(folder) / "sftp"
                remote.mkdir()
                destinations["sftp"] = stack.enter_context(sftp_server()).values(path=str(remote))
            asked = {
                "folder": folder,
                "megabytes": round(size * 1000),
                "compression": chosen.compression,
                "destinations": {name: destinations[name] for name in chosen.to},
            }
            ended = subprocess.run(
                [sys.executable, __file__, "--child"],
                input=json.dumps(asked).encode(),
                stdout=subprocess.PIPE,
                check=True,
            )
        found = json.loads(ended.stdout)
        all_found.append({"gb": size, **found})
        print(
            f"{size:5g} GB ({found['artifact MB']:.0f} MB stored):  before {found['before']:.0f} MiB"
            f"   backup {found['backup']:.0f} MiB in {found['backup seconds']:.0f} s"
            f"   decode {found['decode']:.0f} MiB in {found['decode seconds']:.0f} s",
            flush=True,
        )
    peaks = [max(found["backup"], found["decode"]) for found in all_found]
    grown = peaks[-1] - peaks[0]
    print(f"peak {max(peaks):.0f} MiB (wanted: at most {limit:.0f}), grown by {grown:.0f} MiB")
    return {
        "to": chosen.to,
        "sizes": all_found,
        "peak_mib": max(peaks),
        "grown_mib": grown,
        "wanted": {"at most": limit},
    }


if __name__ == "__main__":
    if sys.argv[1:] == ["--child"]:
        child()
        sys.exit()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=float, nargs="+", default=[1, 10], help="GB of the dumps")
    parser.add_argument("--to", nargs="+", default=["local", "s3", "sftp"], choices=["local", "s3", "sftp"])
    parser.add_argument("--compression", default="zstd")
    measuring.common(parser)
    measuring.main(measure, parser)
