"""Disks that are small, read-only or pulled out: real mounts, in a namespace that ends with the test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Machine:
    """A mount namespace. Commands enter it by `prefix`."""

    def __init__(self, holder: subprocess.Popen[str], *, as_root: bool) -> None:
        self._pid = holder.pid
        user = [] if as_root else ["--user", "--preserve-credentials"]
        self._enter = ["nsenter", "--target", str(self._pid), *user, "--mount"]

    def prefix(self, folder: Path) -> list[str]:
        """What goes before a command that is to run there, in that folder."""
        return [*self._enter, f"--wd={folder}"]

    def inside(self, path: Path) -> Path:
        """Where a path of that machine is seen from here."""
        return Path(f"/proc/{self._pid}/root{path}")

    def run(self, *argv: str) -> None:
        """Run a tool there, as its root."""
        done = subprocess.run([*self._enter, *argv], capture_output=True, text=True)
        if done.returncode != 0:
            raise OSError(f"{' '.join(argv)}: {done.stderr.strip()}")

    def mount_memory(self, path: Path, size: int) -> None:
        """Mount a tmpfs of so many bytes."""
        path.mkdir(exist_ok=True)
        self.run("mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", str(path))

    def mount_disk(self, path: Path, size: int) -> None:
        """Mount an ext4 of so many bytes, in a file beside it. Needs root, and loop devices."""
        mkfs = shutil.which("mkfs.ext4", path=f"{os.environ['PATH']}:/usr/sbin")
        if mkfs is None:
            lacking("the program mkfs.ext4 (Debian: e2fsprogs)")
        path.mkdir(exist_ok=True)
        image = path.with_suffix(".img")
        with image.open("wb") as file:
            file.truncate(size)
        self.run(str(mkfs), "-q", "-m", "0", str(image))
        try:
            self.run("mount", "-o", "loop", str(image), str(path))
        except OSError as error:
            lacking(f"an ext4 in a file ({error})")

    def remount_read_only(self, path: Path) -> None:
        self.run("mount", "-o", "remount,ro", str(path))

    def pull_out(self, path: Path) -> None:
        """Take a disk away, whoever works on it."""
        self.run("umount", "--lazy", str(path))


def lacking(part: str) -> None:
    """A real part cannot be had here: with CI=true a failure, else a skip that names it."""
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(f"a real part is missing: {part}")
    pytest.skip(f"a real part is missing: {part}")


@contextmanager
def machine() -> Iterator[Machine]:
    """A machine whose mounts are its own, and gone afterwards. Root needs no rights beside; others user
    namespaces."""
    if not sys.platform.startswith("linux") or shutil.which("unshare") is None:
        lacking("a mount namespace (Linux, util-linux)")
    as_root = os.geteuid() == 0
    argv = ["unshare", "--mount", *([] if as_root else ["--map-root-user"]), "sh", "-c", "echo up; exec cat"]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None and holder.stdin is not None and holder.stderr is not None
        try:
            if holder.stdout.readline() != "up\n":
                lacking(f"a mount namespace ({holder.stderr.read().strip()})")
            yield Machine(holder, as_root=as_root)
        finally:
            holder.stdin.close()
            holder.wait(30)
