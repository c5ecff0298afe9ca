"""The SFTP storage against OpenSSH's sftp, up and down: the same file, the same server, one run.

Up, ours writes under a temporary name, has the server sync and hash the file, and renames it; sftp puts.
"sftp, proven" does what ours does: put -f, rename, and openssl dgst by ssh. sftp prefers ChaCha20 by default;
"sftp, gcm" is told to take the cipher that is fastest here. Down, both write a file.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jobs
import measuring
from servers import Sftp, sftp_server
from transfers import Transfers

GCM = ("-c", "aes128-gcm@openssh.com")
TARGET = 1.0


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    measuring.need("sftp", "ssh", "openssl")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sr-bench-", dir=chosen.folder)))
        server = stack.enter_context(sftp_server())
        workspace = stack.enter_context(jobs.installation(folder))
        ours = Transfers(
            workspace, jobs.destination(workspace, "sftp", "sftp", server.values()), folder, chosen.size
        )
        up = measuring.Comparison(
            {
                "sftp": lambda: _put(server, ours.file),
                "sftp, gcm": lambda: _put(server, ours.file, *GCM),
                "sftp, proven": lambda: _put(server, ours.file, proven=True),
                "ours": ours.put,
            },
            against="sftp",
            before=lambda way: server.clear(),
        )
        print(f"up, {chosen.size:g} GB:")
        up.run(chosen.rounds)
        ours.put()
        there = next(server.folder.iterdir())
        down = measuring.Comparison(
            {
                "sftp": lambda: server.run(f"get {there} {ours.back}\n"),
                "sftp, gcm": lambda: server.run(f"get {there} {ours.back}\n", *GCM),
                "ours": ours.get,
            },
            against="sftp",
            before=lambda way: ours.forget(),
        )
        print(f"\ndown, {chosen.size:g} GB:")
        down.run(chosen.rounds)
        ours.forget()
        ours.get()
        ours.check()
    return measuring.both_ways(up, down, "ours", "sftp", chosen.size)


def _put(server: Sftp, file: Path, *more: str, proven: bool = False) -> None:
    path = server.folder / "sftp"
    if not proven:
        server.run(f"put {file} {path}\n", *more)
        return
    server.run(f"put -f {file} {path}.part\nrename {path}.part {path}\n", *more)
    server.ssh(f"openssl dgst -sha256 -r {path}")


if __name__ == "__main__":
    measuring.main(measure, measuring.arguments(__doc__, size=1.0, rounds=5, of="the file"))
