"""./dev: what it says when something is missing, and that it leaves nothing half-made behind."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def dev() -> ModuleType:
    """The script as a fresh module, so that a test may change what it likes."""
    loader = SourceFileLoader("dev_command", str(ROOT / "dev"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "dev"), *arguments],
        env={"PATH": "/usr/bin:/bin", **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_lists_every_command(dev: ModuleType) -> None:
    for arguments in ([], ["help"], ["--help"], ["lint", "--help"]):
        done = run(*arguments)
        assert done.returncode == 0
        lines = [
            line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ") and line.strip()
        ]
        assert set(dev.COMMANDS) <= set(lines)


def test_an_unknown_command_is_refused_and_pointed_to_the_help() -> None:
    done = run("dance")
    assert (done.returncode, done.stdout) == (2, "")
    assert "dance" in done.stderr
    assert "./dev help" in done.stderr


def test_an_argument_too_many_is_refused_before_anything_is_done() -> None:
    done = run("setup", "now")
    assert done.returncode == 1
    assert "now" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux may lack a display")
def test_the_demo_without_a_screen_points_to_the_headless_one() -> None:
    done = run("demo")
    assert done.returncode == 1
    assert "./dev demo --headless" in done.stderr


def test_an_unknown_benchmark_is_refused_with_the_names_of_all() -> None:
    done = run("bench", "no-such-bench")
    assert done.returncode == 1
    assert "faults" in done.stderr


def test_a_benchmark_gets_the_options_that_follow_its_name(dev: ModuleType) -> None:
    assert dev.split_at_options(["s3", "sftp"]) == (["s3", "sftp"], [])
    assert dev.split_at_options(["s3", "--size", "2"]) == (["s3"], ["--size", "2"])
    assert dev.split_at_options(["faults", "--", "-k", "cut"]) == (["faults"], ["-k", "cut"])


def test_an_old_python_is_named(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev, "OLDEST_PYTHON", (99, 0))
    assert dev.main(["setup"]) == 1
    assert sys.executable in capsys.readouterr().err


def missing_part(dev: ModuleType, present: bool = False) -> object:
    return dev.Part("strongroom-no-such-package", lambda: present)


@pytest.fixture
def not_root(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "is_root", lambda: False)
    monkeypatch.setattr(sys, "platform", "linux")


@pytest.mark.usefixtures("not_root")
def test_a_missing_part_gets_the_exact_line_that_installs_it(
    dev: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    dev.provide([missing_part(dev), missing_part(dev, present=True)], must_have=False)
    line = "sudo apt-get install -y --no-install-recommends strongroom-no-such-package\n"
    assert line in capsys.readouterr().err


@pytest.mark.usefixtures("not_root")
def test_a_missing_part_is_a_failure_where_it_must_be_there(dev: ModuleType) -> None:
    with pytest.raises(dev.Refusal, match="strongroom-no-such-package"):
        dev.provide([missing_part(dev)], must_have=True)


def test_as_root_what_is_missing_is_installed_by_apt(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed = tmp_path / "installed"
    asked: list[list[str]] = []

    def apt(argv: list[str], **_: object) -> int:
        asked.append([word for word in argv if word != "-o" and "::" not in word])
        if "install" in argv:
            installed.touch()
        return 0

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(dev, "is_root", lambda: True)
    monkeypatch.setattr(dev.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(dev, "run", apt)
    dev.provide([dev.Part("some-package", installed.exists)], must_have=True)
    assert asked == [
        ["apt-get", "update"],
        ["apt-get", "install", "-y", "--no-install-recommends", "some-package"],
    ]


def test_the_named_packages_exist_for_every_part(dev: ModuleType) -> None:
    packages = [part.package for part in dev.TEST_PARTS]
    assert len(packages) == len(set(packages))
    assert {"postgresql", "age", "zstd", "xvfb", "trayer", "gnome-keyring", "dbus"} <= set(packages)


@pytest.fixture
def elsewhere(dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The script, set to make its environment in an empty folder."""
    monkeypatch.setattr(dev, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(dev, "BIN", tmp_path / ".venv" / "bin")
    monkeypatch.setattr(dev, "PYTHON", tmp_path / ".venv" / "bin" / "python")
    monkeypatch.setattr(dev, "STAMP", tmp_path / ".venv" / "stamp")
    return tmp_path / ".venv"


def test_a_half_made_environment_is_deleted(
    dev: ModuleType, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies_half_way(argv: list[str], **_: object) -> int:
        (elsewhere / "bin").mkdir(parents=True)
        return 1

    monkeypatch.setattr(dev, "run", dies_half_way)
    with pytest.raises(dev.Refusal, match="virtual environment"):
        dev.make_venv("uv")
    assert not elsewhere.exists()


def test_a_broken_environment_is_made_anew(
    dev: ModuleType, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "bin").mkdir(parents=True)
    (elsewhere / "leftover").touch()
    commands: list[list[str]] = []
    monkeypatch.setattr(dev, "find_uv", lambda: "uv")
    monkeypatch.setattr(dev, "must", lambda argv, *_: commands.append([str(word) for word in argv]))
    monkeypatch.setattr(dev, "make_venv", lambda uv: elsewhere.mkdir())
    dev.setup()
    assert not (elsewhere / "leftover").exists()
    assert [command[0] for command in commands] == ["uv", "uv"]
    assert "--require-hashes" in commands[0]
    assert {"--no-deps", "--no-build-isolation"} <= set(commands[1])


def test_a_finished_environment_is_left_alone_until_the_lock_changes(
    dev: ModuleType, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (elsewhere / "bin").mkdir(parents=True)
    (elsewhere / "bin" / "python").symlink_to(sys.executable)
    (elsewhere / "pyvenv.cfg").touch()
    dev.STAMP.write_text("\n".join(dev.wanted_stamp()) + "\n", encoding="utf-8")
    commands: list[object] = []
    monkeypatch.setattr(dev, "must", lambda argv, *_: commands.append(argv))
    monkeypatch.setattr(dev, "venv_works", lambda: True)
    monkeypatch.setattr(dev, "find_uv", lambda: "uv")
    dev.setup()
    assert commands == []
    changed = tmp_path / "changed.lock"
    changed.write_text("click==8.0\n", encoding="utf-8")
    monkeypatch.setattr(dev, "LOCK", changed)
    dev.setup()
    assert len(commands) == 2
    dev.setup()
    assert len(commands) == 2


@pytest.mark.parametrize("uv", ["uv", None])
def test_the_bootstrap_without_ensurepip_makes_an_environment_without_pip(
    dev: ModuleType, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, uv: str | None
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(dev, "has_module", lambda python, name: name == "pip")
    monkeypatch.setattr(dev, "must", lambda argv, *_: commands.append(argv))
    dev.make_venv(uv)
    assert commands == [[sys.executable, "-m", "venv", "--without-pip", str(elsewhere)]]


def test_without_ensurepip_pip_and_apt_the_remedy_is_named(
    dev: ModuleType, not_root: None, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "has_module", lambda python, name: False)
    with pytest.raises(dev.Refusal, match="python3-venv"):
        dev.make_venv(None)
    assert not elsewhere.exists()


def test_uv_never_fetches_an_interpreter(dev: ModuleType) -> None:
    assert dev.uv_environment()["UV_PYTHON_DOWNLOADS"] == "never"
