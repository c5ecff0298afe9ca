"""Each engine by itself: a dump and a restore, against the engine's own tools piped through zstd in a shell.

Ours: a whole job to one local folder, zstd, not encrypted (the shell's is neither), without fingerprint and
read-back; and a whole restore into a database that is missing. `--only postgresql,redis` picks some.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import engines
import jobs
import measuring

from engine.recovery.requests import RestoreRequest

TARGET = 1.1
KEYS = 100_000
KEYS_A_SECOND = 20_000


def shell(line: str, env: dict[str, str]) -> None:
    """A pipeline in bash, in which every part counts."""
    subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        check=True,
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
    )


def one(engine: engines.Engine, chosen: argparse.Namespace, stack: ExitStack) -> dict[str, Any]:
    """Measure one engine: its dump, then its restore."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sr-bench-", dir=chosen.folder)))
    print(f"\n== {engine.name}: filling ...", flush=True)
    engine.start(folder, chosen.size)
    stack.callback(engine.close)
    workspace = stack.enter_context(jobs.installation(folder))
    source = workspace.endpoints.save("source", "bench", engine.name, engine.values())
    place = jobs.destination(workspace, "local", "local", {"path": str(folder / "ours"), "read_back": False})
    job = jobs.job(workspace, "bench", source, [place], fingerprint=False, encryption="none")
    file = folder / "artifact"
    sizes = jobs.sizes(jobs.run(workspace, job))

    def before_dump(way: str) -> None:
        measuring.emptied(folder / "ours")
        file.unlink(missing_ok=True)

    dumped = measuring.Comparison(
        {
            "shell": lambda: shell(f"{engine.dump_line()} | zstd -q -3 > {file}", engine.env()),
            "ours": lambda: jobs.run(workspace, job),
        },
        against="shell",
        before=before_dump,
    ).run(chosen.rounds)
    dumped.wanted("ours", "shell", f"at most {TARGET}")
    jobs.run(workspace, job)
    if not file.exists():
        shell(f"{engine.dump_line()} | zstd -q -3 > {file}", engine.env())
    backup = workspace.catalogue.list()[0]

    def restore() -> None:
        ended = workspace.wait(
            workspace.restore(
                RestoreRequest(backup.id, source.id, as_name=engine.copy, overwrite=engine.over)
            )
        )
        if ended.status != "Success":
            raise SystemExit(f"The restore of {engine.name} ended as {ended.status}: {ended.error}")

    restored = measuring.Comparison(
        {
            "shell": lambda: shell(f"zstd -q -d < {file} | {engine.restore_line()}", engine.env()),
            "ours": restore,
        },
        against="shell",
        before=lambda way: engine.before_restore(),
    ).run(chosen.rounds)
    restored.wanted("ours", "shell", f"at most {TARGET}")
    found = {
        **sizes,
        "dump": {**dumped.document(), "ratio": dumped.ratio("ours")},
        "restore": {**restored.document(), "ratio": restored.ratio("ours")},
        "wanted": {"at most": TARGET},
    }
    if engine.keys:
        speed = engine.keys / restored.median("ours")
        print(f"{speed:,.0f} keys a second restored (wanted: at least {KEYS_A_SECOND:,})", flush=True)
        found["keys_a_second"] = speed
    return found


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    measuring.need("bash", "zstd")
    wanted = chosen.only.split(",") if chosen.only else list(engines.ENGINES)
    found: dict[str, Any] = {}
    for name in wanted:
        with ExitStack() as stack:
            try:
                found[name] = one(engines.ENGINES[name](), chosen, stack)
            except measuring.Missing as missing:
                print(f"{name} is skipped: {missing}.", flush=True)
                found[name] = {"skipped": str(missing)}
    print("\nours / shell, wall (dump, restore):")
    for name, its in found.items():
        if "skipped" not in its:
            print(f"  {name:12} {its['dump']['ratio']:.3f}  {its['restore']['ratio']:.3f}", flush=True)
    return found


if __name__ == "__main__":
    parser = measuring.arguments(__doc__, size=0.5, rounds=3, of="each engine's data")
    parser.add_argument("--only", default="", help="names of engines, with commas between")
    measuring.main(measure, parser)
