"""Each engine's memory: Strongroom's own process at its highest, in a backup and a restore, small and large.

Whole ones, zstd and age, rows counted; each in a process of its own, since none gives memory back. Tools and
servers do not count; what DuckDB and SQLite do, they do within ours.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import engines
import jobs
import measuring

from engine.records import Execution
from engine.recovery.requests import RestoreRequest

GROWS = 30.0  # MiB more, beyond what filling the engine has left, for four times the data


def child() -> None:
    """Back one engine up and restore it, and print the peaks; reads what to do."""
    asked = json.load(sys.stdin)
    folder = Path(asked["folder"])
    with ExitStack() as stack:
        engine = engines.ENGINES[asked["engine"]]()
        try:
            engine.start(folder, asked["size"])
        except measuring.Missing as missing:
            print(json.dumps({"missing": str(missing)}))
            return
        stack.callback(engine.close)
        workspace = stack.enter_context(jobs.installation(folder))
        source = workspace.endpoints.save("source", "bench", engine.name, engine.values())
        place = jobs.destination(workspace, "local", "local", {"path": str(folder / "ours")})
        job = jobs.job(workspace, "bench", source, [place])

        def backup() -> Execution:
            return workspace.wait(workspace.run_job(job.id))

        def restore() -> Execution:
            engine.before_restore()
            wish = RestoreRequest(
                workspace.catalogue.list()[0].id, source.id, as_name=engine.copy, overwrite=engine.over
            )
            return workspace.wait(workspace.restore(wish))

        found: dict[str, float] = {}
        works: dict[str, Callable[[], Execution]] = {"backup": backup, "restore": restore}
        for name, work in works.items():
            measuring.begin_anew()
            before = measuring.peak()  # filling the engine has left its own
            ended = work()
            if ended.status != "Success":
                raise SystemExit(f"The {name} of {engine.name} ended as {ended.status}: {ended.error}")
            found[name], found[f"{name} took"] = measuring.peak(), measuring.peak() - before
            if name == "backup":
                found["dump MB"] = sum(artifact.dump_size or 0 for artifact in ended.artifacts) / 1e6
    print(json.dumps(found))


def one(name: str, size: float, chosen: argparse.Namespace) -> dict[str, Any]:
    """The peaks of one engine with so many GB."""
    with tempfile.TemporaryDirectory(prefix="sr-bench-", dir=chosen.folder) as folder:
        ended = subprocess.run(
            [sys.executable, __file__, "--child"],
            input=json.dumps({"engine": name, "size": size, "folder": folder}).encode(),
            stdout=subprocess.PIPE,
            check=True,
        )
    # The tools of the servers' own start talk on the same output: the last line is ours.
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    wanted = chosen.only.split(",") if chosen.only else list(engines.ENGINES)
    all_found: dict[str, Any] = {}
    for name in wanted:
        small, large = one(name, chosen.size / 4, chosen), {}
        if "missing" not in small:
            large = one(name, chosen.size, chosen)
        if "missing" in small:
            print(f"{name} is skipped: {small['missing']}.", flush=True)
            all_found[name] = {"skipped": small["missing"]}
            continue
        grown = {way: large[f"{way} took"] - small[f"{way} took"] for way in ("backup", "restore")}
        all_found[name] = {"small": small, "large": large, "grown_mib": grown}
        print(
            f"{name:12} {small['dump MB']:5.0f} -> {large['dump MB']:5.0f} MB:"
            f"  backup {large['backup']:4.0f} MiB (grown by {grown['backup']:+.0f})"
            f"   restore {large['restore']:4.0f} MiB (grown by {grown['restore']:+.0f})",
            flush=True,
        )
    return {"engines": all_found, "wanted": {"grown at most": GROWS}}


if __name__ == "__main__":
    if sys.argv[1:] == ["--child"]:
        child()
        sys.exit()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=float, default=0.4, help="GB of the larger one (default: %(default)g)")
    parser.add_argument("--only", default="", help="names of engines, with commas between")
    measuring.common(parser)
    measuring.main(measure, parser)
