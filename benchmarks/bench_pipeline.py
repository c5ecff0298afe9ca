"""PostgreSQL to one local folder, zstd + age + SHA-256: against the shell pipeline that does the same.

The shell's: pg_dump -Fc -Z0 | zstd -3 -T0 | age -r ... | tee >(sha256sum) > file
Ours: a whole job, from its start to its stored status, in this process; without fingerprint and
read-back (which the shell's has not), and with them.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jobs
import measuring
from postgres import GB_OF_SCALE_1, Postgres

TARGET = 0.95


def shell(server: Postgres, recipient: str, folder: Path) -> None:
    """The same by standard tools."""
    dump = " ".join([str(server.binaries / "pg_dump"), *server.address, "-Fc", "-Z0", "bench"])
    sums, file = folder / "sum", folder / "artifact"
    line = f"{dump} | zstd -q -3 -T0 | age -r {recipient} | tee >(sha256sum > {sums}) > {file}"
    subprocess.run(["bash", "-c", f"set -o pipefail; {line}; wait"], check=True)


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    measuring.need("bash", "zstd", "age", "sha256sum")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sr-bench-", dir=chosen.folder)))
        server = stack.enter_context(Postgres())
        print("filling the database ...", flush=True)
        server.fill("bench", chosen.size / GB_OF_SCALE_1)
        workspace = stack.enter_context(jobs.installation(folder))
        source, recipient = jobs.postgresql(workspace, server), jobs.recipient(workspace)
        made = {}
        for name, proven in (("ours", False), ("ours, proven", True)):
            local = {"path": str(folder / "ours"), "read_back": proven}
            place = jobs.destination(workspace, f"local {proven}", "local", local)
            made[name] = jobs.job(workspace, f"job-{proven}", source, [place], fingerprint=proven)

        def before(way: str) -> None:
            measuring.emptied(folder / "ours")
            (folder / "artifact").unlink(missing_ok=True)

        sizes = jobs.sizes(jobs.run(workspace, made["ours"]))
        compared = measuring.Comparison(
            {
                "shell": lambda: shell(server, recipient, folder),
                "ours": lambda: jobs.run(workspace, made["ours"]),
                "ours, proven": lambda: jobs.run(workspace, made["ours, proven"]),
            },
            against="shell",
            before=before,
        ).run(chosen.rounds)
    compared.wanted("ours", "shell", f"at most {TARGET}")
    return {**sizes, **compared.document(), "ratio": compared.ratio("ours"), "wanted": {"at most": TARGET}}


if __name__ == "__main__":
    measuring.main(measure, measuring.arguments(__doc__, size=1.1, rounds=5, of="PostgreSQL's dump"))
