"""Three destinations behind lines of 20 MB/s each: all at once against the slowest alone.

An S3 server and two folders of an SFTP server, each behind a line of its own (limiter.py, a process beside
ours). Four jobs of one PostgreSQL database in every round: one to each destination, and one to all three.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jobs
import measuring
from limiter import limited
from postgres import GB_OF_SCALE_1, Postgres
from servers import s3_server, sftp_server

TARGET = 1.05


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sr-bench-", dir=chosen.folder)))
        s3, sftp = stack.enter_context(s3_server()), stack.enter_context(sftp_server())
        server = stack.enter_context(Postgres())
        print("filling the database ...", flush=True)
        server.fill("bench", chosen.size / GB_OF_SCALE_1)
        to_s3, *to_sftp = stack.enter_context(limited(chosen.rate * 1e6, [s3.port, sftp.port, sftp.port]))
        known_hosts = folder / "known_hosts"
        known_hosts.write_text("".join(sftp.known_as(port) for port in to_sftp))
        workspace = stack.enter_context(jobs.installation(folder))
        source = jobs.postgresql(workspace, server)
        endpoint = {"endpoint": f"http://{s3.host}:{to_s3}"}
        places = {"s3": jobs.destination(workspace, "s3", "s3", {**s3.values(), **endpoint})}
        for name, port in zip(("sftp", "sftp 2"), to_sftp, strict=True):
            values = sftp.values(port=port, known_hosts=str(known_hosts), path=str(sftp.folder / name))
            places[name] = jobs.destination(workspace, name, "sftp", values)
        made = {name: jobs.job(workspace, name, source, [place]) for name, place in places.items()}
        made["all at once"] = jobs.job(workspace, "all", source, list(places.values()))

        sizes = jobs.sizes(jobs.run(workspace, made["s3"]))
        print(f"at {chosen.rate:g} MB/s, {sizes['artifact_mb'] / chosen.rate:.1f} s each", flush=True)
        ways = {name: lambda job=job: jobs.run(workspace, job) for name, job in made.items()}

        def before(way: str) -> None:
            s3.clear()
            sftp.clear()

        compared = measuring.Comparison(ways, against="all at once", before=before).run(chosen.rounds)

    together = compared.taken["wall"]["all at once"]
    alone = [max(taken) for taken in zip(*(compared.taken["wall"][name] for name in places), strict=True)]
    ratio = statistics.median(one / other for one, other in zip(together, alone, strict=True))
    print(f"median of the paired ratios, all at once / slowest alone: {ratio:.3f} (wanted: at most {TARGET})")
    return {**sizes, **compared.document(), "ratio": ratio, "wanted": {"at most": TARGET}}


if __name__ == "__main__":
    parser = measuring.arguments(__doc__, size=1.1, rounds=3, of="PostgreSQL's dump")
    parser.add_argument("--rate", type=float, default=20, help="MB/s of each line (default: %(default)g)")
    measuring.main(measure, parser)
