"""PostgreSQL to a folder, an S3 and an SFTP server at once: against the shell pipeline, then three copies.

The shell's: pg_dump -Fc -Z0 | zstd -3 -T0 | age -r ... | tee >(sha256sum) > file, and then, one after
another, cp, rclone copyto, and put in sftp. As given, nothing of it is synced; "shell, synced" does what
ours does in any case: it syncs the folder's copy and has the SFTP server sync its file.
Ours: a whole job, with its sidecars and its stored status, proven at both servers; without fingerprint and
read-back of the folder's copy (which the shell's has not), and with them.
"""

from __future__ import annotations

import argparse
import shlex
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

TARGET = 0.85


class Shell:
    """The same by standard tools."""

    def __init__(self, server: Postgres, s3: S3, sftp: Sftp, recipient: str, folder: Path) -> None:
        self._server, self._s3, self._sftp = server, s3, sftp
        self._recipient, self._folder = recipient, folder
        self._numbers = count()

    def run(self, *, synced: bool = False) -> None:
        name = f"shell-{next(self._numbers)}"
        rclone, environment = self._s3.rclone()
        file, copy = self._folder / "artifact", self._folder / "copy" / name
        copy.parent.mkdir(exist_ok=True)
        dump = shlex.join(
            [str(self._server.binaries / "pg_dump"), *self._server.address, "-Fc", "-Z0", "bench"]
        )
        encode = (
            f"{dump} | zstd -q -3 -T0 | age -r {self._recipient} | tee >(sha256sum > {file}.sha256) > {file}"
        )
        put = f"put {'-f ' if synced else ''}{file} {self._sftp.folder / name}"
        lines = [
            f"set -eo pipefail; {encode}; wait",
            f"cp {file} {copy}" + (f"; sync {copy} {copy.parent}" if synced else ""),
            f"{shlex.join(rclone)} copyto {file} {self._s3.at(name)}",
            f"echo {shlex.quote(put)} | {shlex.join(self._sftp.sftp())} > {self._folder / 'said'}",
        ]
        subprocess.run(["bash", "-c", "; ".join(lines)], env=environment, check=True)


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    measuring.need("bash", "zstd", "age", "sha256sum", "sftp")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sr-bench-", dir=chosen.folder)))
        s3, sftp = stack.enter_context(s3_server()), stack.enter_context(sftp_server())
        server = stack.enter_context(Postgres())
        print("filling the database ...", flush=True)
        server.fill("bench", chosen.size / GB_OF_SCALE_1)
        workspace = stack.enter_context(jobs.installation(folder))
        source = jobs.postgresql(workspace, server)
        remote = [
            jobs.destination(workspace, "s3", "s3", s3.values()),
            jobs.destination(workspace, "sftp", "sftp", sftp.values()),
        ]
        made = {}
        for name, proven in (("ours", False), ("ours, proven", True)):
            local = {"path": str(folder / "ours"), "read_back": proven}
            places = [jobs.destination(workspace, f"local {proven}", "local", local), *remote]
            made[name] = jobs.job(workspace, f"job-{proven}", source, places, fingerprint=proven)
        shell = Shell(server, s3, sftp, jobs.recipient(workspace), folder)

        def before(way: str) -> None:
            s3.clear()
            sftp.clear()
            for place in ("copy", "ours"):
                measuring.emptied(folder / place)
            (folder / "artifact").unlink(missing_ok=True)

        sizes = jobs.sizes(jobs.run(workspace, made["ours"]))
        compared = measuring.Comparison(
            {
                "shell": shell.run,
                "shell, synced": lambda: shell.run(synced=True),
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
