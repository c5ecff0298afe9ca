"""SQLite's adapter with its files on a host that is not this machine: by the sqlite3 of that host alone.

The host is this machine all the same, which the adapter is not told.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

import strongroom
from engine.hosts.local import LocalHost
from plugins.sources.sqlite import Sqlite
from strongroom import CancelToken
from strongroom.testing import SourceConformance, Surroundings
from tests.conformance.test_sources import SqliteLab


class FarHost(LocalHost):
    name, local = "far", False


class BareHost(FarHost):
    def which(self, tool: str) -> str | None:
        return None if tool == "sqlite3" else super().which(tool)


class Far(SourceConformance):
    @pytest.fixture
    def around(self, tmp_path: Path) -> Surroundings:
        folder = tmp_path / "around"
        folder.mkdir()
        cancel = CancelToken()
        return Surroundings(folder, cancel, host=FarHost(cancel))


class TestFarSqliteWithRollbackJournal(Far):
    @pytest.fixture
    def lab(self, tmp_path: Path) -> SqliteLab:
        return SqliteLab(tmp_path, "delete")


class TestFarSqliteWithWal(Far):
    @pytest.fixture
    def lab(self, tmp_path: Path) -> SqliteLab:
        return SqliteLab(tmp_path, "wal")


def test_a_host_without_the_tool_is_told(tmp_path: Path) -> None:
    path = SqliteLab(tmp_path, "wal")
    path.make("shop", {"t": [(1, "one")]})
    around = Surroundings(tmp_path, host=BareHost())
    source = Sqlite(Sqlite.Config(path=str(path.first)), around.context)
    with pytest.raises(strongroom.ToolMissing, match="sqlite3 is not on far"):
        source.check()


def test_a_path_there_is_a_whole_one(tmp_path: Path) -> None:
    source = Sqlite(Sqlite.Config(path="app.db"), Surroundings(tmp_path, host=FarHost()).context)
    with pytest.raises(strongroom.ConfigError, match="no whole path on far"):
        source.databases()


def test_a_temporary_folder_without_room_is_named_with_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = SqliteLab(tmp_path, "wal")
    lab.make("shop", {"t": [(1, "one")]})
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "df").write_text(
        "#!/bin/sh\necho 'Filesystem 1024-blocks Used Available'\necho 'disk 9 5 4 /'\n"
    )
    (tools / "df").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    source = Sqlite(Sqlite.Config(path=str(lab.first)), Surroundings(tmp_path, host=FarHost()).context)
    with pytest.raises(strongroom.SourceError, match=rf"{tempfile.gettempdir()} on far has 4,096 free"):
        source.check()
