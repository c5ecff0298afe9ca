"""A real OpenSSH server for tests.

The server listens on a free loopback port, keeps all of its files in a short folder of its own under
/tmp, and lets in the user who runs the tests by a key. Import the fixture that a test module uses:

    from tests.parts.sshd import sshd  # noqa: F401 - a fixture

It is started once a session, which is once an xdist worker; `running()` gives one with other settings,
and `with_password()` one with a plain user and a password, which takes root.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.parts.disks import Machine, lacking, machine
from tests.parts.ssh_keys import HostKey, host_key, make_key, run

HOST = "127.0.0.1"
PASSWORD = "s3cret ünd 'quoted' \\"
"""The plain user's password: no tool may trip over it, and nothing may print it."""
PLAIN_USER, PLAIN_ID = "strongroom-plain", 61234
_START = 30.0  # seconds


def sshd_program() -> str:
    """The server's program; it insists on being started by its absolute path."""
    path = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        lacking("the program sshd (Debian: openssh-server)")
    assert path is not None
    return path


class SshServer:
    """An OpenSSH server of our own; `root` is a folder for the files of tests."""

    def __init__(
        self,
        *,
        shell: bool = True,
        options: Sequence[str] = (),
        keys: Sequence[str] = ("ed25519", "ecdsa", "rsa"),
        on: Machine | None = None,
        user: str = "",
        password: str | None = None,
        subsystem: str = "internal-sftp",
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sr-ssh-", dir="/tmp"))
        self.folder.chmod(0o711)  # a plain user passes through
        self.host, self.port = HOST, _free_port()
        self.user = user or getpass.getuser()
        self.password = password
        self.root = self.folder / "root"
        self.root.mkdir()
        self.known_hosts = self.folder / "known_hosts"
        self._authorized = self.folder / "authorized_keys"
        self._authorized.touch(mode=0o644)
        self._shell, self._options, self._machine = shell, list(options), on
        self._subsystem = subsystem
        self._process: subprocess.Popen[bytes] | None = None
        self._was_up = False
        self.host_keys = {kind: host_key(kind, self.folder) for kind in keys}
        self.trust(*keys)

    # ------------------------------------------------------------------------------------- its life

    def start(self) -> None:
        """Start the server, and wait until it listens."""
        for _ in range(5):
            if self._try_to_start():
                self._was_up = True
                return
            if self._was_up:
                break  # whoever knows the server knows its port
            self.port = _free_port()  # somebody took it meanwhile
            self.trust(*self.host_keys)
        raise RuntimeError(f"sshd did not start: {self.log()[-2000:]}")

    def _try_to_start(self) -> bool:
        config = self.folder / "sshd_config"
        config.write_text("\n".join(self._settings()) + "\n", encoding="utf-8")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # it refuses to start without
        enter = self._machine.prefix(self.folder) if self._machine is not None else []
        self._process = subprocess.Popen(
            [*enter, sshd_program(), "-D", "-f", str(config), "-E", str(self.folder / "log")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        end = time.monotonic() + _START
        while time.monotonic() < end:
            with suppress(OSError), socket.create_connection((HOST, self.port), 1) as probe:
                probe.settimeout(5)
                if probe.recv(4) == b"SSH-":
                    return True
            if self._process.poll() is not None:
                self._process = None
                if "Address already in use" in self.log():
                    return False
                raise RuntimeError(f"sshd did not start: {self.log()[-2000:]}")
            time.sleep(0.02)  # it tells nobody that it is ready
        raise RuntimeError(f"sshd did not answer: {self.log()[-2000:]}")

    def _settings(self) -> list[str]:
        return [
            *self._options,  # of a setting that is there twice, the first counts
            f"ListenAddress {HOST}:{self.port}",
            *(f"HostKey {key.file}" for key in self.host_keys.values()),
            f"AuthorizedKeysFile {self._authorized}",
            f"PasswordAuthentication {'yes' if self.password is not None else 'no'}",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin yes",
            "UsePAM no",
            "StrictModes no",
            "PidFile none",
            "PrintMotd no",
            "PrintLastLog no",
            "UseDNS no",
            "LogLevel VERBOSE",
            "MaxStartups 200",
            "MaxSessions 50",
            *(["ForceCommand internal-sftp"] if not self._shell else []),
            *([f"Subsystem sftp {self._subsystem}"] if self._subsystem else []),
        ]

    def sessions(self) -> list[int]:
        """The processes that serve its connections."""
        return _below(self._process.pid) if self._process is not None else []

    def drop_connections(self) -> None:
        """Cut every connection by killing what serves it; the server listens on."""
        for pid in self.sessions():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """End the server and every connection at once, as a crash would. `start` brings it back."""
        process, self._process = self._process, None
        if process is None:
            return
        serving = _below(process.pid)
        process.kill()
        process.wait(30)
        for pid in serving:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """Stop it and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """What the server has logged so far."""
        path = self.folder / "log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def change_host_key(self, kind: str = "ed25519") -> HostKey:
        """Give the stopped server another key of a kind, as a new machine of the same name would have."""
        key = self.host_keys[kind]
        key.file.unlink()
        key.file.with_suffix(".pub").unlink()
        make_key(kind, key.file)
        return key

    # ------------------------------------------------------------------------------- what it accepts

    def trust(self, *kinds: str) -> None:
        """Have `known_hosts` name this server, by its keys of these kinds alone."""
        lines = [f"[{HOST}]:{self.port} {self.host_keys[kind].public}\n" for kind in kinds]
        self.known_hosts.write_text("".join(lines), encoding="utf-8")

    def key(self, kind: str = "ed25519", passphrase: str = "") -> Path:
        """A private key that the server accepts."""
        path = self.folder / f"id-{kind}{'-locked' if passphrase else ''}"
        if not path.exists():
            make_key(kind, path, passphrase)
            with self._authorized.open("a", encoding="utf-8") as file:
                file.write(path.with_suffix(".pub").read_text(encoding="utf-8"))
        return path

    def stranger_key(self) -> Path:
        """A private key that it does not accept."""
        path = self.folder / "id-stranger"
        if not path.exists():
            make_key("ed25519", path)
        return path

    # ---------------------------------------------------------------------------------- for its users

    def new_folder(self) -> Path:
        """A fresh folder for one test's files, which the server's user may write in."""
        folder = Path(tempfile.mkdtemp(prefix="t", dir=self.root))
        if self.user == PLAIN_USER:
            os.chown(folder, PLAIN_ID, PLAIN_ID)
        return folder

    def values(self, **changed: Any) -> dict[str, Any]:
        """The values of an SFTP destination on this server; its `path` should be given."""
        values: dict[str, Any] = {
            "host": HOST,
            "port": self.port,
            "user": self.user,
            "private_key": str(self.key()),
            "known_hosts": str(self.known_hosts),
            "path": str(self.root),
        }
        return {name: value for name, value in {**values, **changed}.items() if value is not None}


@contextmanager
def running(**settings: Any) -> Iterator[SshServer]:
    """A server with settings of `SshServer`'s, gone afterwards."""
    server = SshServer(**settings)
    try:
        server.start()
        yield server
    finally:
        server.close()


@contextmanager
def with_password(**settings: Any) -> Iterator[SshServer]:
    """A server with a plain user of its own, who has a password; this machine's users stay untouched.

    The user exists in the server's mount namespace alone, by files that lie over /etc/passwd and
    /etc/shadow there. Only root can let a server log another user in.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can run an SSH server that lets another user in by a password")
    with machine() as box:
        server = SshServer(on=box, user=PLAIN_USER, password=PASSWORD, **settings)
        try:
            _add_user(server, box)
            server.start()
            yield server
        finally:
            server.close()


def _add_user(server: SshServer, box: Machine) -> None:
    home = server.folder / "home"
    home.mkdir()
    for folder in (home, server.root):
        os.chown(folder, PLAIN_ID, PLAIN_ID)
    hashed = run("openssl", "passwd", "-6", "-stdin", given=PASSWORD)
    lines = {
        "passwd": f"{PLAIN_USER}:x:{PLAIN_ID}:{PLAIN_ID}::{home}:/bin/sh",
        "group": f"{PLAIN_USER}:x:{PLAIN_ID}:",
        "shadow": f"{PLAIN_USER}:{hashed}:19000:0:99999:7:::",
    }
    for name, line in lines.items():
        there = Path("/etc", name)
        copy = server.folder / name
        copy.touch(mode=0o600 if name == "shadow" else 0o644)
        copy.write_text(f"{there.read_text(encoding='utf-8').rstrip()}\n{line}\n", encoding="utf-8")
        box.run("mount", "--bind", str(copy), str(there))


@pytest.fixture(scope="session")
def sshd() -> Iterator[SshServer]:
    """One server for the session, with a shell."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def sshd_without_shell() -> Iterator[SshServer]:
    """One server for the session that speaks SFTP and nothing else, as most hosted ones do."""
    with running(shell=False) as server:
        yield server


@pytest.fixture(scope="session")
def sshd_with_password() -> Iterator[SshServer]:
    """One server for the session with a plain user and a password."""
    with with_password() as server:
        yield server


# -------------------------------------------------------------------------------------- small parts


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _below(pid: int) -> list[int]:
    """The processes that a process has started, and theirs, from /proc."""
    if not sys.platform.startswith("linux"):
        lacking("/proc, to find what serves a connection (Linux)")
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, ValueError):
                fields = (entry / "stat").read_text(encoding="utf-8", errors="replace")
                parents.setdefault(int(fields.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        below = parents.get(waiting.pop(), [])
        found += below
        waiting += below
    return found
