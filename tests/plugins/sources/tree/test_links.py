"""Restoring to where a symbolic link leads: the link stays, and what it leads to holds the backup."""

from __future__ import annotations

from pathlib import Path

import pytest

import strongroom
from engine.contract.config import build
from engine.events import Status
from engine.records import Execution
from engine.recovery.requests import RestoreRequest
from engine.workspace import Workspace
from plugins.sources.files import Files
from strongroom import Host
from strongroom.testing.laboratory import Surroundings, dumped
from tests.conftest import Bench
from tests.plugins.sources.tree.test_choosing import container  # noqa: F401 - a fixture
from tests.plugins.sources.tree.test_files import fill, listed, tree  # noqa: F401 - a fixture


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    (tmp_path / "around").mkdir()
    return Surroundings(tmp_path / "around")


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A link to a folder on a disk of its own, by another link."""
    real = tmp_path / "disk" / "the data"
    fill(real, "docs/offer", "top")
    (tmp_path / "disk" / "current").symlink_to("the data")
    link = tmp_path / "www"
    link.symlink_to("disk/current")
    return link


def restored(workspace: Workspace, source_id: str, **choices: str) -> Execution:
    backup = workspace.catalogue.list()[0]
    request = RestoreRequest(backup.id, source_id, overwrite=True, choices=choices)
    return workspace.wait(workspace.restore(request), 60)


def is_whole(link: Path) -> None:
    """Nothing but the link and the folder is there, and the folder holds what it held when it was saved."""
    disk = link.parent / "disk"
    assert link.is_symlink() and str(link.readlink()) == "disk/current"
    assert (disk / "current").is_symlink()
    assert sorted(path.name for path in disk.iterdir()) == ["current", "the data"]
    assert [path.name for path in link.parent.iterdir() if path.name.startswith("www")] == ["www"]
    assert listed(disk / "the data") == {"docs/offer", "top"}
    assert (disk / "the data/docs/offer").read_text() == "docs/offer"


def test_over_what_a_link_leads_to(workspace: Workspace, bench: Bench, linked: Path) -> None:
    job = bench.job(source="files", source_values={"path": str(linked)})
    assert bench.run(job).status is Status.SUCCESS
    (linked / "docs/offer").write_text("spoilt")
    (linked / "new").write_text("made since")
    done = restored(workspace, job.source_id)
    assert done.status is Status.SUCCESS, done.error
    is_whole(linked)


def test_chosen_paths_over_what_a_link_leads_to(workspace: Workspace, bench: Bench, linked: Path) -> None:
    job = bench.job(source="files", source_values={"path": str(linked)})
    bench.run(job)
    (linked / "docs/offer").write_text("spoilt")
    done = restored(workspace, job.source_id, restore_paths="docs/offer")
    assert done.status is Status.SUCCESS, done.error
    is_whole(linked)


def test_on_a_host_behind_a_shell(
    around: Surroundings,
    container: Host,  # noqa: F811
    linked: Path,
) -> None:
    here = Files(build(Files.Config, {"path": str(linked)}), around.context_on(container))
    chunks, counted = dumped(here, "www")
    (linked / "docs/offer").write_text("spoilt")
    beside = here.beside_name("www", "restore_x")
    assert beside == str(linked.parent / "disk" / "the data_restore_x")
    here.restore(beside, chunks)
    kept = here.replace(beside, "www")
    assert counted.differences(here.fingerprint("www")) == []
    assert kept is not None and (Path(kept) / "docs/offer").read_text() == "spoilt"
    here.drop(kept)
    is_whole(linked)


def test_an_empty_folder_that_a_link_leads_to_is_filled_or_empty_again(
    around: Surroundings,
    tree: Path,  # noqa: F811
) -> None:
    fill(tree, "a/b")
    here = Files(build(Files.Config, {"path": str(tree)}), around.context)
    chunks, _ = dumped(here, tree.name)
    (tree.parent / "empty").mkdir()
    (tree.parent / "link").symlink_to("empty")
    with pytest.raises(strongroom.DumpIncomplete):
        here.restore("link", [b"".join(chunks)[:2000]])
    assert list((tree.parent / "empty").iterdir()) == []
    here.restore("link", chunks)
    assert listed(tree.parent / "empty") == {"a/b"}
    assert (tree.parent / "link").is_symlink()


@pytest.mark.parametrize("target", ["nowhere", "no/where", "file", "file/deeper", "link"])
def test_a_link_that_leads_to_no_folder_is_refused(
    around: Surroundings,
    tree: Path,  # noqa: F811
    target: str,
) -> None:
    fill(tree, "a/b")
    here = Files(build(Files.Config, {"path": str(tree)}), around.context)
    chunks, _ = dumped(here, tree.name)
    (tree.parent / "file").write_text("mine")
    (tree.parent / "link").symlink_to(target)
    for attempt in (lambda: here.beside_name("link", "x"), lambda: here.restore("link", chunks)):
        with pytest.raises(strongroom.SourceError, match="leads to no folder"):
            attempt()
    assert (tree.parent / "link").is_symlink()
    assert (tree.parent / "file").read_text() == "mine"
