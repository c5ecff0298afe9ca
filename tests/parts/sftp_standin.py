"""A stand-in for OpenSSH's sftp-server that runs the real one, and breaks at a request of a test's choice.

An encrypted stream does not show where a rename is: between sshd and its sftp-server it can be seen. sshd
starts this file for each session; what else a client runs (sha256sum, say) is run as it is.

    standin = StandIn(folder)
    with running(options=[standin.option]) as server:
        standin.order("rename", "cut")
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

Do = Literal["cut", "lose answer", "stall", "die"]
"""Cut the connection before the server hears of it, or once it has done it; never answer; or end alone."""

# draft-ietf-secsh-filexfer-02, section 3; a rename may come as an extension of OpenSSH's, too.
_INIT, _VERSION, _EXTENDED = 1, 2, 200
_REQUESTS = {3: "open", 4: "close", 6: "write", 13: "remove", 14: "mkdir", 17: "stat", 18: "rename"}
_EXTENSIONS = {
    b"posix-rename@openssh.com": "rename",
    b"hardlink@openssh.com": "link",
    b"fsync@openssh.com": "fsync",
}


class StandIn:
    """What a test tells the stand-ins of one server; `folder` is read by them."""

    def __init__(self, folder: Path) -> None:
        self._orders, self._done = folder / "standin-orders", folder / "standin-done"
        self._program = program()

    @property
    def option(self) -> str:
        """The line of sshd's configuration."""
        argv = [sys.executable, __file__, self._program, str(self._orders), str(self._done)]
        return f"ForceCommand exec {shlex.join(argv)}"

    def order(self, request: str, do: Do, name: str = "") -> None:
        """Do so at the next request of that kind whose text holds `name`, once."""
        self._done.unlink(missing_ok=True)
        self._orders.with_suffix(".new").write_text(json.dumps([request, do, name]), encoding="utf-8")
        self._orders.with_suffix(".new").rename(self._orders)

    @property
    def happened(self) -> bool:
        return self._done.exists()

    def clear(self) -> None:
        """Take the order back."""
        self._orders.unlink(missing_ok=True)
        self._done.unlink(missing_ok=True)


def program() -> str:
    """The real sftp-server; a test skips where there is none."""
    for path in (
        "/usr/lib/openssh/sftp-server",
        "/usr/libexec/openssh/sftp-server",
        "/usr/libexec/sftp-server",
    ):
        if Path(path).exists():
            return path
    from tests.parts.disks import lacking

    lacking("the program sftp-server (Debian: openssh-sftp-server)")
    raise AssertionError("unreachable")


# --------------------------------------------------------------------------- the process that sshd starts


class _Between:
    def __init__(self, server: str, orders: Path, done: Path) -> None:
        self.orders, self.done = orders, done
        self.stalled = False
        self.awaited: bytes | None = None
        self.server = subprocess.Popen([server], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self) -> int:
        assert self.server.stdin is not None and self.server.stdout is not None
        answers = threading.Thread(target=self.answers, args=(self.server.stdout,), daemon=True)
        answers.start()
        for packet in packets(sys.stdin.buffer):
            do = self.ordered(packet)
            if do == "stall":
                self.stalled = True
            elif do == "lose answer":
                self.awaited = packet[5:9]
            elif do is not None:
                self.end(do)
            if not self.stalled:
                self.server.stdin.write(packet)
                self.server.stdin.flush()
        self.server.stdin.close()
        answers.join(10)
        return self.server.wait()

    def answers(self, stdout: BinaryIO) -> None:
        for packet in packets(stdout):
            if self.awaited is not None and packet[4] != _VERSION and packet[5:9] == self.awaited:
                self.end("cut")
            if not self.stalled:
                sys.stdout.buffer.write(packet)
                sys.stdout.buffer.flush()

    def ordered(self, packet: bytes) -> str | None:
        if not self.orders.exists():
            return None
        try:
            request, do, name = json.loads(self.orders.read_text(encoding="utf-8"))
            if kind(packet) != request or name.encode() not in packet:
                return None
            self.orders.unlink()
        except FileNotFoundError:
            return None  # another session was first, or the test took it back
        self.done.touch()
        return str(do)

    def end(self, do: str) -> None:
        self.server.kill()
        if do == "cut":
            os.kill(os.getppid(), signal.SIGKILL)  # sshd's process of this connection
        os._exit(1)


def packets(stream: BinaryIO) -> Iterator[bytes]:
    """The packets of a stream, each with its length before it."""
    while len(head := stream.read(4)) == 4:
        yield head + stream.read(int.from_bytes(head))


def kind(packet: bytes) -> str:
    """What a client's packet asks for."""
    number = packet[4]
    if number == _EXTENDED:
        size = int.from_bytes(packet[9:13])
        return _EXTENSIONS.get(packet[13 : 13 + size], "extended")
    return _REQUESTS.get(number, "other")


def main() -> int:
    server, orders, done = sys.argv[1:]
    asked = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    if "sftp" not in asked.split(" ", 1)[0]:
        shell = os.environ.get("SHELL", "/bin/sh")
        os.execv(shell, [shell, "-c", asked])  # noqa: S606 - just what sshd would have done
    return _Between(server, Path(orders), Path(done)).run()


if __name__ == "__main__":
    sys.exit(main())
