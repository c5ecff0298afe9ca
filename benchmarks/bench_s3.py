"""The S3 storage against rclone, up and down: the same file, the same server, one run.

Up, ours sends parts with a SHA-256 each and proves the whole; rclone as it is hashes the file (MD5) before
it sends parts of 5 MiB, four at a time. "rclone, tuned" leaves that hash out and takes parts of 16 MiB, and
proves nothing of the whole. Down, both write a file; rclone takes four pieces at a time, as is its default.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import jobs
import measuring
from servers import S3, s3_server
from transfers import Transfers

TUNED = ("--s3-disable-checksum", "--s3-chunk-size=16M")


class Rclone:
    """The file by rclone."""

    def __init__(self, s3: S3, ours: Transfers) -> None:
        self._argv, self._environment = s3.rclone()
        self._s3, self._ours = s3, ours
        self._numbers = count()
        self._there = ""

    def put(self, *more: str) -> None:
        self._there = self._s3.at(f"rclone-{next(self._numbers)}")
        self._run("copyto", *more, str(self._ours.file), self._there)

    def get(self) -> None:
        self._run("copyto", self._there, str(self._ours.back))

    def _run(self, *arguments: str) -> None:
        subprocess.run([*self._argv, *arguments], env=self._environment, check=True)


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sr-bench-", dir=chosen.folder)))
        server = stack.enter_context(s3_server())
        workspace = stack.enter_context(jobs.installation(folder))
        ours = Transfers(
            workspace, jobs.destination(workspace, "s3", "s3", server.values()), folder, chosen.size
        )
        rclone = Rclone(server, ours)
        up = measuring.Comparison(
            {"rclone": rclone.put, "rclone, tuned": lambda: rclone.put(*TUNED), "ours": ours.put},
            against="rclone",
            before=lambda way: server.clear(),
        )
        print(f"up, {chosen.size:g} GB:")
        up.run(chosen.rounds)
        server.clear()
        rclone.put()
        ours.put()
        down = measuring.Comparison(
            {"rclone": rclone.get, "ours": ours.get}, against="rclone", before=lambda way: ours.forget()
        )
        print(f"\ndown, {chosen.size:g} GB:")
        down.run(chosen.rounds)
        ours.forget()
        ours.get()
        ours.check()
    return measuring.both_ways(up, down, "ours", "rclone", chosen.size)


if __name__ == "__main__":
    measuring.main(measure, measuring.arguments(__doc__, size=1.0, rounds=5, of="the file"))
