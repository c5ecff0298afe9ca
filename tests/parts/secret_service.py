"""A real Secret Service for tests: GNOME Keyring on a D-Bus session of its own, apart from the user's.

Its clients are child processes: `keyring` keeps its choice of a backend for a process's life, and the
environment that leads to the service is the child's alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts.programs import required_program

ROOT = Path(__file__).parents[2]
PROGRAMS = {"dbus-daemon": "dbus", "gnome-keyring-daemon": "gnome-keyring"}


@dataclass(frozen=True)
class Desktop:
    """The environment of a session; `run` runs a Python program in it and returns what it printed."""

    environ: Mapping[str, str]

    def run(self, program: str, **extra: str) -> str:
        result = subprocess.run(
            [sys.executable, "-W", "ignore::ResourceWarning", "-c", textwrap.dedent(program)],
            env={**self.environ, **extra},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()


def bare_environment(home: Path) -> dict[str, str]:
    """The environment of a machine without a desktop session."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
    return {**kept, "HOME": str(home), "DBUS_SESSION_BUS_ADDRESS": f"unix:path={home}/no-bus"}


@contextmanager
def secret_service() -> Iterator[Desktop]:
    """A session with an unlocked login keyring; all of it is gone afterwards."""
    for program, package in PROGRAMS.items():
        required_program(program, package=package)
    # A short folder of its own: the paths of sockets may have some 100 characters at most.
    with tempfile.TemporaryDirectory(prefix="sr-keyring-") as folder:
        runtime = Path(folder, "run")
        runtime.mkdir(mode=0o700)
        environ = {**bare_environment(Path(folder)), "XDG_RUNTIME_DIR": str(runtime)}
        with _bus(environ) as address:
            environ["DBUS_SESSION_BUS_ADDRESS"] = address
            with _keyring_daemon(environ):
                yield Desktop(environ)


@contextmanager
def _bus(environ: Mapping[str, str]) -> Iterator[str]:
    command = ["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address"]
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as bus:
        assert bus.stdout is not None
        try:
            yield bus.stdout.readline().strip()
        finally:
            bus.terminate()


@contextmanager
def _keyring_daemon(environ: Mapping[str, str]) -> Iterator[None]:
    command = ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"]
    with subprocess.Popen(
        command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as daemon:
        assert daemon.stdin is not None and daemon.stdout is not None
        try:
            daemon.stdin.write(b"a passphrase for tests")
            daemon.stdin.close()
            daemon.stdin = None
            # It prints where its control socket lies once the login keyring is open.
            daemon.stdout.readline()
            _wait_for_name(environ)
            yield
        finally:
            daemon.terminate()


def _wait_for_name(environ: Mapping[str, str]) -> None:
    """Return when the bus knows the service; its name's owner change is a signal to wait for."""
    program = """
        from jeepney import MatchRule, message_bus
        from jeepney.io.blocking import Proxy, open_dbus_connection
        name = "org.freedesktop.secrets"
        with open_dbus_connection() as connection:
            bus = Proxy(message_bus, connection)
            rule = MatchRule(type="signal", interface="org.freedesktop.DBus", member="NameOwnerChanged")
            rule.add_arg_condition(0, name)
            with connection.filter(rule) as changes:
                bus.AddMatch(rule)
                if not bus.NameHasOwner(name)[0]:
                    connection.recv_until_filtered(changes, timeout=30)
    """
    Desktop(environ).run(program)
