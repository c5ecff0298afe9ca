"""The search for secrets finds what is planted: each dress, each place, each kind of process."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from tests.parts.canaries import Canaries, Spy, canary, watching

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


@pytest.fixture
def secret() -> str:
    return canary("hidden")


@pytest.fixture
def canaries(secret: str) -> Canaries:
    return Canaries({"password": secret, "other": canary("other")})


def test_each_dress_is_seen_through(canaries: Canaries, secret: str) -> None:
    error = ValueError(secret)
    for dressed in (
        secret,
        f"postgresql://me:{quote(secret)}@host/db",
        f"postgresql://me:{quote(secret, safe='').lower()}@host/db",
        urlencode({"password": secret}),
        json.dumps({"password": secret}),
        json.dumps({"body": json.dumps({"password": secret})}),
        repr({"password": secret}),
        repr(error),
        f"<Message>{secret.replace('&', '&amp;')}</Message>".replace('"', "&quot;").replace("'", "&#x27;"),
        secret.encode().hex(),
        secret.encode("utf-16"),
        *(base64.b64encode(f"{'x' * shift}{secret}:and more".encode()) for shift in range(6)),
        base64.urlsafe_b64encode(f"user:{secret}".encode()),
        base64.b64encode(secret.encode()),
    ):
        assert canaries.found_in(dressed), dressed
        assert all(found.startswith("password (") for found in canaries.found_in(dressed))


def test_nothing_is_found_where_nothing_is(canaries: Canaries, secret: str) -> None:
    for innocent in (
        b"",
        secret[:-1],
        canary("hidden"),
        base64.b64encode(secret[:-4].encode()),
        os.urandom(1 << 16),
    ):
        assert canaries.found_in(innocent) == []


def test_a_leak_below_a_folder_is_found_wherever_it_lies(
    canaries: Canaries, secret: str, tmp_path: Path
) -> None:
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "log").write_text(f"the server said {secret!r}")
    (tmp_path / canaries["other"].replace("/", "")).touch()
    (tmp_path / quote(canaries["other"], safe="")).touch()
    with closing(sqlite3.connect(tmp_path / "store.db")) as database, database:
        database.execute("CREATE TABLE t (a)")
        database.execute("INSERT INTO t VALUES (?)", (secret,))
    found = canaries.leaks_below(tmp_path)
    assert len([its for its in found if ".hidden/log: password" in its]) == 1
    assert len([its for its in found if "the name" in its and "other" in its]) == 1
    assert len([its for its in found if "store.db: password" in its]) == 1


@on_linux
def test_arguments_of_any_process_and_environments_of_ours_are_seen(canaries: Canaries, secret: str) -> None:
    waits = "import sys; print('here', flush=True); sys.stdin.read()"
    child = f"[sys.executable, '-c', {waits!r}, 'the-child']"
    parent = f"import subprocess, sys; subprocess.run({child}, env={{'PGPASSWORD': {secret!r}}})"
    ours: list[int] = []
    with (
        watching(lambda: ours) as seen,
        _started([sys.executable, "-c", waits, secret], []),
        _started([sys.executable, "-c", parent], ours),
    ):
        seen.wait()
    assert any(canaries.found_in(its) for its in seen.arguments)
    (environment,) = (its for arguments, its in seen.environments.items() if b"the-child" in arguments)
    assert canaries.found_in(environment)
    assert not any(secret.encode() in its for its in seen.environments)


@contextmanager
def _started(argv: list[str], pids: list[int]) -> Iterator[None]:
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        pids.append(process.pid)
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        yield
        process.communicate()


def test_a_spy_tells_of_every_child(canaries: Canaries, secret: str, tmp_path: Path) -> None:
    spy = Spy(tmp_path / "spy")
    program = (
        "import os, subprocess\n"
        "subprocess.run(['true', 'one'], env={'A': 'b'})\n"
        "subprocess.run('true two', shell=True)\n"
        "os.system('true three')\n"
        "os.execv('/bin/true', ['true', 'four'])\n"
    )
    subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **spy.environ, "PASSWORD": secret}, check=True
    )
    one, *others = spy.children()
    assert (one.argv, one.environ) == (["true", "one"], {"A": "b"})
    assert [its.argv[-1].removeprefix("true ") for its in others] == ["two", "three", "four"]
    assert all(canaries.found_in(json.dumps(its.environ)) for its in others), "who asks for nothing gets all"
