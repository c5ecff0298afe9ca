"""A PostgreSQL as a source of the real command, with tools that a test may put in the way."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.parts.commands import Installation
from tests.parts.postgres import PASSWORD, Server, tools_folder

BULK = (
    "CREATE TABLE bulk AS SELECT g AS number, sha512(g::text::bytea) || sha512((-g)::text::bytea) AS data"
    " FROM generate_series(1, 40000) g"
)
"""Ten megabytes of a dump, five of an artifact."""


def toml(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(its)}" for key, its in value.items()) + " }"
    return str(value).lower() if isinstance(value, bool) else str(value)


def source_of(server: Server, name: str = "shop", **more: object) -> str:
    """The `[[source]]` of a server; its password is taken from the environment."""
    values = server.values(password={"env": "SHOP_PASSWORD"}) | more
    return f'[[source]]\nname = {toml(name)}\nadapter = "postgresql"\nconfig = {toml(values)}\n'


def configure(installation: Installation, server: Server, **more: Any) -> None:
    """Configure the job `shop-nightly` of a server's databases, to the folder `disk`."""
    installation.environ.setdefault("SHOP_PASSWORD", PASSWORD)
    installation.apply(
        f"""
        [[key]]
        name = "default"
        {source_of(server, **more)}
        [[destination]]
        name = "disk"
        adapter = "local"
        config = {{ path = "disk" }}
        [[job]]
        name = "shop-nightly"
        source = "shop"
        destinations = ["disk"]
        options = {{ upload_attempts = 1 }}
        """
    )


def tools(folder: Path, server: Server, scripts: Mapping[str, str]) -> str:
    """A folder with the server's own client tools, in which a script replaces some of them.

    In a script, `@REAL@ "$@"` runs the real tool. It is for `bash`, under `set -o pipefail`; it does not see
    the question for the version.
    """
    whole = {}
    for tool, script in scripts.items():
        wrapped = f"set -o pipefail; {script.replace('@REAL@', str(server.binaries / tool))}"
        version = 'case "$1" in --version) exec @REAL@ --version;; esac'
        whole[tool] = f'{version}\nexec bash -c {shlex.quote(wrapped)} {tool} "$@"'
    return str(tools_folder(folder, server.binaries, whole))


def crash(server: Server) -> None:
    """SIGKILL for the server and all its processes, as when the machine's memory ends."""
    postmaster = int((server.data / "postmaster.pid").read_text().split("\n", 1)[0])
    tree = [postmaster]
    for pid in tree:
        tree += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    for pid in tree:
        os.kill(pid, signal.SIGKILL)
    server.kill()
