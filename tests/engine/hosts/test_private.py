"""Private folders: what a killed process leaves goes, and nothing that is in use or somebody else's."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.hosts.private import private_folder, sweep_private

_MAKER = """
import sys
from pathlib import Path
from engine.hosts.local import LocalHost
host = LocalHost()
with host.folder() as folder, host.secret_file("geheim") as secret:
    Path(folder, "dump.rdb").write_bytes(b"plain")
    print(folder, secret, sep="\\n", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A temporary folder and one in memory, of the test's own."""
    temporary, runtime = tmp_path / "temporary", tmp_path / "runtime"
    temporary.mkdir()
    runtime.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return temporary, runtime


@pytest.fixture
def maker(places: tuple[Path, Path]) -> Iterator[tuple[subprocess.Popen[str], Path, Path]]:
    """Another process that holds a folder and a secret."""
    with subprocess.Popen(
        [sys.executable, "-c", _MAKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        folder, secret = (Path(process.stdout.readline().rstrip("\n")) for _ in range(2))
        yield process, folder, secret
        process.kill()


def old(folder: Path) -> None:
    """Let a folder have been made an hour ago."""
    moment = (folder / ".lock").stat().st_mtime - 3600
    os.utime(folder / ".lock", (moment, moment))


def test_what_a_killed_process_leaves_goes(
    maker: tuple[subprocess.Popen[str], Path, Path], places: tuple[Path, Path]
) -> None:
    process, folder, secret = maker
    assert (folder.parent, secret.parent.parent) == places
    old(folder)
    old(secret.parent)
    assert sweep_private() == []
    assert (folder / "dump.rdb").read_bytes() == b"plain"
    assert secret.read_text() == "geheim"
    process.kill()
    process.wait()
    assert sorted(sweep_private()) == sorted([str(folder), str(secret.parent)])
    assert [list(place.iterdir()) for place in places] == [[], []]


def test_a_folder_that_has_only_just_been_made_stays(places: tuple[Path, Path]) -> None:
    """Its maker may not have come to take the lock."""
    new = Path(tempfile.mkdtemp(prefix="strongroom-private-"))
    (new / ".lock").touch()
    assert sweep_private() == []
    assert new.exists()


def test_what_was_made_by_nobody_here_stays(places: tuple[Path, Path], tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / ".lock").touch()
    old(mine)
    temporary = places[0]
    (temporary / "strongroom-private-abcdefgh").symlink_to(mine)
    for name in ("strongroom-private-mine", "strongroom-backups", "strongroom-private-abcdefgh.old"):
        (temporary / name).mkdir()
        if name != "strongroom-private-mine":
            (temporary / name / ".lock").touch()
            old(temporary / name)
    assert sweep_private() == []
    assert len(list(temporary.iterdir())) == 4
    assert mine.exists()


def test_ones_own_folder_stays(places: tuple[Path, Path]) -> None:
    with private_folder() as folder:
        old(Path(folder))
        assert sweep_private() == []
        assert Path(folder).exists()
    assert not Path(folder).exists()
