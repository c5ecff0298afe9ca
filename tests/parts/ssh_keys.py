"""Keys of servers and of users, made by ssh-keygen, and a real ssh-agent that holds some."""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts.programs import required_program

PASSPHRASE = "a passphrase of the tests"
_START = 30.0  # seconds


@dataclass(frozen=True)
class HostKey:
    """One of the server's keys: its file, and how people and known_hosts files write it."""

    kind: str
    file: Path

    @property
    def public(self) -> str:
        """As in known_hosts, without the host: `ssh-ed25519 AAAA...`."""
        return " ".join(self.file.with_suffix(".pub").read_text(encoding="utf-8").split()[:2])

    @property
    def value(self) -> str:
        """As a person confirms it: `ssh-ed25519 SHA256:...`, computed by ssh-keygen."""
        told = run("ssh-keygen", "-l", "-E", "sha256", "-f", str(self.file.with_suffix(".pub")))
        return f"{self.public.split()[0]} {told.split()[1]}"


@functools.cache
def _made_once(kind: str) -> tuple[bytes, bytes]:
    """A host key of a kind; RSA takes a while to make, and two servers may well share one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "key")
        make_key(kind, path)
        return path.read_bytes(), path.with_suffix(".pub").read_bytes()


def host_key(kind: str, folder: Path) -> HostKey:
    """A key for a server, in its folder."""
    path = folder / f"host-{kind}"
    private, public = _made_once(kind)
    path.touch(mode=0o600)
    path.write_bytes(private)
    path.with_suffix(".pub").write_bytes(public)
    return HostKey(kind, path)


def make_key(kind: str, path: Path, passphrase: str = "") -> None:
    """Make a private key, and its public one beside it."""
    run("ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", str(path))


def run(program: str, *arguments: str, given: str = "", **environment: str) -> str:
    """Run a tool and return what it printed; `given` is its input, what is left its environment."""
    path = required_program(program, package="openssl" if program == "openssl" else "openssh-client")
    done = subprocess.run(
        [path, *arguments],
        input=given,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{program}: {done.stderr}"
    return done.stdout.strip()


@contextmanager
def agent(*keys: Path, passphrase: str = "") -> Iterator[Path]:
    """A real ssh-agent that holds these keys; yields its socket, for SSH_AUTH_SOCK."""
    program = required_program("ssh-agent", package="openssh-client")
    with tempfile.TemporaryDirectory(prefix="sr-agent-", dir="/tmp") as folder:
        path = Path(folder, "socket")
        process = subprocess.Popen(
            [program, "-D", "-a", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            end = time.monotonic() + _START
            while not path.exists():
                assert process.poll() is None and time.monotonic() < end, "ssh-agent did not start"
                time.sleep(0.01)  # it tells nobody that it is ready
            for key in keys:
                asking = Path(folder, "askpass")
                asking.write_text(f"#!/bin/sh\nprintf '%s\\n' '{passphrase}'\n", encoding="utf-8")
                asking.chmod(0o700)
                run(
                    *("ssh-add", "-q", str(key)),
                    SSH_AUTH_SOCK=str(path),
                    SSH_ASKPASS=str(asking),
                    SSH_ASKPASS_REQUIRE="force",
                )
            yield path
        finally:
            process.kill()
            process.wait(30)
