"""Where the state lies, and that its folders are this user's alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import StoreError
from engine.home import Home


def test_the_environment_chooses_the_folder(tmp_path: Path) -> None:
    home = Home.locate({"STRONGROOM_HOME": str(tmp_path / "state")})

    assert (home.root, home.spool) == (tmp_path / "state", tmp_path / "state" / "spool")


def test_the_spool_may_lie_on_another_disk_and_in_memory_only_when_allowed(tmp_path: Path) -> None:
    chosen = {"STRONGROOM_HOME": str(tmp_path / "state"), "STRONGROOM_SPOOL": str(tmp_path / "big")}

    assert Home.locate(chosen).spool == tmp_path / "big" / "strongroom-spool"
    assert not Home.locate(chosen).spool_in_memory
    assert Home.locate({**chosen, "STRONGROOM_SPOOL_TMPFS": "allow"}).spool_in_memory


def test_the_folders_are_this_users_alone_even_when_they_were_open(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    home = Home(tmp_path / "state").make()

    for folder in (home.root, home.spool, home.scratch, home.locks):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StoreError) as caught:
        Home(tmp_path / "file" / "state").make()

    assert "STRONGROOM_HOME" in caught.value.remedy
