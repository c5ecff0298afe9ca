"""Chosen paths of a backup: to another place, or into the folder that is in use, and nothing but them."""

from __future__ import annotations

from pathlib import Path

import pytest

import strongroom
from engine.contract.config import build
from engine.errors import ConfigError
from engine.events import Status
from engine.recovery.requests import RestoreRequest
from engine.workspace import Workspace
from plugins.sources.files import Files
from plugins.sources.tree import placing
from strongroom.testing.laboratory import Surroundings, dumped
from tests.conftest import Bench
from tests.plugins.sources.tree.test_files import fill, listed, tree  # noqa: F401 - a fixture

ODD = "it's \\101 [a]* “odd”\n$HOME"


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    (tmp_path / "around").mkdir()
    return Surroundings(tmp_path / "around")


def opened(folder: Path, around: Surroundings, *paths: str) -> Files:
    values = {"path": str(folder), "restore_paths": list(paths)}
    return Files(build(Files.Config, values), around.context)


@pytest.fixture
def chunks(tree: Path, around: Surroundings) -> list[bytes]:  # noqa: F811
    fill(tree, "docs/offer.pdf", "docs/deep/er/x", "logs/today", f"odd/{ODD}", "top")
    (tree / "docs" / "deep").chmod(0o750)
    return dumped(opened(tree, around), tree.name)[0]


def test_chosen_paths_go_to_another_place(tree: Path, around: Surroundings, chunks: list[bytes]) -> None:  # noqa: F811
    opened(tree, around, "docs/deep", f"odd/{ODD}", "top").restore("copy", chunks)
    copy = tree.with_name("copy")
    assert listed(copy) == {"docs/deep/er/x", f"odd/{ODD}", "top"}
    assert (copy / "docs" / "deep").stat().st_mode & 0o777 == 0o750


def test_they_take_the_place_of_what_is_there_and_the_rest_stays(
    tree: Path,  # noqa: F811
    around: Surroundings,
    chunks: list[bytes],
) -> None:
    (tree / "docs/offer.pdf").write_text("spoilt")
    (tree / "logs/today").write_text("newer")
    (tree / "docs/deep/er/new").write_text("made since")
    (tree / "top").unlink()
    opened(tree, around, "docs", "docs/offer.pdf", "top").restore(tree.name, chunks)
    assert (tree / "docs/offer.pdf").read_text() == "docs/offer.pdf"
    assert (tree / "top").read_text() == "top"
    assert not (tree / "docs/deep/er/new").exists(), "the folder is the backup's"
    assert (tree / "logs/today").read_text() == "newer"
    assert listed(tree) == {"docs/offer.pdf", "docs/deep/er/x", "logs/today", f"odd/{ODD}", "top"}
    assert sorted(path.name for path in tree.parent.iterdir()) == ["tree"]


def test_folders_on_the_way_are_made(
    tree: Path,  # noqa: F811
    around: Surroundings,
    chunks: list[bytes],
) -> None:
    import shutil

    shutil.rmtree(tree / "docs")
    opened(tree, around, "docs/deep/er/x").restore(tree.name, chunks)
    assert (tree / "docs/deep/er/x").read_text() == "docs/deep/er/x"
    assert not (tree / "docs/offer.pdf").exists()


def test_a_path_that_the_backup_lacks_changes_nothing(
    tree: Path,  # noqa: F811
    around: Surroundings,
    chunks: list[bytes],
) -> None:
    (tree / "top").write_text("mine")
    source = opened(tree, around, "top", "gone/file")
    with pytest.raises(strongroom.SourceError, match="Not in this backup: gone/file"):
        source.restore(tree.name, chunks)
    with pytest.raises(strongroom.SourceError, match="Not in this backup: gone/file"):
        source.restore("copy", chunks)
    assert (tree / "top").read_text() == "mine"
    assert sorted(path.name for path in tree.parent.iterdir()) == ["tree"]


def test_a_link_on_the_way_is_refused_and_not_followed(
    tree: Path,  # noqa: F811
    around: Surroundings,
    chunks: list[bytes],
    tmp_path: Path,
) -> None:
    import shutil

    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.rmtree(tree / "docs")
    (tree / "docs").symlink_to(outside)
    (tree / "top").write_text("mine")
    with pytest.raises(strongroom.SourceError, match="is no folder"):
        opened(tree, around, "top", "docs/offer.pdf").restore(tree.name, chunks)
    assert list(outside.iterdir()) == []
    assert (tree / "top").read_text() == "mine"


def test_a_dangling_link_in_a_paths_place_gives_way(
    tree: Path,  # noqa: F811
    around: Surroundings,
    chunks: list[bytes],
) -> None:
    (tree / "top").unlink()
    (tree / "top").symlink_to("nowhere")
    opened(tree, around, "top").restore(tree.name, chunks)
    assert (tree / "top").read_text() == "top"
    assert not (tree / "top").is_symlink()


def test_an_error_halfway_puts_back_what_was_there(
    tree: Path,  # noqa: F811
    around: Surroundings,
    chunks: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tree / "docs/offer.pdf").write_text("mine")
    (tree / "top").write_text("mine")
    real = placing.rename

    def failing(host: strongroom.Host, old: str, new: str) -> None:
        if new == str(tree / "top"):
            monkeypatch.setattr(placing, "rename", real)
            raise strongroom.SourceError("mv failed")
        real(host, old, new)

    monkeypatch.setattr(placing, "rename", failing)
    with pytest.raises(strongroom.SourceError, match="mv failed"):
        opened(tree, around, "docs/offer.pdf", "top").restore(tree.name, chunks)
    assert (tree / "docs/offer.pdf").read_text() == "mine"
    assert (tree / "top").read_text() == "mine"
    assert sorted(path.name for path in tree.parent.iterdir()) == ["tree"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../b", "a//b", "", "."])
def test_what_is_no_path_from_the_folder_on_is_refused(path: str) -> None:
    with pytest.raises(ConfigError):
        build(Files.Config, {"path": "/srv", "restore_paths": [path]})


def test_by_the_engine_a_part_is_a_part(workspace: Workspace, bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    fill(folder, "docs/offer.pdf", "top")
    job = bench.job(source="files", source_values={"path": str(folder)})
    bench.run(job)
    backup = workspace.catalogue.list()[0]
    (folder / "docs/offer.pdf").write_text("spoilt")
    (folder / "top").write_text("newer")
    choices = {"restore_paths": "docs/offer.pdf"}

    refused = workspace.wait(workspace.restore(RestoreRequest(backup.id, job.source_id, choices=choices)), 60)
    assert "not empty" in str(refused.error)
    assert (folder / "docs/offer.pdf").read_text() == "spoilt"
    lacking = RestoreRequest(backup.id, job.source_id, overwrite=True, choices={"restore_paths": "gone"})
    failed = workspace.wait(workspace.restore(lacking), 60)
    assert str(failed.error) == "Not in this backup: gone. data is as it was."
    done = workspace.wait(
        workspace.restore(RestoreRequest(backup.id, job.source_id, overwrite=True, choices=choices)), 60
    )
    assert done.status is Status.SUCCESS, done.error
    assert (folder / "docs/offer.pdf").read_text() == "docs/offer.pdf"
    assert (folder / "top").read_text() == "newer"
    assert any("a part was restored" in line for line in bench.log_of(done))
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith("data")] == ["data"]
