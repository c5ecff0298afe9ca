"""PostgreSQL to a folder, an S3 and an SFTP server with gzip: against a runner that works step after step.

That one is sequential.mjs, on Node's own zlib and crypto: dump through gzip 6 and AES-256-GCM into a
temporary file, hash it by reading it again, upload it to the three one after another, read the folder's
copy back and hash that. Ours: a whole job with gzip and age that reads the folder's copy back and proves the
other two; without the fingerprint (which the sequential one has not), and with it. "dump alone" is pg_dump
into nothing: nobody is faster. Same database, same servers, one run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import jobs
import measuring
from postgres import GB_OF_SCALE_1, Postgres
from servers import S3, Sftp, s3_server, sftp_server

TARGET = 7.0


class Sequential:
    """The runner in Node."""

    def __init__(self, server: Postgres, s3: S3, sftp: Sftp, folder: Path) -> None:
        self._dump = [str(server.binaries / "pg_dump"), *server.address, "-Fc", "-Z0", "bench"]
        self._s3, self._sftp, self._folder = s3, sftp, folder
        self._numbers = count()
        self.found: list[dict[str, Any]] = []

    def run(self) -> None:
        name = f"sequential-{next(self._numbers)}.gz.enc"
        s3 = self._s3.server
        asked = {
            "name": name,
            "dump": self._dump,
            "temporary": str(self._folder / "temporary"),
            "local": str(self._folder / "copy" / name),
            "s3": {
                "endpoint": s3.endpoint,
                "bucket": self._s3.bucket,
                "access": s3.access_key,
                "secret": s3.secret_key,
                "region": s3.region,
            },
            "sftp": {
                "argv": self._sftp.sftp("-c", "aes128-gcm@openssh.com"),
                "path": str(self._sftp.folder / name),
            },
        }
        script = Path(__file__).with_name("sequential.mjs")
        ended = subprocess.run(
            ["node", str(script)], input=json.dumps(asked).encode(), stdout=subprocess.PIPE, check=True
        )
        self.found.append(json.loads(ended.stdout))

    def dump_alone(self) -> None:
        subprocess.run(self._dump, stdout=subprocess.DEVNULL, check=True)


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    measuring.need("node", "sftp")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sr-bench-", dir=chosen.folder)))
        s3, sftp = stack.enter_context(s3_server()), stack.enter_context(sftp_server())
        server = stack.enter_context(Postgres())
        print("filling the database ...", flush=True)
        server.fill("bench", chosen.size / GB_OF_SCALE_1)
        workspace = stack.enter_context(jobs.installation(folder))
        places = [
            jobs.destination(workspace, "local", "local", {"path": str(folder / "ours")}),
            jobs.destination(workspace, "s3", "s3", s3.values()),
            jobs.destination(workspace, "sftp", "sftp", sftp.values()),
        ]
        source = jobs.postgresql(workspace, server)
        made = {
            name: jobs.job(
                workspace, name, source, places, compression=chosen.compression, fingerprint=counting
            )
            for name, counting in (("ours", False), ("ours, counting", True))
        }
        sequential = Sequential(server, s3, sftp, folder)

        def before(way: str) -> None:
            s3.clear()
            sftp.clear()
            for place in ("copy", "ours"):
                measuring.emptied(folder / place)

        sizes = jobs.sizes(jobs.run(workspace, made["ours"]))
        compared = measuring.Comparison(
            {
                "sequential": sequential.run,
                "dump alone": sequential.dump_alone,
                "ours": lambda: jobs.run(workspace, made["ours"]),
                "ours, counting": lambda: jobs.run(workspace, made["ours, counting"]),
            },
            against="sequential",
            before=before,
        ).run(chosen.rounds)
    last = sequential.found[-1]
    steps = "   ".join(f"{step} {seconds:.2f} s" for step, seconds in last["seconds"].items())
    print(f"the last sequential run, {last['artifact'] / 1e6:.0f} MB stored:  {steps}")
    faster, bound = 1 / compared.ratio("ours"), 1 / compared.ratio("dump alone")
    print(f"median of the paired ratios: {faster:.2f} times as fast (wanted: at least {TARGET:g})")
    print(f"the dump alone is {bound:.2f} times as fast")
    return {
        **sizes,
        **compared.document(),
        "sequential": sequential.found,
        "ratio": faster,
        "dump_alone_ratio": bound,
        "wanted": {"at least": TARGET},
    }


if __name__ == "__main__":
    parser = measuring.arguments(__doc__, size=1.1, rounds=3, of="PostgreSQL's dump")
    parser.add_argument("--compression", default="gzip", help="ours (default: %(default)s)")
    measuring.main(measure, parser)
