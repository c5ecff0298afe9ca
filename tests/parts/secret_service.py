"""A real Secret Service for tests: GNOME Keyring on a D-Bus session of its own, apart from the user's.

Its clients are child processes: `keyring` keeps its choice of a backend for a process's life, and the
environment that leads to the service is the child's alone.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.parts.programs import required_program

ROOT = Path(__file__).parents[2]
PROGRAMS = {"dbus-daemon": "dbus", "gnome-keyring-daemon": "gnome-keyring"}
PASSWORD = "a passphrase for tests"
"""The password of the login keyring."""
_NAME = "org.freedesktop.secrets"
# No folder of services: nothing of this machine is started by the bus, neither a second keyring nor a window.
_BUS = """
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={folder}/bus</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


class Desktop:
    """The environment of a session; `run` runs a Python program in it and returns what it printed."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def run(self, program: str, **extra: str) -> str:
        result = subprocess.run(
            self._argv(program),
            env={**self.environ, **extra},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    @contextmanager
    def dialogue(self, program: str, **extra: str) -> Iterator[Dialogue]:
        """Run a program that prints a line and reads a line in turn."""
        with subprocess.Popen(
            self._argv(program),
            env={**self.environ, **extra},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        ) as process:
            try:
                yield Dialogue(process)
            finally:
                process.kill()

    def _argv(self, program: str) -> list[str]:
        return [sys.executable, "-W", "error", "-c", textwrap.dedent(program)]


class Dialogue:
    """A program that is talked to line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def hear(self) -> str:
        """Its next line."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def say(self, line: str = "") -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")


class Session(Desktop):
    """A desktop session whose keyring daemon can be locked, unlocked, emptied, held, killed and started."""

    def __init__(self, folder: Path) -> None:
        runtime = folder / "run"
        runtime.mkdir(mode=0o700)
        self.address = f"unix:path={runtime}/bus"
        self.folder = folder
        super().__init__(
            {
                **bare_environment(folder),
                "XDG_RUNTIME_DIR": str(runtime),
                "DBUS_SESSION_BUS_ADDRESS": self.address,
            }
        )
        self._daemon: subprocess.Popen[bytes] | None = None

    def start_keyring(self, password: str | None = PASSWORD) -> None:
        """Start the daemon as a login with a password does, or (None) as one without: locked, or with no
        keyring at all when this session never had one."""
        unlock = [] if password is None else ["--unlock"]
        self._daemon = subprocess.Popen(
            ["gnome-keyring-daemon", "--foreground", "--components=secrets", *unlock],
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._daemon.stdin is not None and self._daemon.stdout is not None
        if password is not None:
            self._daemon.stdin.write(password.encode())
        self._daemon.stdin.close()
        self._daemon.stdout.readline()  # it closes this, or says something, once the login keyring is open
        self._wait_for_keyring()

    def stop_keyring(self) -> None:
        """End the daemon at once, as a crash would."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()
            assert self._daemon.stdout is not None
            self._daemon.stdout.close()
            self._daemon = None

    def restart_keyring(self, password: str | None = PASSWORD) -> None:
        self.stop_keyring()
        self.start_keyring(password)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the daemon hang for as long as the block lasts."""
        assert self._daemon is not None
        self._daemon.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._daemon.send_signal(signal.SIGCONT)

    def lock(self) -> None:
        """Lock the login keyring by the Secret Service's own method."""
        import secretstorage

        with self._bus() as bus:
            secretstorage.get_default_collection(bus).lock()
            assert secretstorage.get_default_collection(bus).is_locked()

    def unlock(self, password: str = PASSWORD) -> None:
        """Unlock it as PAM does at a login: by the daemon's control socket (gnome-keyring's
        gkd-control-codes.h: a null byte for the credentials, then length, operation 1, and the password)."""
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(f"{self.environ['XDG_RUNTIME_DIR']}/keyring/control")
            control.sendall(b"\0")
            word = password.encode()
            control.sendall(struct.pack(">III", 12 + len(word), 1, len(word)) + word)
            size, result = struct.unpack(">II", control.recv(8))
            assert (size, result) == (8, 0), "the keyring did not open"

    def secrets(self, service: str = "strongroom") -> dict[str, str]:
        """Every entry of a service: user name and secret."""
        import secretstorage

        with self._bus() as bus:
            items = list(secretstorage.search_items(bus, {"service": service}))
            return {its.get_attributes()["username"]: its.get_secret().decode() for its in items}

    def lose(self, ending: str = "") -> None:
        """Delete every entry of ours whose user name ends so."""
        import secretstorage

        with self._bus() as bus:
            for item in list(secretstorage.search_items(bus, {"service": "strongroom"})):
                if item.get_attributes()["username"].endswith(ending):
                    item.delete()

    @contextmanager
    def _bus(self) -> Iterator[Any]:
        from jeepney.io.blocking import open_dbus_connection

        with open_dbus_connection(self.address) as bus:
            yield bus

    def _wait_for_keyring(self) -> None:
        """Return when the bus knows the service; its name's owner change is a signal to wait for."""
        from jeepney import MatchRule, message_bus
        from jeepney.io.blocking import Proxy

        with self._bus() as connection:
            bus = Proxy(message_bus, connection)
            rule = MatchRule(type="signal", interface="org.freedesktop.DBus", member="NameOwnerChanged")
            rule.add_arg_condition(0, _NAME)
            with connection.filter(rule) as changes:
                bus.AddMatch(rule)
                if not bus.NameHasOwner(_NAME)[0]:
                    connection.recv_until_filtered(changes, timeout=30)


def bare_environment(home: Path) -> dict[str, str]:
    """The environment of a machine without a desktop session."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
    return {**kept, "HOME": str(home), "DBUS_SESSION_BUS_ADDRESS": f"unix:path={home}/no-bus"}


@contextmanager
def session() -> Iterator[Session]:
    """A session without a keyring daemon yet; all of it is gone afterwards."""
    for program, package in PROGRAMS.items():
        required_program(program, package=package)
    # A short folder of its own: the paths of sockets may have some 100 characters at most.
    with tempfile.TemporaryDirectory(prefix="sr-keyring-") as folder:
        its = Session(Path(folder))
        config = its.folder / "bus.conf"
        config.write_text(_BUS.format(folder=its.folder / "run"))
        command = ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", "--print-address"]
        with subprocess.Popen(
            command, env=its.environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as bus:
            assert bus.stdout is not None
            try:
                bus.stdout.readline()
                yield its
            finally:
                its.stop_keyring()
                bus.terminate()


@contextmanager
def secret_service() -> Iterator[Session]:
    """A session with an unlocked login keyring."""
    with session() as its:
        its.start_keyring()
        yield its
