"""The wheel is whole: built, installed into an empty environment, and run outside the checkout.

No network is used: the dependencies are lent by the environment that runs the tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

pytestmark = pytest.mark.xdist_group("wheel")  # built once


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


class Installed:
    """An environment that holds our wheel, and borrows the dependencies' folder after it."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(folder / "env")
        self.bin = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
        install = [sys.executable, "-m", "pip", "--python", str(self.bin / "python"), "install", "--quiet"]
        options = ["--no-deps", "--no-index", "--no-cache-dir", "--disable-pip-version-check"]
        subprocess.run([*install, *options, str(wheel)], check=True, capture_output=True)
        # A folder named by a .pth file goes last on sys.path, and the .pth files inside it are not
        # read: so the checkout, which is installed in place there, stays out.
        site = self("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        lent = f"{sysconfig.get_path('purelib')}\n"
        Path(site, "lent-dependencies.pth").write_text(lent, encoding="utf-8")

    def __call__(self, command: str, *arguments: str) -> str:
        home = self.folder / "state"
        env = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}}
        done = subprocess.run(
            [str(self.bin / command), *arguments],
            cwd=self.folder,
            env={**env, "STRONGROOM_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed"), wheel)


def test_every_file_of_the_packages_is_in_the_wheel(names: set[str]) -> None:
    files = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    assert files - names == set()


def test_migrations_resources_types_and_licence_are_in_the_wheel(names: set[str]) -> None:
    assert any(name.startswith("engine/store/migrations/versions/") for name in names)
    assert "engine/store/migrations/env.py" in names
    assert any(name.startswith("resources/") and not name.endswith(".py") for name in names)
    assert {f"{package}/py.typed" for package in ("strongroom", "engine", "plugins", "desktop")} <= names
    assert {"LICENSE", "NOTICE"} <= {Path(name).name for name in names if ".dist-info/" in name}


def test_nothing_else_is_in_the_wheel(names: set[str]) -> None:
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} <= set(PACKAGES)


def test_the_installed_command_runs_from_the_wheel_and_not_from_the_checkout(installed: Installed) -> None:
    where = (
        "import engine, plugins, strongroom; print(engine.__file__, plugins.__path__, strongroom.__file__)"
    )
    assert str(ROOT) not in installed("python", "-c", where).replace(str(installed.folder), "")
    version = installed("python", "-c", "import engine; print(engine.__version__)").strip()
    assert version in installed("strongroom", "--version")


def test_the_installed_command_finds_the_built_in_adapters(installed: Installed) -> None:
    answer = json.loads(installed("strongroom", "plugins", "--json"))
    found = {plugin["name"]: plugin for plugin in answer}
    assert {"sqlite", "postgresql", "local", "apprise"} <= set(found)


def test_the_installed_command_makes_its_database(installed: Installed) -> None:
    # The schema is made by the migrations, so these are found and run from the wheel.
    assert json.loads(installed("strongroom", "jobs", "--json")) == []
