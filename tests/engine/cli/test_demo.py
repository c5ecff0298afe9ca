"""The demo: a fresh profile, all of the main job, and standard tools that restore its backup alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine import sample
from engine.demo import fresh_profile
from tests.engine.cli.conftest import Terminal

NO_KEYRING = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}


@pytest.fixture
def fresh(tmp_path: Path) -> Terminal:
    """A machine without a keyring, and without a profile."""
    return Terminal(
        tmp_path, {**NO_KEYRING, "STRONGROOM_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}
    )


def tool(name: str) -> str:
    """A standard tool's path; in CI it must be there."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
            pytest.fail(f"{name} is missing")
        pytest.skip(f"{name} is not installed")
    return found


def test_it_does_all_of_the_main_job_and_standard_tools_restore_its_backup(fresh: Terminal) -> None:
    done = fresh.process("demo", "--headless", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    titles = [step["step"] for step in document["steps"]]
    assert titles == [
        "Sample database",
        "Encryption key",
        "Job",
        "Backup",
        "Verification",
        "Drill",
        "Restore",
    ]
    assert document["run"]["status"] == "Success"
    original = Path(document["home"]) / "demo" / "shop.sqlite"
    assert sample.differences(original, Path(document["restored"])) == []
    for name in ("age", "zstd"):
        tool(name)
    lines = document["commands"]
    assert any(line.startswith("age -d -i ") for line in lines)
    by_hand = [line for line in lines if not line.startswith("sqlite3")]
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    script = "\n".join(["set -euo pipefail", *by_hand])
    subprocess.run(["bash", "-c", script], check=True, env=environ, capture_output=True, timeout=60)
    assert sample.differences(original, Path(document["home"]) / "demo" / "by-hand.sqlite") == []


def test_people_see_each_step_and_the_commands(fresh: Terminal) -> None:
    done = fresh.process("demo", "--headless")
    assert (done.returncode, done.stderr) == (0, "")
    for title in ("Backup", "Verification", "Drill", "Restore"):
        assert f"✓ {title}" in done.stdout
    assert "| zstd -d >" in done.stdout
    assert "sqlite3 " in done.stdout
    assert f"export STRONGROOM_HOME={fresh.environ['STRONGROOM_HOME']}" in done.stdout


def test_a_real_profile_is_never_touched(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "strongroom.db").write_bytes(b"somebody's")
    environ = {"STRONGROOM_HOME": str(home)}
    first = fresh_profile({**environ, "STRONGROOM_VAULT": "file"})
    second = fresh_profile({**environ, "STRONGROOM_VAULT": "file"})
    assert home not in (first.home.root, second.home.root)
    assert first.home.root != second.home.root
    assert [path.name for path in home.iterdir()] == ["strongroom.db"]
    assert (home / "strongroom.db").read_bytes() == b"somebody's"


def test_an_empty_home_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("missing", "empty"):
        home = tmp_path / name
        if name == "empty":
            home.mkdir()
        profile = fresh_profile({"STRONGROOM_HOME": str(home), "STRONGROOM_VAULT": "file"})
        assert profile.home.root == home
        assert profile.environment == {"STRONGROOM_HOME": str(home)}, "the given vault is kept"


def test_without_a_keyring_the_vault_has_a_passphrase_of_its_own(fresh: Terminal) -> None:
    document = json.loads(fresh.process("demo", "--headless", "--json").stdout)
    environment = document["environment"]
    assert environment["STRONGROOM_VAULT"] == "file"
    passphrase = Path(environment["STRONGROOM_VAULT_PASSPHRASE_FILE"])
    assert passphrase.stat().st_mode & 0o777 == 0o600
    assert len(passphrase.read_text()) >= 20
    assert passphrase.read_text() not in json.dumps(document)


def test_without_a_screen_nothing_is_made_before_it_is_said(fresh: Terminal) -> None:
    if sys.platform in ("win32", "darwin"):
        pytest.skip("there is always a screen here")
    fresh.environ |= {"DISPLAY": "", "WAYLAND_DISPLAY": "", "QT_QPA_PLATFORM": ""}
    done = fresh.process("demo", "--json")
    assert done.returncode == 2
    assert "no screen" in json.loads(done.stdout)["error"]["message"]
    assert not Path(fresh.environ["STRONGROOM_HOME"]).exists()
