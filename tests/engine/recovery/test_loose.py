"""Loose files: proven by the sidecar beside them, or told by name and header and called unproven."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.events import Status
from engine.recovery.requests import RestoreRequest
from engine.workspace import Workspace
from tests.conftest import Bench, rows_of
from tests.engine.recovery.conftest import SOURCE


@pytest.fixture
def loose(bench: Bench, tmp_path: Path) -> Path:
    """An artifact with its sidecar, copied to a folder that is no destination."""
    bench.run(bench.job())
    backup = bench.workspace.catalogue.list()[0]
    folder = tmp_path / "a stick"
    folder.mkdir()
    for suffix in ("", ".meta.json"):
        found = tmp_path / "vault" / f"{backup.artifact}{suffix}"
        (folder / found.name).write_bytes(found.read_bytes())
    return folder / Path(backup.artifact).name


def restore(workspace: Workspace, path: Path, **more: object) -> tuple[Status, str, dict[str, object]]:
    request = RestoreRequest("", SOURCE, file=str(path), **more)  # type: ignore[arg-type]
    execution = workspace.wait(workspace.restore(request), 60)
    return execution.status, execution.error or "", dict(execution.labels)


def sidecar_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.meta.json")


def test_a_file_with_its_sidecar_is_proven_and_compared(
    workspace: Workspace, loose: Path, tmp_path: Path
) -> None:
    status, error, labels = restore(workspace, loose, as_name="copy")
    assert (status, error) == (Status.SUCCESS, "")
    assert labels["database"] == "copy"
    assert rows_of(tmp_path / "copy.sqlite") == rows_of(tmp_path / "shop.sqlite")


def test_without_a_sidecar_it_takes_a_name_and_an_explicit_word(
    workspace: Workspace, loose: Path, tmp_path: Path
) -> None:
    sidecar_of(loose).unlink()
    assert "has no sidecar beside it: nothing says which database" in restore(workspace, loose)[1]
    remedy = workspace.store.executions.list(1)[0].remedy
    assert remedy is not None
    assert "--as NAME" in remedy and "--unproven" in remedy, "both words at once"
    assert "nothing proves who wrote it" in restore(workspace, loose, as_name="copy")[1]
    assert not (tmp_path / "copy.sqlite").exists()

    status, error, _ = restore(workspace, loose, as_name="copy", unproven=True)
    assert (status, error) == (Status.SUCCESS, "")
    assert rows_of(tmp_path / "copy.sqlite") == rows_of(tmp_path / "shop.sqlite")
    lines = [
        line.entry.message for line in workspace.store.logs.list(workspace.store.executions.list(1)[0].id)
    ]
    assert any("is UNPROVEN: its sidecar is missing." in line for line in lines)
    assert any("could not be compared" in line or "Nothing to compare" in line for line in lines)


def test_a_file_that_is_cut_is_refused_with_and_without_its_sidecar(
    workspace: Workspace, loose: Path, tmp_path: Path
) -> None:
    os.truncate(loose, loose.stat().st_size - 100)
    assert "is not what its sidecar tells" in restore(workspace, loose, as_name="copy")[1]
    sidecar_of(loose).unlink()
    status, error, _ = restore(workspace, loose, as_name="copy", unproven=True)
    assert status is Status.FAILED
    assert error
    assert not (tmp_path / "copy.sqlite").exists()


def test_a_sidecar_of_another_file_is_not_taken_for_its_own(workspace: Workspace, loose: Path) -> None:
    other = loose.with_name(f"other{loose.name}")
    loose.rename(other)
    sidecar_of(loose).rename(sidecar_of(other))
    assert "belongs to another artifact" in restore(workspace, other, as_name="copy", unproven=True)[1]


def test_a_changed_sidecar_is_never_taken(workspace: Workspace, loose: Path) -> None:
    text = sidecar_of(loose).read_text()
    sidecar_of(loose).write_text(text.replace('"trigger": "manual"', '"trigger": "schedule"'))
    assert sidecar_of(loose).read_text() != text
    status, error, _ = restore(workspace, loose, as_name="copy", unproven=True)
    assert status is Status.FAILED
    assert f"The sidecar of {loose.name} at {loose.parent} was changed after it was signed" in error


@pytest.mark.parametrize("name", ["shop.dump.zst.age", "notes.txt", "shop"])
def test_a_name_that_is_not_of_the_sources_kind_is_refused(
    workspace: Workspace, loose: Path, name: str
) -> None:
    sidecar_of(loose).unlink()
    other = loose.with_name(name)
    loose.rename(other)
    error = restore(workspace, other, as_name="copy", unproven=True)[1]
    assert "does not look like a dump of" in error


def test_what_is_no_file_is_said(workspace: Workspace, loose: Path, tmp_path: Path) -> None:
    assert "is no file" in restore(workspace, tmp_path, as_name="copy", unproven=True)[1]
    assert "cannot be read" in restore(workspace, tmp_path / "gone", as_name="copy", unproven=True)[1]
